//! A simulated NVIDIA management library (`libsimulated_nvml.so`), for tests and the demo.
//!
//! It exports the C functions of `libnvidia-ml.so.1` that the product calls, with the layouts of nvml.h, so that the
//! product loads it by path and cannot tell the difference. It is never linked into a product binary, and everything
//! that it shows by default says that it is simulated.
//!
//! # The state file
//!
//! The environment variable `SIMULATED_NVML_STATE` names a JSON file. It is read at each call, so that a test can
//! change the hardware while the library is loaded; replace it by renaming another file over it, so that no call sees
//! half of it.
//!
//! ```json
//! {
//!   "driver": "570.86.15",
//!   "nvml": "12.570.86.15",
//!   "calls": { "nvmlInit_v2": {"return": 18} },
//!   "gpus": [
//!     { "name": "NVIDIA H100 80GB HBM3", "pci": "0000:18:00.0" },
//!     { "name": "NVIDIA H100 80GB HBM3", "pci": "0000:2a:00.0", "serial": "SIM0000000002",
//!       "uuid": "GPU-simulated-0000-0000-0000-000000000002", "pci_device_id": 590418142,
//!       "vbios": "96.00.74.00.01", "memory_mib": 81559, "memory_used_mib": 4,
//!       "calls": { "nvmlDeviceGetUUID": {"return": 15} } },
//!     { "name": "NVIDIA H100 80GB HBM3", "pci": "0001:5d:00.0", "fault": "hang" }
//!   ]
//! }
//! ```
//!
//! - Of a GPU only `pci` must be there; `uuid` and `serial` default to `GPU-simulated-…` and `SIM…` with the index.
//! - A GPU with `"hole": true` has an index but no handle, as after a failed start of that GPU.
//! - `calls` names faults by C function, for all GPUs or for one; `fault` of a GPU holds for every call about it, the
//!   one that gets its handle included.
//! - A fault is `{"return": CODE}` (nvml.h: 9 driver not loaded, 15 GPU is lost, 16 reset required, 18 library and
//!   driver differ, 999 unknown), `"hang"` (never comes back), `"abort"`, or `"segfault"`.
//!
//! Without the variable, or with a file that is no such document, every call returns 999 (unknown) and stderr says why.
//!
//! # Adding symbols
//!
//! One file per group of symbols; `exports!` in `call` makes the C functions. A handle is the GPU's index plus one.

#![allow(unsafe_code)]
#![allow(non_snake_case, non_upper_case_globals, reason = "the names are those of the C library")]
#![allow(clippy::missing_safety_doc, reason = "the contract of each function is that of nvml.h")]
#![allow(clippy::wildcard_imports, reason = "the generated bindings have no other order")]

#[macro_use]
mod call;
mod handles;
mod identity;
mod life;
mod memory;
mod state;
