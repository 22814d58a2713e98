//! A healthy machine as its agent sees it: what sysfs shows, and what the driver's library answers.

use super::models::Model;
use super::readings::{ecc, newest_link, thermal};
use node_agent::pci::PciAddress;
use node_agent::readings::TreeReport;
use node_agent::readings::inventory::{Accelerator, ConfigSpace, DISPLAY_CLASS, Nic, NvmlGpu, NvmlView, Vendor};
use node_agent::readings::sample::{
    BankRemaps, BankSpares, ClocksReading, DeviceAccess, DriverReading, FabricReading, GpuReadings, LinkReading,
    LinkState, NvlinkReading, PcieReading, PowerReading, RecoveryReading, RemapReading, Sample, Section,
    TopologyReading,
};
use node_agent::readings::sysfs::{PciLink, RdmaPort};

/// How the driver is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Answers,
    NotLoaded,
    Mismatch,
    Refuses,
}

/// One board.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    pub(crate) serial: String,
    pub(crate) mig: bool,
    pub(crate) busy: bool,
    /// Its small difference from the other boards, in degrees.
    pub(crate) warmth: i32,
    pub(crate) corrected: u64,
    pub(crate) replays: u64,
    pub(crate) sw_thermal_ns: u64,
    /// Retransmitted NVLink packets; of NVLink 5, recoveries of a link.
    pub(crate) link_replays: u64,
    /// Errors that NVLink 5 corrected.
    pub(crate) symbol_errors: u64,
}

/// The whole machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) model: Model,
    pub(crate) boards: Vec<Board>,
    pub(crate) driver: Driver,
    pub(crate) version: String,
    /// The version of the kernel module, where it is not that of the library.
    pub(crate) module: Option<String>,
    /// So many of the last boards are passed to virtual machines.
    pub(crate) elsewhere: usize,
    /// So many of the last boards have no device node in the agent's container.
    pub(crate) hidden: usize,
    /// Whether the fabric manager has set up the fabric.
    pub(crate) fabric_ready: bool,
    /// The driver has a recovery action to report (R565 and later).
    pub(crate) reports_recovery: bool,
    pub(crate) aer_correctable: u64,
    pub(crate) ports: u32,
    /// How often the fabric's switch was rebooted.
    pub(crate) link_downed: u64,
    /// A tray of a rack: each GPU has a PCI domain of its own.
    pub(crate) is_tray: bool,
    /// The fabric has a partition for the GPUs.
    pub(crate) has_partition: bool,
    /// The links sleep while nothing is sent.
    pub(crate) links_sleep: bool,
    /// The driver tells repairs and uptime (R620).
    pub(crate) is_new_driver: bool,
    /// Seconds since the driver initialised the GPUs.
    pub(crate) uptime_s: u64,
    /// The slot of each board, where it is not that of its index.
    pub(crate) slots: Vec<usize>,
    /// A card for a console, next to the boards.
    pub(crate) display_card: bool,
    /// Ports of virtual functions.
    pub(crate) virtual_ports: u32,
    /// The cluster and the clique of its NVLink domain.
    pub(crate) domain: Option<(&'static str, u32)>,
}

impl Machine {
    pub(crate) fn new(model: Model, gpus: usize, name: &str) -> Self {
        let boards = (0..gpus)
            .map(|index| Board {
                serial: format!("{name}-{index}"),
                mig: false,
                busy: false,
                warmth: i32::try_from(index % 5).unwrap_or(0) * 2,
                corrected: 0,
                replays: 0,
                sw_thermal_ns: 0,
                link_replays: 0,
                symbol_errors: 0,
            })
            .collect();
        Self {
            model,
            boards,
            driver: Driver::Answers,
            version: "570.86.15".into(),
            module: None,
            elsewhere: 0,
            hidden: 0,
            fabric_ready: true,
            reports_recovery: true,
            aer_correctable: 0,
            ports: 2,
            link_downed: 0,
            is_tray: false,
            has_partition: true,
            links_sleep: false,
            is_new_driver: false,
            uptime_s: 0,
            slots: (0..gpus).collect(),
            display_card: false,
            virtual_ports: 0,
            domain: None,
        }
    }

