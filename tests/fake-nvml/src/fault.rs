//! What a call does instead of its work, or besides it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::symbols::SYMBOLS;

/// One fault, as the state file writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum Fault {
    /// None.
    Ok,
    /// This code of nvml.h.
    Return(u32),
    /// Never comes back.
    Hang,
    /// Never comes back, in state D.
    Stuck,
    /// SIGABRT.
    Abort,
    /// SIGSEGV.
    Segfault,
    /// Success, with strings without end and numbers of all ones.
    Garbage,
    /// Later, and then the other.
    Slow(Duration, Box<Fault>),
    /// So many good calls, and then the other.
    After(u64, Box<Fault>),
    /// One after the other, round and round.
    Flip(Vec<Fault>),
}

/// What came of a fault that came back.
pub(crate) enum Played {
    Nothing,
    Garbage,
    Return(u32),
}

/// For each fault with a memory: by its place the fault, and how many calls it has seen.
static SEEN: Mutex<Option<HashMap<String, (Fault, u64)>>> = Mutex::new(None);

impl Fault {
    /// Does it. The place tells apart the counters of faults with a memory.
    pub(crate) fn play(&self, place: &str) -> Played {
        match self {
            Self::Ok | Self::Return(0) => Played::Nothing,
            Self::Return(code) => Played::Return(*code),
            Self::Garbage => Played::Garbage,
            Self::Hang => loop {
                std::thread::park();
            },
            Self::Stuck => loop {
                stuck();
            },
            Self::Abort => std::process::abort(),
            Self::Segfault => {
                segfault();
                Played::Nothing
            }
            Self::Slow(time, then) => {
                std::thread::sleep(*time);
                then.play(&format!("{place}/slow"))
            }
            Self::After(good, then) => match self.count(place) {
                seen if seen < *good => Played::Nothing,
                _ => then.play(&format!("{place}/after")),
            },
            Self::Flip(faults) => {
                let seen = usize::try_from(self.count(place)).unwrap_or_default();
                let at = seen % faults.len().max(1);
                faults.get(at).map_or(Played::Nothing, |fault| fault.play(&format!("{place}/{at}")))
            }
        }
    }

    /// How many calls came to this fault at this place before. Another fault at this place starts from zero.
    fn count(&self, place: &str) -> u64 {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen.get_or_insert_default().entry(place.to_owned()).or_insert_with(|| (self.clone(), 0));
        if entry.0 != *self {
            *entry = (self.clone(), 0);
        }
        entry.1 += 1;
        entry.1 - 1
    }
}

/// The parent of a vfork waits in the kernel, uninterruptibly, until its child ends. This child never does.
fn stuck() {
    // SAFETY: a system call with numbers; without CLONE_VM the child has memory of its own. It is the copy of one thread,
    // makes two system calls in a loop, and neither allocates nor takes a lock.
    unsafe {
        if libc::syscall(libc::SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0) == 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            loop {
                libc::pause();
            }
        }
    }
}

fn segfault() {
    // SAFETY: not safe, and meant so: the process dies by SIGSEGV here, as with a bug in a driver library. The address is
    // below the lowest that can be mapped, and not null, which the compiler would check for.
    unsafe { std::ptr::without_provenance_mut::<u8>(1).write_volatile(0) };
}

impl TryFrom<Value> for Fault {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{value} is no fault: \"ok\", \"hang\", \"stuck\", \"abort\", \"segfault\", \"garbage\", {{\"return\": CODE}}, \
                 {{\"slow_ms\": N, \"then\": FAULT}}, {{\"after\": N, \"then\": FAULT}}, {{\"flip\": [FAULT, …]}}"
            )
        };
        let object = match &value {
            Value::Null => return Ok(Self::Ok),
            Value::String(word) => return Self::of_word(word).ok_or_else(wrong),
            Value::Object(object) => object,
            _ => return Err(wrong()),
        };
        let number = |key: &str| object.get(key).and_then(Value::as_u64);
        let then = || object.get("then").map_or(Ok(Self::Ok), |then| Self::try_from(then.clone())).map(Box::new);
        let keys: Vec<&str> = object.keys().map(String::as_str).collect();
        match *keys {
            ["return"] => {
                number("return").and_then(|code| u32::try_from(code).ok()).map(Self::Return).ok_or_else(wrong)
            }
            ["slow_ms"] | ["slow_ms", "then"] => {
                Ok(Self::Slow(Duration::from_millis(number("slow_ms").ok_or_else(wrong)?), then()?))
            }
            ["after", "then"] => Ok(Self::After(number("after").ok_or_else(wrong)?, then()?)),
            ["flip"] => {
                let list = object.get("flip").and_then(Value::as_array).ok_or_else(wrong)?;
                list.iter().cloned().map(Self::try_from).collect::<Result<_, _>>().map(Self::Flip)
            }
            _ => Err(wrong()),
        }
    }
}

