//! Functions that drivers got one after the other since R580. An older driver answers for each as if it were not there.

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, At, put, put_some, put_version, supported, tag};
use crate::state::Machine;

/// `nvmlGpuUptime_v1_t`
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Uptime {
    seconds: u32,
}

/// `nvmlUnrepairableMemoryStatus_v1_t`
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Unrepairable {
    flag: u32,
}

/// `nvmlEccBankRemapperStatus_v1_t`
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct BankRemapper {
    active: u32,
    inactive: u32,
    pending: u32,
    groups_full: u32,
    groups_without: u32,
}

// As in nvml.h 13.5.37 on 64-bit Linux.
const _: () = assert!(size_of::<Uptime>() == 4);
const _: () = assert!(size_of::<Unrepairable>() == 4);
const _: () = assert!(size_of::<BankRemapper>() == 20);
const _: () = assert!(size_of::<nvmlRepairStatus_t>() == 12);

exports! { device:
    nvmlDeviceGetGpuUptime_v1(to: *mut Uptime) = |at: &At<'_>, to| {
        since(at.machine, 620)?;
        put(to, Uptime { seconds: at.gpu.uptime_s })
    };
    nvmlDeviceGetUnrepairableMemoryFlag_v1(to: *mut Unrepairable) = |at: &At<'_>, to| {
        since(at.machine, 590)?;
        put_some(to, at.gpu.unrepairable_memory.map(|flag| Unrepairable { flag: flag.into() }))
    };
    nvmlDeviceGetBankRemapperStatus_v1(to: *mut BankRemapper) = |at: &At<'_>, to| {
        since(at.machine, 615)?;
        let bank = supported(at.gpu.askable_remap().and_then(|remap| remap.bank))?;
        let crate::gpu::BankRemap { active, inactive, pending, groups_full, groups_without } = bank;
        put(to, BankRemapper { active, inactive, pending: pending.into(), groups_full, groups_without })
    };
    nvmlDeviceGetRepairStatus(to: *mut nvmlRepairStatus_t) = |at: &At<'_>, to| {
        since(at.machine, 580)?;
        let repair = supported(at.gpu.repair)?;
        let version = tag::<nvmlRepairStatus_t>(1);
        let (channel, tpc) = (repair.channel_pending.into(), repair.tpc_pending.into());
        put_version(to, 1, nvmlRepairStatus_t { version, bChannelRepairPending: channel, bTpcRepairPending: tpc })
    };
}

fn since(machine: &Machine, release: u32) -> Answer {
    if machine.major() < release { Err(nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND) } else { Ok(()) }
}
