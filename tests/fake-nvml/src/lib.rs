//! A simulated NVIDIA management library (`libsimulated_nvml.so`), for tests and the demo.
//!
//! It exports the C functions of `libnvidia-ml.so.1` that the product may call, with the layouts and version tags of
//! nvml.h, so that the product loads it by path and cannot tell the difference. It is never linked into a product binary,
//! and everything that it shows by default says that it is simulated (serials, UUIDs, part numbers).
//!
//! ```text
//!  C function (one file per group) ─▶ call: state, time, fault ─▶ block ─▶ put: what C gets
//!                                       │
//!  SIMULATED_NVML_STATE ─▶ cache (stat) ─▶ state + models.json
//! ```
//!
//! # The state file
//!
//! The environment variable `SIMULATED_NVML_STATE` names a JSON file. Each call looks (`stat`) whether it is another one,
//! so that a test can change the hardware while the library is loaded. Replace it by renaming another file over it: then
//! no call sees half of it, and no change is missed, however quick.
//!
//! ```json
//! {
//!   "driver": "570.86.15",
//!   "model": "H100-SXM",
//!   "calls": { "nvmlDeviceGetPowerUsage": {"slow_ms": 50} },
//!   "events": [ {"seq": 1, "pci": "0000:2a:00.0", "bits": 8, "data": 79} ],
//!   "gpus": [
//!     { "pci": "0000:18:00.0" },
//!     { "pci": "0000:2a:00.0", "remap": {"uncorrectable": 1, "pending": true}, "temperature": {"gpu": 71},
//!       "nvlink": {"links": {"3": {"up": false}}}, "calls": { "nvmlDeviceGetUUID": {"return": 15} } },
//!     { "pci": "0001:5d:00.0", "model": "L4", "ecc": null, "fault": "hang" }
//!   ]
//! }
//! ```
//!
//! An unknown member, model, function or fault is an error: without the variable, or with a file that is no such
//! document, every call returns 999 (unknown), and stderr says why.
//!
//! ## The machine
//!
//! | member | default | |
//! |---|---|---|
//! | `driver` | `570.86.15` | the library's version; from 580.82 on the field ids 251 to 273 are those of CUDA 13.0 Update 1 |
//! | `module` | as `driver` | the kernel module's; where it differs, init returns 18 |
//! | `nvml`, `cuda` | `12.` + driver, 12080 | |
//! | `model` | `H100-SXM` | for GPUs that name none |
//! | `calls` | none | faults by C function, for all GPUs |
//! | `missing` | none | functions of which calls return 13 (`FUNCTION_NOT_FOUND`), as those of an old driver. The symbol itself is there all the same |
//! | `timing` | `none` | `real`: calls take as long as a real driver's; the table and its guesses are in `timing` |
//! | `events` | none | what is announced to event sets |
//! | `gpus` | none | by index; up to as many as wanted, in any PCI domain, each address once |
//!
//! ## A GPU
//!
//! Only `pci` (`domain:bus:device.function`, hexadecimal) must be there. All else comes from the row of its `model` in
//! `models.json`, member by member; `null` takes a feature away (its calls return 3, `NOT_SUPPORTED`), an object gives it.
//! Models: `H100-SXM`, `H100-PCIE`, `H200`, `B200`, `GB200`, `GB300`, `A100-SXM4-80GB`, `A100-SXM4-40GB`, `A100-PCIE-80GB`,
//! `L40S`, `L4` (an x16 board in an x8 slot), `A10G`, `T4` (with `"ecc": null` one without ECC), `V100-SXM2-16GB`. The PCIe
//! boards have no bridge: their links exist, and all are down. Their names, ids, memory and limits are the real ones as
//! far as known; idle readings are typical; a guess is a guess.
//!
//! | member | what can be stated |
//! |---|---|
//! | `name`, `uuid`, `serial`, `vbios`, `inforom`, `part_number`, `gsp_firmware` | strings; `uuid` and `serial` default to `GPU-simulated-…` and `SIM…` with the index, and two GPUs may have the same |
//! | `inforom_valid` | `false`: validation returns 14 |
//! | `pci_device_id`, `pci_subsystem_id` | a number or `"0x233010de"`: device in the upper, vendor in the lower 16 bits |
//! | `brand`, `architecture`, `compute_capability`, `minor`, `module_id`, `has_module_id`, `numa_node` | numbers of nvml.h |
//! | `platform` | `chassis` (serial number), `slot`, `tray`, `host`, `peer_type`, `module`; without it the call is not supported |
//! | `memory_mib`, `memory_used_mib`, `memory_reserved_mib` | |
//! | `performance_state`, `compute_mode`, `persistence` | |
//! | `ecc` | `enabled`, `pending`, `volatile_corrected`, `volatile_uncorrected`, `aggregate_corrected`, `aggregate_uncorrected`, `locations` (`dram`, `sram`, `l1`, `l2`, `register_file`, `texture_memory`, `texture_shm`, `cbu`: the same four counters each), `sram_threshold`, `has_sram_detail`. A total that is not stated is the sum of the locations; `dram` that is not stated is the rest of the total |
//! | `remap` | `correctable`, `uncorrectable`, `pending`, `failure`, `banks` (`max`, `high`, `partial`, `low`, `none`), `inactive_correctable`, `inactive_uncorrectable` (R595), `bank` (R615; `active`, `inactive`, `pending`, `groups_full`, `groups_without`). Not supported in MIG mode, but the banks are |
//! | `repair` | `channel_pending`, `tpc_pending` (R580) |
//! | `unrepairable_memory` | `true` or `false` (R590) |
//! | `uptime_s` | seconds since the driver initialised the GPU (R620); a day |
//! | `c2c` | `links`, and `down`: the numbers of those that are inactive |
//! | `retired` | `single_bit`, `double_bit` (pages), `pending`; before Ampere |
//! | `clocks` | `reasons` (bit mask), `supported_reasons`, `sw_power_ns`, `sync_boost_ns`, `sw_thermal_ns`, `hw_thermal_ns`, `power_brake_ns`, `sm_mhz`, `memory_mhz`, `video_mhz`, `graphics_mhz`, and each of these four with `max_` |
//! | `temperature` | `gpu`, `memory`, `slowdown`, `shutdown`, `gpu_max`, `memory_max`, `tlimit` (shutdown, slowdown, memory, GPU), `margin`, `has_thresholds` (`false`: only distances are answered) |
//! | `power` | `draw_mw`, `limit_mw`, `enforced_mw`, `default_mw`, `min_mw`, `max_mw`, `energy_mj` |
//! | `pcie` | `generation`, `width`, `max_generation`, `max_width`, `replays`, `rx_kib_s`, `tx_kib_s`, `correctable`, `non_fatal`, `fatal` |
//! | `nvlink` | `count`, `version`, `mbps`, `switches` (PCI addresses that the links take in turn), `remote_type` (`gpu`, `switch`, `npu`, `unknown`), `bridged`, and `links`: a list from link 0 on, or an object by number, of `up`, `state` (0 inactive, 1 active, 2 asleep, 3 without traffic; the call that says yes or no says yes but for 0), `version`, `remote`, `remote_type`, `replays`, `recoveries`, `crc_flit`, `crc_data`, `ecc_data`, and for NVLink 5 `symbol_errors`, `effective_errors`, `recovery_successes`, `recovery_failures`, `receive_errors`, `buffer_overruns`, `integrity_errors`, `send_discards`, `effective_ber`, `symbol_ber` (as the fields have them). NVLink 5 has no `replays`, `recoveries` and `crc_…`. In MIG mode all links are down |
//! | `fabric` | `state`, `status`, `mask`, `summary`, `cluster_uuid` (32 hexadecimal digits), `clique` |
//! | `recovery_action` | field 230 |
//! | `mig` | `enabled`, `pending`, `max_instances`, `instances` (`name`, `uuid`, `memory_mib`) |
//! | `utilization` | `gpu`, `memory`; not supported in MIG mode |
//! | `processes` | `pid`, `name`, `memory_mib`, `kind` (`compute`, `mps`, `graphics`) |
//! | `ancestors` | nearest common ancestor (nvml.h: 0 to 50) by the other's PCI address; else 40 on one NUMA node, 50 across |
//! | `supported_events` | bit mask |
//! | `fields` | field values by `"ID"` or `"ID:SCOPE"`: a number, `null` (not supported) or `{"return": CODE}`; they stand above all else |
//! | `hole` | `true`: an index without handle, not counted, as after a failed start of that GPU |
//! | `lost` | `true`: every call about it, the one for its handle included, returns 15; the same as taking it out, for those who hold its handle |
//! | `calls`, `fault` | faults by C function; and for every call about this GPU |
//!
//! A counter jumps back by writing a lower number. With `NVML_MPS_DEVICE_ENUMERATION=1` in the environment when it starts,
//! the library shows what nvml.h calls the MPS view: most functions are not supported.
//!
//! ## Faults
//!
//! | fault | the call |
//! |---|---|
//! | `"ok"` or `null` | does its work |
//! | `{"return": CODE}` | returns the code (9 driver not loaded, 15 GPU is lost, 16 reset required, 18 library and driver differ, 999 unknown, any other) |
//! | `"hang"` | never comes back |
//! | `"stuck"` | never comes back, and hangs in the kernel meanwhile (state D), as in a driver that waits for hardware; unlike there, SIGKILL ends it |
//! | `{"slow_ms": N}`, with `"then": FAULT` | comes back later |
//! | `"segfault"`, `"abort"` | ends the process by SIGSEGV, SIGABRT |
//! | `"garbage"` | succeeds; fills string buffers to the end with 0xff, without any NUL (no UTF-8 either), and all other values with ones |
//! | `{"after": N, "then": FAULT}` | works N times, then the fault |
//! | `{"flip": [FAULT, …]}` | takes them in turn |
//!
//! A function's name in `calls` may end in `*`; the longest that fits counts, a GPU's own are played after those of the
//! machine, and its `calls` before its `fault`. `after` and `flip` count the calls of this process to the function (for
//! `fault`: all calls about the GPU) since the fault is stated there.
//!
//! ## Events
//!
//! Each set delivers each `seq` once, if its GPU was registered in the set for one of the `bits` (1 single-bit, 2
//! double-bit, 8 Xid with its number as `data`, 0x1000 poison, 0x8000 recovery action, …). Those that are in the file when
//! the GPU is registered are past, as with a real driver, unless `"late": true`. Of several Xids of a GPU that wait, each
//! is delivered with the number of the last (nvml.h). `gpu_instance` and `compute_instance` default to none. A waiting set
//! costs nothing until the folder of the file changes.
//!
//! # Adding symbols
//!
//! One file per group of symbols; `exports!` in `call` makes the C functions; `symbols` lists them. A handle is a number
//! that stands for the GPU's PCI address.

#![allow(unsafe_code)]
#![allow(non_snake_case, non_upper_case_globals, reason = "the names are those of the C library")]
#![allow(clippy::missing_safety_doc, reason = "the contract of each function is that of nvml.h")]
#![allow(clippy::wildcard_imports, reason = "the generated bindings have no other order")]

#[macro_use]
mod call;
mod cache;
mod clocks;
mod ecc;
mod events;
mod fabric;
mod fault;
mod fields;
mod gpu;
mod handle;
mod handles;
mod heat;
mod identity;
mod life;
mod memory;
mod mig;
mod models;
mod newer;
mod nvlink;
mod pcie;
mod processes;
mod remap;
mod state;
mod symbols;
mod timing;
