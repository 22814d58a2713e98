//! The hardware under one agent: a kernel log, a proc tree, a sysfs tree and the state of the simulated driver library.

mod tree;

use super::{Error, write};
use serde_json::Value;
use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

pub use tree::RdmaKind;

/// The files that simulate the hardware of one node. The serial numbers say that they are simulated.
#[derive(Debug)]
pub struct SimulatedNode {
    name: String,
    folder: PathBuf,
    gpus: Vec<String>,
    next_record: AtomicU64,
    boots: AtomicU64,
    replaced: AtomicU64,
}

impl SimulatedNode {
    /// Makes the files of a freshly booted node with `gpus` H100 boards below `folder`.
    pub fn boot(name: &str, folder: &Path, gpus: usize) -> Result<Self, Error> {
        let gpus = (0..gpus).map(|index| format!("0000:{:02x}:00.0", Self::bus(index))).collect();
        let node = Self {
            name: name.to_owned(),
            folder: folder.join(name),
            gpus,
            next_record: AtomicU64::new(0),
            boots: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
        };
        node.write_pci_tree()?;
        let devices = node.dev_root();
        std::fs::create_dir_all(&devices).map_err(|source| Error::Write { path: devices.clone(), source })?;
        node.write_driver_state(&node.gpus)?;
        node.reboot()?;
        Ok(node)
    }

    /// The PCI bus of a GPU: 18, 29, 3a and so on for the first eight, and what is between them for the next.
    fn bus(index: usize) -> usize {
        0x18 + index % 8 * 0x11 + index / 8 * 9
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// PCI addresses of its GPUs, by index.
    pub fn gpus(&self) -> &[String] {
        &self.gpus
    }

    /// The folder of all its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The kernel log, in the record format of /dev/kmsg.
    pub fn kernel_log(&self) -> PathBuf {
        self.folder.join("kmsg")
    }

    /// The root of its proc tree.
    pub fn proc_root(&self) -> PathBuf {
        self.folder.join("proc")
    }

    /// The root of its sysfs tree.
    pub fn sysfs_root(&self) -> PathBuf {
        self.folder.join("sys")
    }

    /// The root of its device nodes; none are there but those that a test makes.
    pub fn dev_root(&self) -> PathBuf {
        self.folder.join("dev")
    }

    /// The state file of the simulated driver library.
    pub fn driver_state(&self) -> PathBuf {
        self.folder.join("simulated-nvml.json")
    }

    /// The boot id of its kernel.
    pub fn boot_id(&self) -> String {
        let boots = self.boots.load(Ordering::SeqCst);
        let name: u64 = self.name.bytes().fold(0, |sum, b| sum * 31 % 0xffff_ffff + u64::from(b));
        format!("{name:08x}-0000-4000-8000-{boots:012x}")
    }

    /// Reboots the node: another boot id, an empty kernel log.
    pub fn reboot(&self) -> Result<(), Error> {
        self.boots.fetch_add(1, Ordering::SeqCst);
        self.next_record.store(0, Ordering::SeqCst);
        write(&self.proc_root().join("sys/kernel/random/boot_id"), format!("{}\n", self.boot_id()))?;
        write(&self.proc_root().join("stat"), format!("cpu 0 0 0 0\nbtime {}\n", jiff::Timestamp::now().as_second()))?;
        // A new file under the old name: a process that has the old one open sees it replaced.
        self.replace(&self.kernel_log(), "")?;
        self.kernel_says("simulated kernel: booted")
    }

    /// Appends a record of the kernel (facility 0, level 3) to the kernel log.
    pub fn kernel_says(&self, message: &str) -> Result<(), Error> {
        self.record(3, message)
    }

    /// Appends a record that a program wrote (facility 1): never evidence.
    pub fn program_says(&self, message: &str) -> Result<(), Error> {
        self.record(12, message)
    }

    fn record(&self, priority: u32, message: &str) -> Result<(), Error> {
        let sequence = self.next_record.fetch_add(1, Ordering::SeqCst);
        let microseconds = 1_000_000 + sequence * 1_000;
        self.append(format!("{priority},{sequence},{microseconds},-;{message}\n").as_bytes())
    }

    /// Appends bytes to the kernel log as they are.
    pub fn append(&self, bytes: &[u8]) -> Result<(), Error> {
        let path = self.kernel_log();
        let failed = |source| Error::Write { path: path.clone(), source };
        let mut log = OpenOptions::new().append(true).create(true).open(&path).map_err(failed)?;
        log.write_all(bytes).map_err(failed)
    }

    /// The kernel reports an Xid of the GPU with this index, in the driver's format (kernel-open `osapi.c`).
    pub fn xid(&self, gpu: usize, code: u32, text: &str) -> Result<(), Error> {
        let address = self.gpus[gpu].trim_end_matches(".0");
        self.kernel_says(&format!("NVRM: Xid (PCI:{address}): {code}, {text}"))
    }

    /// The driver shows these GPUs from now on.
    pub fn write_driver_state(&self, addresses: &[String]) -> Result<(), Error> {
        let gpus: Vec<_> = addresses
            .iter()
            .map(|pci| serde_json::json!({"name": "NVIDIA H100 80GB HBM3", "pci": pci, "memory_mib": 81_559}))
            .collect();
        let state = serde_json::json!({"driver": "570.86.15", "nvml": "12.570.86.15", "gpus": gpus});
        self.replace(&self.driver_state(), state.to_string())
    }

    /// Changes single values of the driver's state: `|state| state["gpus"][3]["temperature"] = json!(97)`.
    pub fn driver_state_json(&self, edit: impl FnOnce(&mut Value)) -> Result<(), Error> {
        let path = self.driver_state();
        let failed = |source| Error::Write { path: path.clone(), source };
        let text = std::fs::read(&path).map_err(failed)?;
        let mut state: Value = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        edit(&mut state);
        self.replace(&path, state.to_string())
    }

    /// Changes one member of a GPU in the driver's state, by its index: `(3, "temperature", json!({"gpu": 97}))`.
    pub fn set_gpu(&self, gpu: usize, member: &str, value: Value) -> Result<(), Error> {
        self.driver_state_json(|state| state["gpus"][gpu][member] = value)
    }

    /// How calls into the driver's library behave from now on, by C function: `{"nvmlInit_v2": {"return": 9}}`.
    pub fn set_calls(&self, calls: Value) -> Result<(), Error> {
        self.driver_state_json(|state| state["calls"] = calls)
    }

    /// All GPUs are of this model from now on, at the addresses that they have.
    pub fn set_model(&self, model: &str) -> Result<(), Error> {
        self.driver_state_json(|state| {
            for gpu in state["gpus"].as_array_mut().into_iter().flatten() {
                *gpu = serde_json::json!({"pci": gpu["pci"], "model": model});
            }
        })
    }
}
