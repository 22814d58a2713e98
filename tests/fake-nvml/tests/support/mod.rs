//! The library, loaded by path, on a state file that the test writes.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod calls;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nvml_wrapper::{Device, Nvml};
use serde_json::Value;

/// The library and the program of `examples`, as the sources are now. `cargo test` alone builds no cdylib.
pub(crate) fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/PROFILE/deps/this
        let this = std::env::current_exe().expect("a path of this program");
        let folder = this.ancestors().nth(2).expect("target/PROFILE");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "-p", "fake-nvml", "--lib", "--examples", "--target-dir"])
            .arg(folder.parent().expect("target"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "cargo build -p fake-nvml failed");
        folder.to_owned()
    })
}

pub(crate) fn library() -> PathBuf {
    built().join("libsimulated_nvml.so")
}

/// The one simulated machine of this process: the library reads one variable, so tests take turns.
pub(crate) struct Machine {
    folder: &'static Path,
    _turn: MutexGuard<'static, ()>,
}

impl Machine {
    pub(crate) fn new(state: &Value) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = FOLDER.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            // SAFETY: set once, in the first turn, before any thread of ours reads the environment.
            unsafe { std::env::set_var("SIMULATED_NVML_STATE", folder.path().join("state.json")) };
            folder
        });
        let machine = Self { folder: folder.path(), _turn: turn };
        machine.becomes(state);
        machine
    }

    /// Changes the hardware in one step, as the library sees it.
    pub(crate) fn becomes(&self, state: &Value) {
        self.becomes_text(&state.to_string());
    }

    pub(crate) fn becomes_text(&self, state: &str) {
        let next = self.folder.join("next.json");
        std::fs::write(&next, state).expect("write the state");
        std::fs::rename(next, self.state()).expect("rename the state");
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    #[allow(clippy::unused_self, reason = "loaded in the machine's turn")]
    pub(crate) fn load(&self) -> Nvml {
        Self::try_load().expect("the library starts")
    }

    /// In the turn of a machine.
    pub(crate) fn try_load() -> Result<Nvml, nvml_wrapper::error::NvmlError> {
        Nvml::builder().lib_path(library().as_os_str()).init()
    }
}

pub(crate) fn gpu(nvml: &Nvml, index: u32) -> Device<'_> {
    nvml.device_by_index(index).expect("the GPU")
}
