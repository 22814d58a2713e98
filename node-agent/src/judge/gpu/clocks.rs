//! `clocks`: hardware that slows a GPU down, and a GPU that is slower than its peers under the same load.
//!
//! Where the driver counts the time in a slowdown, the rule uses its share of the time between two readings, twice in a
//! row. Otherwise the rule uses the bit of the clock event reasons, in two samples in a row of a working GPU, because
//! the hardware slowdown bit appears briefly at each change of the performance state.

use crate::judge::core::like_load::{self, Compared};
use crate::judge::core::memory::Step;
use crate::judge::core::peers::Side;
use crate::judge::core::tally::{Answer, Tally, shown};
use crate::judge::core::{Counter, Ground, Judged, Page};
use crate::readings::sample::{ClocksReading, GpuReadings, Section};
use crds::check::Check;
use crds::node_health::Finding;
use crds::reason;

mod rows;
#[cfg(test)]
pub(in crate::judge) mod tests;

pub use rows::RULES;

/// Why clocks are not higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The hardware protects itself: judged.
    Hardware,
    /// The driver keeps the GPU below a temperature: judged as a warning.
    Heat,
    /// There is nothing to do, or somebody set it so.
    Chosen,
    /// A policy of the board is at work, as it was designed: no hardware trouble by itself. A GPU that it slows down more
    /// than its peers is found by comparison.
    Policy,
}

/// One bit of the clock event reasons.
#[derive(Debug)]
pub struct EventReason {
    /// The bit.
    pub bit: u64,
    /// Its name in evidence.
    pub name: &'static str,
    /// What it means for the GPU's health.
    pub why: Why,
}

/// The clock event reasons (nvml.h 13.5.37, `nvmlClocksEventReason*`; 0x200 and 0x400 since R615).
#[rustfmt::skip]
pub static REASONS: &[EventReason] = &[
    EventReason { bit: 0x1, name: "idle", why: Why::Chosen },
    EventReason { bit: APPLICATION_CLOCKS, name: "application clocks", why: Why::Chosen },
    EventReason { bit: 0x4, name: "SW power cap", why: Why::Chosen },
    EventReason { bit: HW_SLOWDOWN, name: "HW slowdown", why: Why::Hardware },
    EventReason { bit: 0x10, name: "sync boost", why: Why::Chosen },
    EventReason { bit: SW_THERMAL, name: "SW thermal", why: Why::Heat },
    EventReason { bit: HW_THERMAL, name: "HW thermal", why: Why::Hardware },
    EventReason { bit: POWER_BRAKE, name: "power brake", why: Why::Hardware },
    EventReason { bit: 0x100, name: "display clocks", why: Why::Chosen },
    // "The board limit (operating) policy": nvml.h names no fault.
    EventReason { bit: 0x200, name: "board limit", why: Why::Policy },
    // "The reliability policy": it caps voltage and clocks for the board's life, also of a new board.
    EventReason { bit: 0x400, name: "reliability", why: Why::Policy },
];

const APPLICATION_CLOCKS: u64 = 0x2;
const HW_SLOWDOWN: u64 = 0x8;
const SW_THERMAL: u64 = 0x20;
const HW_THERMAL: u64 = 0x40;
const POWER_BRAKE: u64 = 0x80;

/// The share of the time between two readings from which a slowdown counts.
const SHARE_PERCENT: u64 = 5;
/// A GPU is working from this share of time with a kernel running, in percent: a short change to or from idle is no
/// load.
const WORKING_PERCENT: u32 = 50;
/// A slowdown that lasts this long on a cool GPU is not caused by heat: ten minutes, in seconds.
const STAYS_SECONDS: i64 = 600;
/// Cool means this many degrees below the GPU's own slowdown threshold.
const COOL_BELOW_CELSIUS: i32 = 10;
/// The smallest distance from the median clock of the peers, in percent of the highest clock. Our estimate: boost
/// clocks of healthy boards differ by a few percent.
const OUTLIER_PERCENT: u32 = 15;

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Clocks,
    means: "A GPU runs slower than it should: its hardware protects itself from heat or from a weak power supply, or it is slower than its peers under the same load. One slow GPU slows down every job that uses it.",
    measured: "nvmlDeviceGetCurrentClocksEventReasons; fields 269 to 271, the time spent in each slowdown (nanoseconds); nvmlDeviceGetClockInfo, nvmlDeviceGetUtilizationRates. Idle clocks, application clocks and the software power cap are set on purpose and never judged; the board limit (0x200) and reliability (0x400) are policies of the board at work, and not judged by themselves.",
    profile: &[],
    metrics: &[
        "gpu_health_gpu_clock_event_reason",
        "gpu_health_gpu_slowdown_seconds_total",
        "gpu_health_gpu_clock_hertz",
        "gpu_health_gpu_utilization_ratio",
    ],
    rules: RULES,
};

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    let gpus = match ground.driver(Section::Clocks) {
        Ok(gpus) => gpus,
        Err(judged) => return *judged,
    };
    let compared = like_load::compare(ground, &gpus, Side::Below, comparable_clock, |gpu| {
        let highest = gpu.clocks.as_ref().and_then(|clocks| clocks.max_sm_mhz).unwrap_or_default();
        f64::from(highest) * f64::from(OUTLIER_PERCENT) / 100.0
    });
    let mut tally = Tally::new(&PAGE, ground);
    for gpu in gpus {
        if let Some(clocks) = &gpu.clocks {
            let name = tally.name(&gpu.pci);
            let one = One { ground, gpu, clocks, name: &name };
            tally.ask(&gpu.pci, one.answers(&compared));
        }
    }
    tally.judged()
}

