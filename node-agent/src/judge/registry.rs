//! The monitors: one row for each check that the agent runs continuously. A new monitor is a new row here.
//!
//! These rows determine what is read and how often, when a monitor is suspended, which judge it has, and its page in
//! `docs/checks`.

use super::core::{DEFAULT_INTERVAL_SECONDS, Expectation, Ground, Judged, Page, interval_seconds};
#[cfg(test)]
use super::samples::Table;
use super::{gpu, kernel_log, link, net, xid};
use crate::readings::sample::Section;
use crds::check::Check;
use crds::node_health::Monitor as Wanted;
use crds::reason;

/// One monitor.
#[derive(Debug)]
pub struct Monitor {
    /// The check, and its page in the documentation.
    pub page: &'static Page,
    /// What it reads.
    pub reads: Reads,
    /// The judge: from readings to findings.
    pub judge: Judge,
    /// When it is suspended.
    pub grace: Grace,
    /// Its readings are taken at every n-th interval; it judges at each.
    pub reading_intervals: i64,
    /// How many readings in a row its rules need before every one of them can fire. The agent takes readings for ever; a
    /// look that ends must take as many. (Rates over minutes or hours need more than any look takes.)
    pub readings: u32,
    /// The GPUs that it must have judged to have judged the node.
    pub extent: Extent,
    /// A finding that counts only after it has stood for a while: its reason, and how long, in seconds.
    pub matures: Option<(&'static str, i64)>,
    /// Whether it runs before the node has a NodeHealth that lists the monitors.
    pub before_spec: bool,
    /// Samples of what nodes show, which test its rules.
    #[cfg(test)]
    pub(crate) samples: Option<&'static Table>,
}

/// The judge of a monitor.
pub type Judge = fn(&Ground<'_>) -> Judged;

/// What a monitor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Sections of the driver's sample.
    pub driver: &'static [Section],
    /// The node's device tree in sysfs.
    pub tree: Tree,
    /// The kernel log.
    pub kernel_log: bool,
}

/// How a monitor uses the node's device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Not at all.
    Unread,
    /// Used if another monitor has it read; never asks for a reading.
    Shared,
    /// Read at each interval of the monitor.
    Read,
}

/// Which GPUs a monitor must have judged, so that the others cannot hide behind its Pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every one: each GPU answers what it reads.
    EveryGpu,
    /// Every one of a model of which it judged one: a model may lack what it reads.
    EveryGpuOfAModel,
    /// As before, but a GPU in MIG mode is left out by rule.
    EveryWholeGpuOfAModel,
    /// What it reads does not belong to single GPUs.
    NotByGpu,
}

/// When a monitor is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Never by rule; its judge may still skip.
    None,
    /// During maintenance, and after a boot while the driver and its daemons start. Readings taken in that time do not
    /// count afterwards.
    BootAndMaintenance,
}

/// The defaults of most monitors: nothing read, no grace, a reading at every interval.
const fn monitor(page: &'static Page, judge: Judge) -> Monitor {
    Monitor {
        page,
        reads: Reads { driver: &[], tree: Tree::Unread, kernel_log: false },
        judge,
        grace: Grace::None,
        reading_intervals: 1,
        readings: 1,
        extent: Extent::EveryGpuOfAModel,
        matures: None,
        before_spec: false,
        #[cfg(test)]
        samples: None,
    }
}

/// Reads these sections of the driver's sample and nothing else.
const fn driver(sections: &'static [Section]) -> Reads {
    Reads { driver: sections, tree: Tree::Unread, kernel_log: false }
}

/// Reads these sections, and the device tree at each interval of the monitor.
const fn driver_and_tree(sections: &'static [Section]) -> Reads {
    Reads { driver: sections, tree: Tree::Read, kernel_log: false }
}