    /// The address of a board.
    pub(crate) fn address(&self, index: usize) -> String {
        const DOMAINS: [u32; 4] = [0x0008, 0x0009, 0x0018, 0x0019];
        if self.is_tray {
            return PciAddress { domain: DOMAINS[index], bus: 1, device: 0, function: 0 }.to_string();
        }
        Self::of_slot(self.slots.get(index).copied().unwrap_or(index))
    }

    /// The address of a slot.
    pub(crate) fn of_slot(index: usize) -> String {
        let bus = u8::try_from(0x10 + index * 0x0b).unwrap_or(0xff);
        PciAddress { domain: 0, bus, device: 0, function: 0 }.to_string()
    }

    pub(crate) fn tree(&self) -> TreeReport {
        let addresses = (0..self.boards.len()).map(|index| self.address(index));
        let boards = addresses.clone().enumerate().map(|(index, address)| self.accelerator(index, address));
        let virtual_ports = (0..self.virtual_ports).map(|index| RdmaPort {
            is_virtual: true,
            // Down until it is given to a container.
            state: Some(if index % 2 == 0 { 4 } else { 1 }),
            ..port(self.ports + index, self.link_downed)
        });
        TreeReport {
            pci: boards.chain(self.display_card.then(display_card)).collect(),
            nics: (0..self.ports).map(nic).collect(),
            links: addresses.map(|address| (address, self.link())).collect(),
            rdma: (0..self.ports).map(|index| port(index, self.link_downed)).chain(virtual_ports).collect(),
            module_version: self.is_loaded().then(|| self.module.clone().unwrap_or_else(|| self.version.clone())),
            minors: self.is_loaded().then(|| (0..self.in_driver()).map(|at| (self.address(at), number(at))).collect()),
            ..TreeReport::default()
        }
    }

    fn is_loaded(&self) -> bool {
        self.driver != Driver::NotLoaded
    }

    /// How many boards the driver is bound to.
    fn in_driver(&self) -> usize {
        self.boards.len() - self.elsewhere
    }

    fn accelerator(&self, index: usize, address: String) -> Accelerator {
        let bound = if index < self.in_driver() { self.is_loaded().then_some("nvidia") } else { Some("vfio-pci") };
        let driver = bound.map(str::to_owned);
        Accelerator {
            address,
            vendor: Vendor::Nvidia,
            device: self.model.device,
            class: 0x0302,
            numa_node: Some(0),
            driver,
            slot: None,
            config_space: ConfigSpace::Answers,
        }
    }

    fn link(&self) -> PciLink {
        let busy = self.boards.iter().any(|board| board.busy);
        PciLink {
            generation: Some(self.generation(busy)),
            width: Some(self.model.width),
            max_generation: Some(self.model.generation),
            max_width: Some(self.model.max_width),
            aer_correctable: Some(self.aer_correctable),
            aer_nonfatal: Some(0),
            aer_fatal: Some(0),
        }
    }

    fn generation(&self, busy: bool) -> u32 {
        if busy || self.model.idles_at_p0 { self.model.generation } else { 1 }
    }

    pub(crate) fn sample(&self, sections: &[Section]) -> Sample {
        let answers = self.driver == Driver::Answers;
        let (status, message) = match self.driver {
            Driver::Answers => ("Ok", None),
            Driver::NotLoaded => ("DriverNotLoaded", Some("Driver Not Loaded")),
            Driver::Mismatch => ("LibRmVersionMismatch", Some("Driver/library version mismatch")),
            Driver::Refuses => ("Unknown", Some("Unknown Error")),
        };
        let shown = self.in_driver() - self.hidden;
        let boards = if answers { &self.boards[..shown] } else { &[] };
        Sample {
            sections: sections.to_vec(),
            took_ms: 12,
            slowest: None,
            view: NvmlView {
                status: status.into(),
                message: message.map(str::to_owned),
                driver: answers.then(|| self.version.clone()),
                count: answers.then(|| u32::try_from(boards.len()).unwrap_or(0)),
                gpus: boards.iter().enumerate().map(|(index, board)| self.identity(index, board)).collect(),
                errors: Vec::new(),
            },
            device_access: match self.driver {
                Driver::Answers => None,
                Driver::Refuses => Some(DeviceAccess::Refused),
                Driver::Mismatch => Some(DeviceAccess::Granted),
                Driver::NotLoaded => Some(DeviceAccess::Absent),
            },
            device_nodes: Some((0..shown).map(number).collect()),
            library_version: Some(format!("12.{}", self.version)),
            gpus: boards.iter().enumerate().map(|(index, board)| self.readings(index, board, sections)).collect(),
            calls: Vec::new(),
        }
    }