/// The SM clock, unless application clocks are set.
fn comparable_clock(gpu: &GpuReadings) -> Option<f64> {
    let clocks = gpu.clocks.as_ref()?;
    let is_set = clocks.reasons.is_some_and(|reasons| reasons & APPLICATION_CLOCKS != 0);
    clocks.sm_mhz.filter(|_| !is_set).map(f64::from)
}

/// A kind of slowdown: its bit, its time counter, its reason, and its name.
struct Slowdown {
    bit: u64,
    counter: Option<Counter>,
    reason: &'static str,
    what: &'static str,
}

const SLOWDOWNS: &[Slowdown] = &[
    Slowdown {
        bit: HW_THERMAL,
        counter: Some(Counter::HwThermalNs),
        reason: reason::HW_THERMAL_SLOWDOWN,
        what: "hardware thermal slowdown",
    },
    Slowdown {
        bit: POWER_BRAKE,
        counter: Some(Counter::PowerBrakeNs),
        reason: reason::POWER_BRAKE,
        what: "the power brake",
    },
    Slowdown { bit: HW_SLOWDOWN, counter: None, reason: reason::HW_SLOWDOWN, what: "hardware slowdown" },
    Slowdown {
        bit: SW_THERMAL,
        counter: Some(Counter::SwThermalNs),
        reason: reason::SW_THERMAL_SLOWDOWN,
        what: "software thermal slowdown",
    },
];

/// One GPU as the rules see it.
struct One<'a> {
    ground: &'a Ground<'a>,
    gpu: &'a GpuReadings,
    clocks: &'a ClocksReading,
    name: &'a str,
}

