//! The calls in progress: every call into the driver's library goes through here.
//!
//! A call is recorded before it begins and removed after it returns. No lock is held during a call, so that the
//! watchdog can report one that does not return.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::pci::PciAddress;
use crate::readings::sample::CallTime;
use crate::readings::talk::Hung;

/// Every C function that the sampler calls. Debug builds stop if another one is called.
pub const SYMBOLS: &[&str] = &[
    "nvmlInit_v2",
    "nvmlShutdown",
    "nvmlSystemGetDriverVersion",
    "nvmlSystemGetNVMLVersion",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetPciInfo_v3",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetSerial",
    "nvmlDeviceGetName",
    "nvmlDeviceGetVbiosVersion",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetPersistenceMode",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetGpuUptime_v1",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetEccMode",
    "nvmlDeviceGetTotalEccErrors",
    "nvmlDeviceGetMemoryErrorCounter",
    "nvmlDeviceGetSramEccErrorStatus",
    "nvmlDeviceGetPlatformInfo",
    "nvmlDeviceGetRemappedRows",
    "nvmlDeviceGetRowRemapperHistogram",
    "nvmlDeviceGetRetiredPages_v2",
    "nvmlDeviceGetRetiredPages",
    "nvmlDeviceGetRetiredPagesPendingStatus",
    "nvmlDeviceGetBankRemapperStatus_v1",
    "nvmlDeviceGetRepairStatus",
    "nvmlDeviceGetUnrepairableMemoryFlag_v1",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetMaxClockInfo",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetPerformanceState",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetTemperatureThreshold",
    "nvmlDeviceGetMarginTemperature",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetPowerManagementLimit",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetPowerManagementDefaultLimit",
    "nvmlDeviceGetCurrPcieLinkGeneration",
    "nvmlDeviceGetCurrPcieLinkWidth",
    "nvmlDeviceGetMaxPcieLinkGeneration",
    "nvmlDeviceGetMaxPcieLinkWidth",
    "nvmlDeviceGetPcieReplayCounter",
    "nvmlDeviceGetNvLinkState",
    "nvmlDeviceGetNvLinkRemotePciInfo_v2",
    "nvmlDeviceGetNvLinkErrorCounter",
    "nvmlDeviceGetGpuFabricInfoV",
    "nvmlDeviceGetGpuFabricInfo",
    "nvmlDeviceGetTopologyCommonAncestor",
    "nvmlEventSetCreate",
    "nvmlDeviceGetSupportedEventTypes",
    "nvmlDeviceRegisterEvents",
    "nvmlEventSetWait_v2",
    "nvmlEventSetFree",
];

/// Which GPU a call is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// The library's index.
    pub(crate) index: Option<u32>,
    /// The GPU's PCI address, if known.
    pub(crate) pci: Option<PciAddress>,
}

/// The calls of the two threads that make any.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Calls of the thread that answers requests.
    pub(super) asked: Thread,
    /// Calls of the thread that waits for events.
    pub(super) events: Thread,
    /// When the watchdog last ran.
    looked: Mutex<Option<Instant>>,
}

/// How long a call may take before it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadlines {
    /// The start of the library, which wakes every GPU up and may take half a minute on a healthy node.
    pub(super) init: Duration,
    /// Any other call.
    pub(super) call: Duration,
}

impl Deadlines {
    fn of(self, name: &str) -> Duration {
        if name == INIT { self.init } else { self.call }
    }
}

const INIT: &str = "nvmlInit_v2";

/// A call that is past its deadline, and the thread that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) hung: Hung,
    pub(super) thread: Pid,
}

/// If the watchdog is late by this many of its pauses, the whole process did not run: its container was frozen, it was
/// stopped, or its machine was migrated. That time is not charged to any call.
const STOOD_STILL: u32 = 4;

/// How long the watchdog waits between two looks: it detects a hang late by at most an eighth of the deadline.
pub(super) fn pause(deadline: Duration) -> Duration {
    (deadline / 8).clamp(Duration::from_millis(5), Duration::from_millis(500))
}

