//! Whatever happens between two readings, every increase that a correct observer could see is counted once, and nothing
//! else is.
//!
//! The observer here knows the readings and the baselines, and nothing of steps, windows and limits. Each mutant is a
//! harness that omits one of the rules; the same property must catch it.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

const PCI: &str = "0000:18:00.0";
/// One counter that restarts with the driver, and one stored on the board.
const COUNTERS: [Counter; 2] = [Counter::PcieReplays, Counter::EccCorrected];
const MINUTE_MS: u64 = 60_000;

#[derive(Clone, Debug)]
enum Happens {
    /// Time passes, and the counters are read.
    Read(u64),
    /// Both counters rise.
    Rise(u64),
    /// The driver is reloaded or the GPU reset: the driver's counter restarts from zero.
    Reset,
    /// One reading is too low, by this many percent of the true value.
    Lie(u64),
    /// The report is written, with its baselines.
    Write,
    Restart,
    Boot,
    /// A maintenance ends.
    BeginAnew,
    /// Another board with other counter values; the agent may not have been running.
    Swap {
        value: u64,
        restarts: bool,
    },
    /// The wall clock jumps.
    ClockJumps(i64),
    /// The driver stops reporting the serial number, or reports it again.
    SerialUnread,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => (1_u64..10 * MINUTE_MS).prop_map(Happens::Read),
        8 => (1_u64..2_000).prop_map(Happens::Rise),
        2 => Just(Happens::Reset),
        2 => (1_u64..49).prop_map(Happens::Lie),
        3 => Just(Happens::Write),
        2 => Just(Happens::Restart),
        1 => Just(Happens::Boot),
        1 => Just(Happens::BeginAnew),
        1 => (0_u64..5_000, any::<bool>()).prop_map(|(value, restarts)| Happens::Swap { value, restarts }),
        1 => (-100_000_000_i64..100_000_000).prop_map(Happens::ClockJumps),
        1 => Just(Happens::SerialUnread),
    ]
}

/// What the harness omits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// Nothing.
    None,
    /// A starting agent does not read its report.
    NothingRestored,
    /// Restored values are restored again after the first reading.
    RestoredTwice,
    /// A boot goes unnoticed.
    BootUnseen,
    /// A swapped board goes unnoticed.
    BoardUnseen,
    /// Counting does not start over after maintenance.
    GoesOn,
}

/// What a correct observer of one counter knows.
#[derive(Clone, Copy, Debug, Default)]
struct Observer {
    /// The last value that was trusted.
    mark: Option<u64>,
    /// Whether the counter has certainly restarted from zero since then.
    began: bool,
    /// The rise seen since this process, or the one that wrote the baselines, began.
    saw: u64,
}

impl Observer {
    fn read(&mut self, value: u64) {
        match self.mark {
            None => {}
            Some(_) if self.began => self.saw += value,
            Some(mark) if value >= mark => self.saw += value - mark,
            Some(mark) if value <= mark / 2 => self.saw += value,
            Some(_) => return,
        }
        (self.mark, self.began) = (Some(value), false);
    }
}

struct World {
    mutant: Mutant,
    memory: Memory,
    now: Now,
    values: [u64; 2],
    observers: [Observer; 2],
    board: u64,
    boot: u64,
    serial_unread: bool,
    written: Option<(Vec<Baseline>, [Observer; 2], u64)>,
}

impl World {
    fn new(mutant: Mutant) -> Self {
        Self {
            mutant,
            memory: Memory::default(),
            now: Now { unix_ms: 1_800_000_000_000, mono_ms: 1_000 },
            values: [7, 70],
            observers: [Observer::default(); 2],
            board: 0,
            boot: 0,
            serial_unread: false,
            written: None,
        }
    }

    fn boot_id(&self) -> String {
        let boot = if self.mutant == Mutant::BootUnseen { 0 } else { self.boot };
        format!("boot-{boot}")
    }