impl One<'_> {
    fn answers(&self, compared: &Compared) -> Vec<(&'static str, Answer)> {
        let mut answers: Vec<_> = SLOWDOWNS.iter().map(|kind| (kind.reason, self.slowed(kind))).collect();
        answers.push((reason::SLOWDOWN_STAYS, self.stays()));
        answers.push((reason::CLOCK_OUTLIER, self.outlier(compared)));
        answers
    }

    fn slowed(&self, kind: &Slowdown) -> Answer {
        if let Some((last, former)) = self.last_steps(kind) {
            let too_much = share_percent(last) > SHARE_PERCENT
                && (self.stands(kind.reason) || former.is_some_and(|step| share_percent(step) > SHARE_PERCENT));
            return Answer::when(Some(too_much), || {
                let message = format!(
                    "{}: {} % of the last {} s in {}; {SHARE_PERCENT} % are allowed",
                    self.name,
                    share_percent(last),
                    last.to.saturating_sub(last.from) / 1000,
                    kind.what
                );
                (message, self.evidence())
            });
        }
        let bits = if kind.bit == HW_SLOWDOWN { self.plain_slowdown() } else { self.twice(kind.bit) };
        Answer::when(bits, || {
            (format!("{}: in {} in two readings in a row while at work", self.name, kind.what), self.evidence())
        })
    }

    /// The hardware slowdown bit alone: the more specific reasons set it too, and then only they are reported.
    fn plain_slowdown(&self) -> Option<bool> {
        let reasons = self.clocks.reasons?;
        Some(reasons & (HW_THERMAL | POWER_BRAKE) == 0 && self.twice(HW_SLOWDOWN)?)
    }

    /// Whether the bit is set in two samples in a row of a working GPU; a standing finding stays as long as its bit.
    fn twice(&self, bit: u64) -> Option<bool> {
        let is_set = self.clocks.reasons? & bit != 0;
        let stood = SLOWDOWNS.iter().any(|kind| kind.bit == bit && self.stands(kind.reason));
        let was_set = self
            .former()
            .is_some_and(|former| works(former) && former.reasons.is_some_and(|reasons| reasons & bit != 0));
        Some(is_set && (stood || (was_set && works(self.clocks))))
    }

    /// The step to this reading and the one before it, if the driver counts the time and this reading has it.
    fn last_steps(&self, kind: &Slowdown) -> Option<(Step, Option<Step>)> {
        let counter = kind.counter?;
        let is_reported = match counter {
            Counter::HwThermalNs => self.clocks.hw_thermal_ns,
            Counter::PowerBrakeNs => self.clocks.power_brake_ns,
            _ => self.clocks.sw_thermal_ns,
        };
        is_reported?;
        let mut steps = self.ground.memory.steps(&self.gpu.pci, counter).rev();
        Some((steps.next()?, steps.next()))
    }

    /// A hardware slowdown that persists on a cool GPU.
    fn stays(&self) -> Answer {
        let slowed =
            self.clocks.reasons.map(|reasons| reasons & (HW_SLOWDOWN | HW_THERMAL) != 0 && reasons & POWER_BRAKE == 0);
        let Some(standing) = self.standing() else { return Answer::when(slowed.map(|_| false), Default::default) };
        let lasts = standing.reason == reason::SLOWDOWN_STAYS
            || ([reason::HW_SLOWDOWN, reason::HW_THERMAL_SLOWDOWN].contains(&standing.reason.as_str())
                && self.ground.now.wall().since(standing.since) >= STAYS_SECONDS
                && self.is_cool());
        Answer::when(slowed.map(|slowed| slowed && lasts), || {
            let celsius = self.gpu.thermal.as_ref().and_then(|thermal| thermal.gpu_celsius);
            let message = format!(
                "{}: still slowed down by hardware after {} s although it is cool ({} C)",
                self.name,
                self.ground.now.wall().since(standing.since),
                shown(celsius)
            );
            (message, self.evidence())
        })
    }

    /// Well below the slowdown threshold, in this reading and the one before.
    fn is_cool(&self) -> bool {
        let is_cool = |gpu: &GpuReadings| {
            let degrees = gpu.thermal.as_ref().and_then(super::thermal::below_slowdown);
            degrees.is_some_and(|degrees| degrees >= COOL_BELOW_CELSIUS)
        };
        is_cool(self.gpu) && self.ground.before(&self.gpu.pci).is_some_and(is_cool)
    }

    fn outlier(&self, compared: &Compared) -> Answer {
        Answer::when(compared.is_odd(&self.gpu.pci), || {
            let (clock, median) = compared.values(&self.gpu.pci);
            let message = format!(
                "{}: SM clock {clock:.0} MHz; the median of the node's GPUs under the same load is {median:.0} MHz",
                self.name
            );
            (message, self.evidence())
        })
    }

    fn former(&self) -> Option<&ClocksReading> {
        self.ground.before(&self.gpu.pci)?.clocks.as_ref()
    }

    fn standing(&self) -> Option<&Finding> {
        self.ground.findings.get(PAGE.check.name(), &self.gpu.pci)
    }

    fn stands(&self, reason: &str) -> bool {
        self.standing().is_some_and(|finding| finding.reason == reason)
    }

    fn evidence(&self) -> String {
        let ClocksReading {
            reasons, sw_thermal_ns, hw_thermal_ns, power_brake_ns, sm_mhz, utilization_percent, ..
        } = self.clocks;
        format!(
            "reasons {}, ns in SW thermal {}, HW thermal {}, power brake {}; SM {} MHz, utilization {} %",
            reasons.map_or_else(|| "-".to_owned(), in_words),
            shown(*sw_thermal_ns),
            shown(*hw_thermal_ns),
            shown(*power_brake_ns),
            shown(*sm_mhz),
            shown(*utilization_percent)
        )
    }
}

/// `0x48 (HW slowdown, HW thermal)`
fn in_words(reasons: u64) -> String {
    let names: Vec<&str> =
        REASONS.iter().filter(|reason| reasons & reason.bit != 0).map(|reason| reason.name).collect();
    if names.is_empty() { format!("0x{reasons:x}") } else { format!("0x{reasons:x} ({})", names.join(", ")) }
}

fn works(clocks: &ClocksReading) -> bool {
    clocks.utilization_percent.is_some_and(|busy| busy >= WORKING_PERCENT)
}

/// The share of a step during which a nanosecond counter rose, in percent, at most 100.
fn share_percent(step: Step) -> u64 {
    let whole_ns = step.to.saturating_sub(step.from).saturating_mul(1_000_000).max(1);
    let percent = u128::from(step.by) * 100 / u128::from(whole_ns);
    u64::try_from(percent).unwrap_or(100).min(100)
}