    fn identity(&self, index: usize, board: &Board) -> NvmlGpu {
        NvmlGpu {
            index: u32::try_from(index).unwrap_or(0),
            pci: Some(self.address(index)),
            uuid: Some(format!("GPU-{}", board.serial)),
            serial: Some(board.serial.clone()),
            name: Some(self.model.name.into()),
            vbios: Some("96.00.74.00.01".into()),
            memory_mib: Some(self.model.memory_mib),
        }
    }

    fn readings(&self, index: usize, board: &Board, sections: &[Section]) -> GpuReadings {
        let mut gpu = GpuReadings { pci: self.address(index), ..GpuReadings::default() };
        for section in sections {
            match section {
                Section::Driver => {
                    let mig = self.model.remaps.then_some(board.mig);
                    let processes = Some(u32::from(board.busy));
                    let persistence = Some(true);
                    let uptime_seconds = self.is_new_driver.then_some(self.uptime_s);
                    let reading = DriverReading { persistence, mig, processes, uptime_seconds, platform: None };
                    gpu.driver = Some(reading);
                }
                Section::RecoveryAction => {
                    gpu.recovery_action = Some(RecoveryReading { action: self.reports_recovery.then_some(0) });
                }
                Section::Ecc => gpu.ecc = Some(ecc(board)),
                Section::RowRemap => gpu.row_remap = Some(self.remap(board)),
                Section::Clocks => gpu.clocks = Some(self.clocks(board)),
                Section::Thermal => gpu.thermal = Some(thermal(self.model.newest, board)),
                Section::Power => gpu.power = Some(self.power(board)),
                Section::Pcie => gpu.pcie = Some(self.pcie(board)),
                Section::Nvlink => gpu.nvlink = Some(self.nvlink(board)),
                Section::Fabric => gpu.fabric = Some(self.fabric()),
                Section::Topology => gpu.topology = Some(self.topology(index)),
            }
        }
        gpu
    }

    /// A GPU in MIG mode has none (NOT_SUPPORTED), and neither has one before Ampere.
    fn remap(&self, board: &Board) -> RemapReading {
        if !self.model.remaps {
            return RemapReading {
                retired_single_bit: Some(3),
                retired_double_bit: Some(0),
                retirement_pending: Some(false),
                ..RemapReading::default()
            };
        }
        if board.mig {
            return RemapReading::default();
        }
        RemapReading {
            correctable: Some(0),
            uncorrectable: Some(0),
            pending: Some(false),
            failure: Some(false),
            banks: Some(BankSpares { max: 2560, ..BankSpares::default() }),
            correctable_inactive: self.is_new_driver.then_some(0),
            uncorrectable_inactive: self.is_new_driver.then_some(0),
            bank_remaps: self.is_new_driver.then_some(BankRemaps { pending: Some(false), ..BankRemaps::default() }),
            channel_repair_pending: self.is_new_driver.then_some(false),
            tpc_repair_pending: self.is_new_driver.then_some(false),
            unrepairable: self.is_new_driver.then_some(false),
            ..RemapReading::default()
        }
    }

    fn clocks(&self, board: &Board) -> ClocksReading {
        ClocksReading {
            // Idle, or limited by its power cap: both benign.
            reasons: Some(if board.busy { 0x4 } else { 0x1 }),
            sw_thermal_ns: Some(board.sw_thermal_ns),
            hw_thermal_ns: Some(0),
            power_brake_ns: Some(0),
            sm_mhz: Some(if board.busy { 1_755 } else { 345 }),
            max_sm_mhz: Some(1_980),
            memory_mhz: Some(2_619),
            utilization_percent: if board.mig { None } else { Some(if board.busy { 100 } else { 0 }) },
            performance_state: Some(if board.busy || self.model.idles_at_p0 { 0 } else { 8 }),
        }
    }