/// Every monitor of the agent. The checks of heat, power and PCIe also read the section of clocks, which has the load.
pub static MONITORS: &[Monitor] = &[
    Monitor {
        reads: driver_and_tree(&[Section::Driver]),
        grace: Grace::BootAndMaintenance,
        readings: 2,
        extent: Extent::EveryGpu,
        before_spec: true,
        ..monitor(&gpu::inventory::PAGE, gpu::inventory::judge)
    },
    Monitor {
        reads: Reads { driver: &[Section::Driver], tree: Tree::Shared, kernel_log: false },
        grace: Grace::BootAndMaintenance,
        extent: Extent::EveryGpu,
        #[cfg(test)]
        samples: Some(&gpu::driver::tests::TABLE),
        ..monitor(&gpu::driver::PAGE, gpu::driver::judge)
    },
    Monitor {
        reads: Reads { driver: &[], tree: Tree::Unread, kernel_log: true },
        // What the driver announces comes between readings.
        readings: 2,
        extent: Extent::NotByGpu,
        before_spec: true,
        ..monitor(&xid::PAGE, xid::judge)
    },
    Monitor {
        reads: Reads { driver: &[], tree: Tree::Unread, kernel_log: true },
        extent: Extent::NotByGpu,
        ..monitor(&kernel_log::PAGE, kernel_log::judge)
    },
    Monitor {
        reads: driver(&[Section::RecoveryAction]),
        #[cfg(test)]
        samples: Some(&gpu::recovery::tests::TABLE),
        ..monitor(&gpu::recovery::PAGE, gpu::recovery::judge)
    },
    Monitor {
        reads: driver(&[Section::Ecc]),
        #[cfg(test)]
        samples: Some(&gpu::ecc::tests::TABLE),
        ..monitor(&gpu::ecc::PAGE, gpu::ecc::judge)
    },
    Monitor {
        reads: driver(&[Section::RowRemap]),
        #[cfg(test)]
        samples: Some(&gpu::row_remap::tests::TABLE),
        ..monitor(&gpu::row_remap::PAGE, gpu::row_remap::judge)
    },
    Monitor {
        reads: driver(&[Section::Clocks, Section::Thermal]),
        // A share of the time between two readings, twice in a row.
        readings: 3,
        extent: Extent::EveryGpu,
        #[cfg(test)]
        samples: Some(&gpu::clocks::tests::TABLE),
        ..monitor(&gpu::clocks::PAGE, gpu::clocks::judge)
    },
    Monitor {
        reads: driver(&[Section::Thermal, Section::Clocks]),
        readings: 2,
        extent: Extent::EveryGpu,
        #[cfg(test)]
        samples: Some(&gpu::thermal::tests::TABLE),
        ..monitor(&gpu::thermal::PAGE, gpu::thermal::judge)
    },
    Monitor {
        reads: driver(&[Section::Power, Section::Clocks]),
        readings: 2,
        #[cfg(test)]
        samples: Some(&gpu::power::tests::TABLE),
        ..monitor(&gpu::power::PAGE, gpu::power::judge)
    },
    Monitor {
        reads: driver_and_tree(&[Section::Pcie, Section::Clocks]),
        readings: 2,
        extent: Extent::EveryGpu,
        #[cfg(test)]
        samples: Some(&link::pcie_link::tests::TABLE),
        ..monitor(&link::pcie_link::PAGE, link::pcie_link::judge)
    },
    Monitor {
        // The section of the fabric tells links that wait for a partition from faulty ones.
        reads: driver(&[Section::Nvlink, Section::Fabric]),
        readings: 2,
        extent: Extent::EveryWholeGpuOfAModel,
        #[cfg(test)]
        samples: Some(&link::nvlink::tests::TABLE),
        ..monitor(&link::nvlink::PAGE, link::nvlink::judge)
    },
    Monitor {
        reads: driver(&[Section::Fabric]),
        grace: Grace::BootAndMaintenance,
        readings: 2,
        matures: Some((reason::FABRIC_NOT_READY, link::fabric::SET_UP_SECONDS)),
        #[cfg(test)]
        samples: Some(&link::fabric::tests::TABLE),
        ..monitor(&link::fabric::PAGE, link::fabric::judge)
    },
    Monitor {
        reads: driver_and_tree(&[Section::Topology]),
        // A reading costs one call per pair of GPUs, and only a reboot changes the result.
        reading_intervals: 10,
        readings: 2,
        extent: Extent::NotByGpu,
        #[cfg(test)]
        samples: Some(&link::topology::tests::TABLE),
        ..monitor(&link::topology::PAGE, link::topology::judge)
    },
    Monitor {
        reads: driver_and_tree(&[]),
        readings: 2,
        extent: Extent::NotByGpu,
        #[cfg(test)]
        samples: Some(&net::rdma_link::tests::TABLE),
        ..monitor(&net::rdma_link::PAGE, net::rdma_link::judge)
    },
    Monitor {
        reads: driver_and_tree(&[]),
        readings: 2,
        extent: Extent::NotByGpu,
        #[cfg(test)]
        samples: Some(&net::efa::tests::TABLE),
        ..monitor(&net::efa::PAGE, net::efa::judge)
    },
];

impl Monitor {
    /// The check that it judges.
    pub fn check(&self) -> Check {
        self.page.check
    }

    /// How often its readings are taken, in seconds, given how often the spec runs it.
    pub fn reading_seconds(&self, wanted: &Wanted) -> i64 {
        interval_seconds(wanted).saturating_mul(self.reading_intervals)
    }
}

/// The row of this check; `None` where the agent has no such monitor.
pub fn of(check: Check) -> Option<&'static Monitor> {
    MONITORS.iter().find(|monitor| monitor.check() == check)
}

/// The row of the monitor with this name.
pub fn named(name: &str) -> Option<&'static Monitor> {
    Check::from_name(name).and_then(of)
}

/// The monitors that run: those of the spec, or the built-in ones until there is a spec.
pub fn wanted(expected: &Expectation<'_>) -> Vec<Wanted> {
    match expected.spec {
        Some(spec) => spec.monitors.to_vec(),
        None => MONITORS
            .iter()
            .filter(|monitor| monitor.before_spec)
            .map(|monitor| Wanted { name: monitor.check().name().to_owned(), interval_seconds: None })
            .collect(),
    }
}

/// How many readings these monitors need.
pub fn readings(wanted: &[Wanted]) -> u32 {
    wanted.iter().filter_map(|one| Some(named(&one.name)?.readings)).max().unwrap_or(1)
}

/// How often the node's device tree is read, in seconds: the shortest interval of the monitors that read it.
pub fn tree_seconds(wanted: &[Wanted]) -> i64 {
    let readers = wanted.iter().filter(|one| named(&one.name).is_some_and(|row| row.reads.tree == Tree::Read));
    let shortest = readers.map(interval_seconds).min();
    shortest.unwrap_or(DEFAULT_INTERVAL_SECONDS)
}

/// The pages of all checks of the agent.
pub fn pages() -> impl Iterator<Item = &'static Page> {
    MONITORS.iter().map(|monitor| monitor.page)
}

/// The samples of all checks that have some.
#[cfg(test)]
pub(crate) fn tables() -> Vec<&'static Table> {
    MONITORS.iter().filter_map(|monitor| monitor.samples).collect()
}

#[cfg(test)]
mod tests;
