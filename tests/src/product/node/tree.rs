//! The sysfs tree of a simulated node, laid out as a kernel does it: devices below `devices`, everything else by links. Every
//! change is one rename or one removal, so that a reader never sees half a file.

use super::{Error, SimulatedNode, write};
use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

/// `current_link_speed` by generation, as kernels print it (Linux drivers/pci/probe.c, `pci_speed_string`).
const SPEEDS: [&str; 6] =
    ["2.5 GT/s PCIe", "5.0 GT/s PCIe", "8.0 GT/s PCIe", "16.0 GT/s PCIe", "32.0 GT/s PCIe", "64.0 GT/s PCIe"];

/// What an RDMA device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RdmaKind {
    /// A ConnectX-7 with an InfiniBand port of 400 Gb/s.
    InfiniBand,
    /// An Elastic Fabric Adapter of 100 Gb/s; its port says ACTIVE whatever happens.
    Efa,
}

impl RdmaKind {
    /// Class, vendor and device (pci.ids), driver, link layer, rate.
    const fn identity(self) -> [&'static str; 6] {
        match self {
            Self::InfiniBand => ["0x020700", "0x15b3", "0x1021", "mlx5_core", "InfiniBand", "400 Gb/sec (4X NDR)"],
            Self::Efa => ["0x020000", "0x1d0f", "0xefa2", "efa", "Unspecified", "100 Gb/sec (4X EDR)"],
        }
    }

    /// Files of counters with value 0.
    const fn counters(self) -> &'static [&'static str] {
        match self {
            Self::InfiniBand => &[
                "counters/link_downed",
                "counters/link_error_recovery",
                "counters/symbol_error",
                "counters/port_rcv_errors",
                "counters/port_xmit_discards",
                "counters/port_xmit_data",
                "hw_counters/out_of_sequence",
                "hw_counters/local_ack_timeout_err",
            ],
            Self::Efa => &[
                "hw_counters/rx_drops",
                "hw_counters/retrans_timeout_events",
                "hw_counters/unresponsive_remote_events",
                "hw_counters/tx_bytes",
            ],
        }
    }
}

/// A machine has at most one GPU of ours per bus: root port and switch have the buses before it.
struct Branch {
    root: String,
    port: String,
    switch: String,
}

impl Branch {
    fn of(index: usize) -> Self {
        let bus = SimulatedNode::bus(index);
        let (root, switch) = (bus - 8, bus - 1);
        Self {
            root: format!("pci0000:{root:02x}"),
            port: format!("0000:{root:02x}:01.0"),
            switch: format!("0000:{switch:02x}:00.0"),
        }
    }

    fn folder(&self) -> String {
        format!("devices/{}/{}/{}", self.root, self.port, self.switch)
    }
}

impl SimulatedNode {
    fn sys(&self, path: &str) -> PathBuf {
        self.sysfs_root().join(path)
    }

    /// The folder of a GPU, as `bus/pci/devices` names it.
    fn gpu_folder(&self, gpu: usize) -> PathBuf {
        self.sys(&format!("{}/{}", Branch::of(gpu).folder(), self.gpus[gpu]))
    }