    fn power(&self, board: &Board) -> PowerReading {
        let limit = Some(self.model.limit_watts * 1000);
        let draw = if board.busy { self.model.limit_watts * 900 } else { self.model.limit_watts * 100 };
        PowerReading {
            draw_milliwatts: Some(draw + u64::from(board.warmth.unsigned_abs()) * 500),
            limit_milliwatts: limit,
            enforced_milliwatts: limit,
            default_milliwatts: limit,
        }
    }

    fn pcie(&self, board: &Board) -> PcieReading {
        PcieReading {
            generation: Some(self.generation(board.busy)),
            width: Some(self.model.width),
            max_generation: Some(self.model.generation),
            max_width: Some(self.model.max_width),
            replays: Some(board.replays),
        }
    }

    fn nvlink(&self, board: &Board) -> NvlinkReading {
        let links = if board.mig { 0 } else { self.model.links };
        let state = match (self.has_partition, self.links_sleep && !board.busy) {
            (false, _) => LinkState::NoTraffic,
            (true, true) => LinkState::Asleep,
            (true, false) => LinkState::Active,
        };
        let link = |link| {
            let (remote, repeated) = (Some("0000:85:00.0".into()), if link == 3 { board.link_replays } else { 0 });
            if self.model.newest {
                return newest_link(LinkReading { link, state, remote, ..LinkReading::default() }, board, repeated);
            }
            LinkReading {
                link,
                state,
                remote,
                replays: Some(repeated),
                recoveries: Some(0),
                crc_flit: Some(0),
                crc_data: Some(0),
                ..LinkReading::default()
            }
        };
        NvlinkReading { links: (0..links).map(link).collect(), ..NvlinkReading::default() }
    }

    fn fabric(&self) -> FabricReading {
        if !self.model.fabric {
            return FabricReading { state: Some(0), ..FabricReading::default() };
        }
        FabricReading {
            state: Some(if self.fabric_ready { 3 } else { 2 }),
            status: Some(0),
            // A healthy mask as it was published (k8s-test-infra); without a partition as nvml.h has it.
            health_mask: self.fabric_ready.then_some(if self.has_partition { 0x1aa } else { 0x24aa }),
            health_summary: self.fabric_ready.then_some(if self.has_partition { 1 } else { 2 }),
            cluster_uuid: self.domain.filter(|_| self.fabric_ready).map(|(cluster, _)| cluster.to_owned()),
            clique: self.domain.filter(|_| self.fabric_ready).map(|(_, clique)| clique),
        }
    }

    fn topology(&self, own: usize) -> TopologyReading {
        let others = (0..self.boards.len()).filter(|index| *index != own);
        TopologyReading { ancestors: others.map(|index| (self.address(index), 50)).collect() }
    }
}

/// A GeForce GT 710, which the driver of the boards does not support.
fn display_card() -> Accelerator {
    Accelerator {
        address: "0000:03:00.0".into(),
        vendor: Vendor::Nvidia,
        device: 0x128b,
        class: DISPLAY_CLASS,
        numa_node: Some(0),
        driver: None,
        slot: None,
        config_space: ConfigSpace::Answers,
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn nic(index: u32) -> Nic {
    Nic {
        address: format!("0000:c{index}:00.0"),
        vendor: 0x15b3,
        device: 0x1021,
        numa_node: Some(0),
        driver: Some("mlx5_core".into()),
        rdma_devices: vec![format!("mlx5_{index}")],
        interfaces: vec![format!("ib{index}")],
    }
}

fn port(index: u32, link_downed: u64) -> RdmaPort {
    let counters = ["symbol_error", "link_downed", "link_error_recovery", "port_rcv_errors", "port_xmit_discards"];
    RdmaPort {
        name: format!("mlx5_{index}/1"),
        device: format!("mlx5_{index}"),
        pci: Some(format!("0000:c{index}:00.0")),
        is_virtual: false,
        efa: false,
        link_layer: Some("InfiniBand".into()),
        state: Some(4),
        phys_state: Some(5),
        rate_gbps: Some(400),
        interface: Some(format!("ib{index}")),
        counters: counters.map(|name| (name.to_owned(), if name == "link_downed" { link_downed } else { 0 })).into(),
    }
}