impl Fault {
    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "ok" => Self::Ok,
            "hang" => Self::Hang,
            "stuck" => Self::Stuck,
            "abort" => Self::Abort,
            "segfault" => Self::Segfault,
            "garbage" => Self::Garbage,
            _ => return None,
        })
    }
}

/// Faults by C function. A name that ends in `*` means all that begin so; the longest one that fits counts.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, Fault>")]
pub(crate) struct Faults(BTreeMap<String, Fault>);

impl Faults {
    /// The fault of a function.
    pub(crate) fn of(&self, name: &str) -> Option<&Fault> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(name).or_else(|| {
            let fits = |pattern: &str| pattern.strip_suffix('*').is_some_and(|start| name.starts_with(start));
            self.0.iter().filter(|(pattern, _)| fits(pattern)).max_by_key(|(p, _)| p.len()).map(|(_, fault)| fault)
        })
    }
}

impl TryFrom<BTreeMap<String, Fault>> for Faults {
    type Error = String;

    fn try_from(faults: BTreeMap<String, Fault>) -> Result<Self, String> {
        let known = |name: &str| match name.strip_suffix('*') {
            Some(start) => SYMBOLS.iter().any(|symbol| symbol.starts_with(start)),
            None => SYMBOLS.contains(&name),
        };
        match faults.keys().find(|name| !known(name)) {
            Some(name) => Err(format!("calls: {name} is no function of this library")),
            None => Ok(Self(faults)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults, Played};
    use serde_json::{Value, json};

    fn fault(value: Value) -> Fault {
        serde_json::from_value(value).unwrap()
    }

    fn codes(fault: &Fault, place: &str, calls: usize) -> Vec<u32> {
        (0..calls)
            .map(|_| match fault.play(place) {
                Played::Nothing => 0,
                Played::Return(code) => code,
                Played::Garbage => u32::MAX,
            })
            .collect()
    }

    #[test]
    fn a_fault_may_come_after_some_good_calls_and_may_change_from_call_to_call() {
        let after = fault(json!({"after": 2, "then": {"return": 15}}));
        assert_eq!(codes(&after, "after", 4), [0, 0, 15, 15]);
        let flip = fault(json!({"flip": ["ok", {"return": 15}, {"return": 16}, "garbage"]}));
        assert_eq!(codes(&flip, "flip", 6), [0, 15, 16, u32::MAX, 0, 15]);
        let nested = fault(json!({"after": 1, "then": {"flip": [{"return": 3}, {"return": 4}]}}));
        assert_eq!(codes(&nested, "nested", 4), [0, 3, 4, 3]);
    }

    #[test]
    fn another_fault_at_the_same_place_starts_from_zero() {
        assert_eq!(codes(&fault(json!({"after": 1, "then": {"return": 9}})), "anew", 2), [0, 9]);
        assert_eq!(codes(&fault(json!({"after": 2, "then": {"return": 9}})), "anew", 3), [0, 0, 9]);
    }

    #[test]
    fn what_is_no_fault_and_no_function_is_refused_by_name() {
        for wrong in [json!("hangs"), json!({"return": "x"}), json!({"after": 1}), json!({"return": 1, "flip": []})] {
            let error = serde_json::from_value::<Fault>(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains("is no fault"), "{wrong}: {error}");
        }
        let error = serde_json::from_value::<Faults>(json!({"nvmlDeviceGetUuid": "hang"})).unwrap_err().to_string();
        assert!(error.contains("nvmlDeviceGetUuid is no function"), "{error}");
    }

    #[test]
    fn the_longest_pattern_that_fits_counts() {
        let faults: Faults = serde_json::from_value(json!({
            "*": {"return": 1}, "nvmlDeviceGetNvLink*": {"return": 2}, "nvmlDeviceGetNvLinkState": {"return": 3},
        }))
        .unwrap();
        let code = |name: &str| faults.of(name).cloned();
        assert_eq!(code("nvmlDeviceGetName"), Some(Fault::Return(1)));
        assert_eq!(code("nvmlDeviceGetNvLinkVersion"), Some(Fault::Return(2)));
        assert_eq!(code("nvmlDeviceGetNvLinkState"), Some(Fault::Return(3)));
    }
}