    /// Writes a whole file in one step.
    pub(super) fn replace(&self, path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
        let number = self.replaced.fetch_add(1, Ordering::SeqCst);
        let fresh = self.folder.join("fresh").join(number.to_string());
        write(&fresh, content)?;
        let failed = |source| Error::Write { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::rename(&fresh, path).map_err(failed)
    }

    fn link(&self, path: &str, target: &str) -> Result<(), Error> {
        let path = self.sys(path);
        let failed = |source| Error::Write { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        match symlink(target, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            made => made.map_err(failed),
        }
    }

    /// A function at `folder` below the root, and the link to it.
    fn function(&self, folder: &str, [class, vendor, device]: [&str; 3]) -> Result<(), Error> {
        for (file, text) in [("class", class), ("vendor", vendor), ("device", device), ("numa_node", "0")] {
            self.replace(&self.sys(&format!("{folder}/{file}")), format!("{text}\n"))?;
        }
        let address = folder.rsplit('/').next().unwrap_or_default();
        self.link(&format!("bus/pci/devices/{address}"), &format!("../../../{folder}"))
    }

    /// Everything that is below `sys` of a fresh node.
    pub(super) fn write_pci_tree(&self) -> Result<(), Error> {
        for folder in ["bus/pci/devices", "module"] {
            let path = self.sys(folder);
            std::fs::create_dir_all(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
        }
        (0..self.gpus.len()).try_for_each(|gpu| self.put_on_bus(gpu))
    }

    /// Puts a GPU into its slot: an H100 SXM whose link is as wide and as fast as it can be, without an error so far.
    pub fn put_on_bus(&self, gpu: usize) -> Result<(), Error> {
        let branch = Branch::of(gpu);
        let port = format!("devices/{}/{}", branch.root, branch.port);
        // 8086:347a is a root port of Xeon processors, 1000:c030 a PCIe switch, 10de:2330 the H100 SXM (pci.ids).
        self.function(&port, ["0x060400", "0x8086", "0x347a"])?;
        self.function(&branch.folder(), ["0x060400", "0x1000", "0xc030"])?;
        let folder = self.gpu_folder(gpu);
        self.replace(&folder.join("config"), [0xde, 0x10, 0x30, 0x23])?;
        self.replace(&folder.join("max_link_width"), "16\n")?;
        self.replace(&folder.join("max_link_speed"), format!("{}\n", SPEEDS[4]))?;
        self.set_pci_link(gpu, 16, 5)?;
        self.set_aer(gpu, 0, 0, 0)?;
        self.function(&format!("{}/{}", branch.folder(), self.gpus[gpu]), ["0x030200", "0x10de", "0x2330"])
    }

    /// The PCIe link of a GPU, in lanes and generation from now on; generation 0 or above 6 reads `Unknown`.
    pub fn set_pci_link(&self, gpu: usize, width: u32, generation: usize) -> Result<(), Error> {
        let speed = generation.checked_sub(1).and_then(|index| SPEEDS.get(index)).unwrap_or(&"Unknown");
        let folder = self.gpu_folder(gpu);
        self.replace(&folder.join("current_link_speed"), format!("{speed}\n"))?;
        self.replace(&folder.join("current_link_width"), format!("{width}\n"))
    }

    /// The AER counters of a GPU from now on.
    pub fn set_aer(&self, gpu: usize, correctable: u64, nonfatal: u64, fatal: u64) -> Result<(), Error> {
        let folder = self.gpu_folder(gpu);
        for (file, kind, total, count) in [
            ("aer_dev_correctable", "RxErr", "TOTAL_ERR_COR", correctable),
            ("aer_dev_nonfatal", "CmpltTO", "TOTAL_ERR_NONFATAL", nonfatal),
            ("aer_dev_fatal", "DLP", "TOTAL_ERR_FATAL", fatal),
        ] {
            self.replace(&folder.join(file), format!("Undefined 0\n{kind} {count}\n{total} {count}\n"))?;
        }
        Ok(())
    }

    /// The GPU is still listed but no longer answers: all ones, as after Xid 79.
    pub fn stop_answering(&self, gpu: usize) -> Result<(), Error> {
        self.set_pci_link(gpu, 63, 0)?;
        self.replace(&self.gpu_folder(gpu).join("config"), [0xff; 64])
    }

    /// The GPU is gone from the bus; [`Self::put_on_bus`] brings it back.
    pub fn remove_from_bus(&self, gpu: usize) -> Result<(), Error> {
        self.remove(&format!("bus/pci/devices/{}", self.gpus[gpu]))?;
        self.remove(&format!("{}/{}", Branch::of(gpu).folder(), self.gpus[gpu]))
    }

    /// Removes a link, or a folder with everything in it; readers see all of it or nothing.
    fn remove(&self, path: &str) -> Result<(), Error> {
        let path = self.sys(path);
        let number = self.replaced.fetch_add(1, Ordering::SeqCst);
        let aside = self.folder.join("fresh").join(number.to_string());
        let failed = |source| Error::Write { path: path.clone(), source };
        std::fs::rename(&path, &aside).map_err(failed)?;
        if aside.is_symlink() { std::fs::remove_file(&aside) } else { std::fs::remove_dir_all(&aside) }.map_err(failed)
    }

    /// Where the RDMA device beside a GPU is: the same switch, one device on.
    fn rdma_folder(&self, gpu: usize) -> (String, String) {
        let address = format!("0000:{:02x}:01.0", Self::bus(gpu));
        debug_assert!(gpu < self.gpus.len());
        (format!("{}/{address}", Branch::of(gpu).folder()), address)
    }

    /// Adds an RDMA device with one port that is up, behind the same PCIe switch as a GPU, and the modules that it needs.
    pub fn rdma_port(&self, device: &str, gpu: usize, kind: RdmaKind) -> Result<(), Error> {
        let [class, vendor, id, driver, layer, rate] = kind.identity();
        let (function, address) = self.rdma_folder(gpu);
        let folder = format!("{function}/infiniband/{device}");
        let port = self.sys(&format!("{folder}/ports/1"));
        for (file, text) in [("state", "4: ACTIVE"), ("phys_state", "5: LinkUp"), ("rate", rate), ("link_layer", layer)]
        {
            self.replace(&port.join(file), format!("{text}\n"))?;
        }
        for file in kind.counters() {
            self.replace(&port.join(file), "0\n")?;
        }
        if kind == RdmaKind::InfiniBand {
            self.replace(&self.sys(&format!("{function}/net/ib{gpu}/dev_port")), "0\n")?;
        }
        self.link(&format!("{function}/driver"), &format!("../../../../../bus/pci/drivers/{driver}"))?;
        self.link(&format!("{folder}/device"), &format!("../../../{address}"))?;
        self.function(&function, [class, vendor, id])?;
        let verbs = format!("class/infiniband_verbs/uverbs{gpu}/ibdev");
        self.replace(&self.sys(&verbs), format!("{device}\n"))?;
        for module in ["ib_core", "ib_uverbs", driver] {
            self.load_module(module)?;
        }
        self.link(&format!("class/infiniband/{device}"), &format!("../../{folder}"))
    }

    /// Changes a file of a device's port: `("state", "1: DOWN")`, `("counters/link_downed", "3")`.
    pub fn set_rdma_port(&self, device: &str, file: &str, text: &str) -> Result<(), Error> {
        self.replace(&self.sys(&format!("class/infiniband/{device}/ports/1/{file}")), format!("{text}\n"))
    }

    /// Takes the RDMA device beside a GPU off the bus.
    pub fn remove_rdma_port(&self, device: &str, gpu: usize) -> Result<(), Error> {
        let (function, address) = self.rdma_folder(gpu);
        self.remove(&format!("class/infiniband/{device}"))?;
        self.remove(&format!("class/infiniband_verbs/uverbs{gpu}"))?;
        self.remove(&format!("bus/pci/devices/{address}"))?;
        self.remove(&function)
    }

    /// A kernel module is loaded from now on.
    pub fn load_module(&self, name: &str) -> Result<(), Error> {
        self.replace(&self.sys(&format!("module/{name}/initstate")), "live\n")
    }

    /// The driver's kernel module has this version.
    pub fn set_driver_module(&self, version: &str) -> Result<(), Error> {
        self.replace(&self.sys("module/nvidia/version"), format!("{version}\n"))
    }

    /// Binds a GPU to a kernel driver, for the first time or to another one.
    pub fn bind(&self, gpu: usize, driver: &str) -> Result<(), Error> {
        let folder = format!("{}/{}", Branch::of(gpu).folder(), self.gpus[gpu]);
        let link = format!("{folder}/driver");
        if self.sys(&link).is_symlink() {
            self.remove(&link)?;
        }
        self.link(&link, &format!("../../../../../bus/pci/drivers/{driver}"))
    }

    /// A kernel module is no longer loaded.
    pub fn unload_module(&self, name: &str) -> Result<(), Error> {
        self.remove(&format!("module/{name}"))
    }

    /// The limit of locked memory that the agent's process has, in bytes or `unlimited`.
    pub fn set_memlock(&self, limit: &str) -> Result<(), Error> {
        let text = format!(
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max locked memory         {limit:<20} {limit:<20} bytes     \n"
        );
        self.replace(&self.proc_root().join("self/limits"), text)
    }
}