    fn happen(&mut self, what: &Happens) {
        match what {
            Happens::Read(ms) => {
                self.pass(*ms);
                self.read(self.values);
            }
            Happens::Rise(by) => {
                self.values.iter_mut().for_each(|value| *value += by);
            }
            Happens::Reset => self.values[0] = 0,
            Happens::Lie(percent) => {
                self.pass(MINUTE_MS);
                let lies = [0, 1].map(|index: usize| {
                    let value = self.values[index];
                    // A wrong reading of a counter that was just reset cannot be detected by anyone.
                    let is_known = self.observers[index].mark.is_some_and(|mark| value >= mark);
                    if is_known && !self.observers[index].began { value - value * percent / 100 } else { value }
                });
                self.read(lies);
            }
            Happens::Write => {
                let baselines = self.memory.baselines(&self.boot_id(), self.now.wall(), 64);
                self.written = Some((baselines, self.observers.map(|known| Observer { saw: 0, ..known }), self.board));
            }
            Happens::Restart => self.restart(),
            Happens::Boot => {
                self.boot += 1;
                self.values[0] = 0;
                self.pass(5 * MINUTE_MS);
                if let Some((_, observers, _)) = &mut self.written {
                    observers[0].began = observers[0].mark.is_some();
                }
                self.restart();
            }
            Happens::BeginAnew => {
                if self.mutant != Mutant::GoesOn {
                    self.memory.begin_anew();
                }
                self.observers = [Observer::default(); 2];
            }
            Happens::Swap { value, restarts } => {
                // The serial number must have been reported once.
                self.serial_unread = false;
                self.happen(&Happens::Read(MINUTE_MS));
                self.happen(&Happens::Write);
                self.board += 1;
                self.values = [*value, value * 3];
                if *restarts {
                    self.restart();
                }
                self.observers = [Observer::default(); 2];
                self.happen(&Happens::Read(MINUTE_MS));
                self.happen(&Happens::Write);
            }
            Happens::ClockJumps(seconds) => self.now.unix_ms += seconds * 1000,
            Happens::SerialUnread => self.serial_unread = !self.serial_unread,
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += i64::try_from(ms).unwrap();
    }

    fn read(&mut self, values: [u64; 2]) {
        if self.mutant != Mutant::BoardUnseen {
            let serial = format!("board-{}", self.board);
            self.memory.recognize(PCI, (!self.serial_unread).then_some(serial.as_str()));
        }
        for ((counter, value), observer) in COUNTERS.into_iter().zip(values).zip(&mut self.observers) {
            self.memory.note(PCI, counter, value, self.now);
            observer.read(value);
        }
    }

    /// A new process does not know what happened after the report was written.
    fn restart(&mut self) {
        self.memory = Memory::default();
        let known = self.written.clone();
        self.observers = [Observer::default(); 2];
        let Some((baselines, observers, board)) = known else { return };
        if self.mutant != Mutant::NothingRestored {
            self.memory.restore(&baselines, &self.boot_id(), self.now);
        }
        if self.mutant == Mutant::RestoredTwice {
            self.memory.restored.clear();
            self.memory.restore(&baselines, "another boot", self.now);
        }
        if board == self.board {
            self.observers = observers;
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (counter, observer) in COUNTERS.into_iter().zip(&self.observers) {
            let sum = self.memory.increase(PCI, counter, u64::MAX, self.now).map_or(0, |(by, _)| by);
            prop_assert_eq!(sum, observer.saw, "{:?}: counted, and seen by a correct observer", counter);
            let steps: Vec<Step> = self.memory.steps(PCI, counter).collect();
            prop_assert!(steps.len() <= STEPS);
            prop_assert!(steps.iter().all(|step| step.from <= step.to && step.to <= self.now.mono_ms));
            prop_assert!(steps.windows(2).all(|pair| pair[0].to <= pair[1].from), "steps overlap: {:?}", steps);
        }
        Ok(())
    }
}

fn run(mutant: Mutant, events: &[Happens]) -> Result<(), TestCaseError> {
    let mut world = World::new(mutant);
    for event in events {
        world.happen(event);
        if matches!(event, Happens::Read(_) | Happens::Lie(_) | Happens::Swap { .. }) {
            world.check()?;
        }
    }
    Ok(())
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
}

/// Several hours, less than the horizon of a day.
fn story() -> impl Strategy<Value = Vec<Happens>> {
    prop::collection::vec(happens(), 1..140)
}

#[test]
fn every_rise_that_a_correct_observer_sees_is_counted_once_over_resets_boots_restarts_and_clocks_that_are_set() {
    let outcome = runner(10_000).run(&story(), |events| run(Mutant::None, &events));
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_memory_that_forgets_one_of_its_rules_is_noticed() {
    for mutant in
        [Mutant::NothingRestored, Mutant::RestoredTwice, Mutant::BootUnseen, Mutant::BoardUnseen, Mutant::GoesOn]
    {
        let outcome = runner(2_000).run(&story(), |events| run(mutant, &events));
        assert!(matches!(outcome, Err(TestError::Fail(..))), "{mutant:?} is not noticed");
    }
}

/// Rises by minute, over more than a day, with quiet hours and bursts.
fn minutes() -> impl Strategy<Value = Vec<u64>> {
    let stretch = prop_oneof![
        4 => (1_usize..400).prop_map(|minutes| vec![0; minutes]),
        3 => prop::collection::vec(0_u64..3, 1..200),
        1 => prop::collection::vec(500_u64..1_000, 1..5),
        2 => (1_u64..4, 2_usize..12, 1_usize..30).prop_map(|(by, every, times)| {
            (0..every * times).map(|minute| if minute % every == 0 { by } else { 0 }).collect()
        }),
    ];
    prop::collection::vec(stretch, 1..14).prop_map(|stretches| stretches.concat())
}

#[test]
fn a_window_tells_what_rose_in_it_however_many_steps_were_joined() {
    let outcome = runner(10_000).run(&(minutes(), 1_u64..1_400), |(rises, window)| {
        let mut memory = Memory::default();
        let (mut value, mut now) = (0, Now { unix_ms: 1_800_000_000_000, mono_ms: 1_000 });
        memory.note(PCI, Counter::PcieReplays, 0, now);
        for by in &rises {
            value += by;
            now.mono_ms += MINUTE_MS;
            memory.note(PCI, Counter::PcieReplays, value, now);
        }
        let within = |minutes: u64| -> u64 { rises.iter().rev().take(usize::try_from(minutes).unwrap()).sum() };
        let counted = memory.increase(PCI, Counter::PcieReplays, window * MINUTE_MS, now).map_or(0, |(by, _)| by);
        // The last half hour is known by the minute; an older step is no longer than half of its age.
        let (least, most) = if window <= 30 { (window, window) } else { (window / 2, window * 2) };
        prop_assert!(
            (within(least)..=within(most)).contains(&counted),
            "{} within {}..={} of {} min",
            counted,
            within(least),
            within(most),
            window
        );
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
}