/// The current call of one thread, and the slowest one since the last [`Self::watch`].
#[derive(Debug, Default)]
pub(crate) struct Thread(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    now: Option<UnderWay>,
    slowest: Option<(&'static str, Duration)>,
    /// By C function, while times are recorded.
    times: Option<BTreeMap<&'static str, Times>>,
}

#[derive(Debug, Default)]
struct Times {
    count: u32,
    total: Duration,
    longest: Duration,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    name: &'static str,
    about: About,
    since: Instant,
    /// How long the call is expected to take.
    meant: Duration,
    is_reported: bool,
    thread: Pid,
}

impl Calls {
    /// The calls that are past their deadline; each is reported once.
    pub(super) fn hung(&self, deadlines: Deadlines) -> impl Iterator<Item = Late> {
        let stood_still = self.stood_still(deadlines.call);
        [&self.asked, &self.events].into_iter().filter_map(move |thread| thread.hung(deadlines, stood_still))
    }

    /// How long the whole process did not run since the last look.
    fn stood_still(&self, deadline: Duration) -> Duration {
        let now = Instant::now();
        let before = self.looked.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        let since = before.map_or(Duration::ZERO, |before| now.saturating_duration_since(before));
        if since > pause(deadline) * STOOD_STILL { since } else { Duration::ZERO }
    }
}

impl Thread {
    /// Records a call of the library.
    pub(super) fn begin(&self, name: &'static str, about: About, meant: Duration) -> Begun<'_> {
        debug_assert!(SYMBOLS.contains(&name), "{name} is missing from SYMBOLS");
        self.begin_other(name, about, meant)
    }

    /// Records an operation that may hang too but is not a function of the library.
    pub(super) fn begin_other(&self, name: &'static str, about: About, meant: Duration) -> Begun<'_> {
        let thread = rustix::thread::gettid();
        self.state().now = Some(UnderWay { name, about, since: Instant::now(), meant, is_reported: false, thread });
        Begun(self)
    }

    /// Starts a new search for the slowest call; with `timings`, also records the times of all calls.
    pub(super) fn watch(&self, timings: bool) {
        let mut state = self.state();
        state.slowest = None;
        state.times = timings.then(BTreeMap::new);
    }

    /// The slowest call since [`Self::watch`].
    pub(super) fn slowest(&self) -> Option<(&'static str, Duration)> {
        self.state().slowest
    }

    /// The times of all calls since [`Self::watch`], if they were recorded.
    pub(super) fn take_times(&self) -> Vec<CallTime> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let times = self.state().times.take().unwrap_or_default();
        times
            .into_iter()
            .map(|(call, Times { count, total, longest })| CallTime {
                call: call.to_owned(),
                count,
                total_us: micros(total),
                longest_us: micros(longest),
            })
            .collect()
    }

    fn hung(&self, deadlines: Deadlines, stood_still: Duration) -> Option<Late> {
        let mut state = self.state();
        let call = state.now.as_mut()?;
        call.meant += stood_still;
        let past = call.since.elapsed().checked_sub(call.meant)?;
        if call.is_reported || past <= deadlines.of(call.name) {
            return None;
        }
        call.is_reported = true;
        let hung = Hung {
            call: call.name.to_owned(),
            index: call.about.index,
            pci: call.about.pci.map(|pci| pci.to_string()),
            for_ms: u64::try_from(past.as_millis()).unwrap_or(u64::MAX),
            in_kernel: false,
        };
        Some(Late { hung, thread: call.thread })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in progress; dropping this means that it has returned.
pub(super) struct Begun<'a>(&'a Thread);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let Some(call) = state.now.take() else { return };
        let took = call.since.elapsed();
        if state.slowest.is_none_or(|(_, slowest)| took > slowest) {
            state.slowest = Some((call.name, took));
        }
        if let Some(times) = &mut state.times {
            let times = times.entry(call.name).or_default();
            times.count = times.count.saturating_add(1);
            times.total += took;
            times.longest = times.longest.max(took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(seconds: u64) -> Deadlines {
        Deadlines { init: Duration::from_secs(seconds), call: Duration::from_secs(seconds) }
    }

    const HERE: About = About { index: Some(3), pci: None };

    #[test]
    fn a_call_past_its_deadline_is_told_once_with_its_name() {
        let calls = Calls::default();
        let begun = calls.asked.begin("nvmlDeviceGetUUID", HERE, Duration::ZERO);
        assert_eq!(calls.hung(within(60)).count(), 0);
        let late: Vec<Late> = std::iter::repeat_with(|| calls.hung(within(0)).next()).flatten().take(1).collect();
        assert_eq!((late[0].hung.call.as_str(), late[0].hung.index), ("nvmlDeviceGetUUID", Some(3)));
        assert_eq!(calls.hung(within(0)).count(), 0);
        drop(begun);
        assert_eq!(calls.asked.slowest().map(|(name, _)| name), Some("nvmlDeviceGetUUID"));
        calls.asked.watch(true);
        assert_eq!((calls.asked.slowest(), calls.asked.take_times()), (None, Vec::new()));
    }

    #[test]
    fn the_times_of_all_calls_are_kept_while_somebody_wants_to_know() {
        let calls = Calls::default();
        calls.asked.watch(true);
        for name in ["nvmlDeviceGetUUID", "nvmlDeviceGetUUID", "nvmlDeviceGetName"] {
            drop(calls.asked.begin(name, HERE, Duration::ZERO));
        }
        let times = calls.asked.take_times();
        let counts: Vec<(&str, u32)> = times.iter().map(|time| (time.call.as_str(), time.count)).collect();
        assert_eq!(counts, [("nvmlDeviceGetName", 1), ("nvmlDeviceGetUUID", 2)]);
        assert!(times.iter().all(|time| time.longest_us <= time.total_us));
        drop(calls.asked.begin("nvmlDeviceGetUUID", HERE, Duration::ZERO));
        assert!(calls.asked.take_times().is_empty());
    }

    #[test]
    fn the_start_of_the_library_has_a_deadline_of_its_own() {
        let calls = Calls::default();
        let _begun = calls.asked.begin(INIT, About::default(), Duration::ZERO);
        let patient = Deadlines { init: Duration::from_secs(60), call: Duration::ZERO };
        assert_eq!(calls.hung(patient).count(), 0);
        assert!(std::iter::repeat_with(|| calls.hung(within(0)).count()).any(|late| late == 1));
    }

    #[test]
    fn a_wait_that_is_meant_to_take_its_time_is_not_hung_meanwhile() {
        let calls = Calls::default();
        let _begun = calls.events.begin("nvmlEventSetWait_v2", About::default(), Duration::from_secs(60));
        assert_eq!(calls.hung(within(0)).count(), 0);
    }

    #[test]
    fn the_time_in_which_the_whole_process_stood_still_counts_against_no_call() {
        let calls = Calls::default();
        let _begun = calls.asked.begin("nvmlDeviceGetUUID", HERE, Duration::ZERO);
        *calls.looked.lock().unwrap_or_else(PoisonError::into_inner) =
            Instant::now().checked_sub(Duration::from_secs(60));
        assert_eq!(calls.hung(within(0)).count(), 0);
        assert_eq!(calls.hung(within(0)).count(), 0);
    }

    #[test]
    fn the_list_of_symbols_is_that_of_the_calls_in_the_code() {
        let text =
            concat!(include_str!("raw.rs"), include_str!("raw/event_set.rs"), include_str!("raw/newer_calls.rs"));
        let mut called: Vec<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| {
                ["nvmlInit", "nvmlShutdown", "nvmlSystemGet", "nvmlDeviceGet", "nvmlDeviceRegister", "nvmlEventSet"]
                    .iter()
                    .any(|prefix| word.starts_with(prefix))
                    && !word.ends_with("_t")
            })
            .collect();
        called.sort_unstable();
        called.dedup();
        let mut listed = SYMBOLS.to_vec();
        listed.sort_unstable();
        assert_eq!(called, listed);
    }
}
