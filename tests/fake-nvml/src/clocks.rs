//! Clocks, why they are not higher, and how busy the GPU is.

use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, At, put, supported};
use crate::gpu::Utilization;

exports! { device:
    nvmlDeviceGetCurrentClocksThrottleReasons(to: *mut c_ulonglong) = |at: &At<'_>, to| put(to, at.gpu.clocks.reasons);
    nvmlDeviceGetCurrentClocksEventReasons(to: *mut c_ulonglong) = |at: &At<'_>, to| put(to, at.gpu.clocks.reasons);
    nvmlDeviceGetSupportedClocksThrottleReasons(to: *mut c_ulonglong) =
        |at: &At<'_>, to| put(to, at.gpu.clocks.supported_reasons);
    nvmlDeviceGetSupportedClocksEventReasons(to: *mut c_ulonglong) =
        |at: &At<'_>, to| put(to, at.gpu.clocks.supported_reasons);
    nvmlDeviceGetClockInfo(kind: nvmlClockType_t, to: *mut c_uint) = |at: &At<'_>, kind, to| {
        let clocks = &at.gpu.clocks;
        let graphics = clocks.graphics_mhz.unwrap_or(clocks.sm_mhz);
        put(to, of_kind(kind, [graphics, clocks.sm_mhz, clocks.memory_mhz, clocks.video_mhz])?)
    };
    nvmlDeviceGetMaxClockInfo(kind: nvmlClockType_t, to: *mut c_uint) = |at: &At<'_>, kind, to| {
        let clocks = &at.gpu.clocks;
        let graphics = clocks.max_graphics_mhz.unwrap_or(clocks.max_sm_mhz);
        put(to, of_kind(kind, [graphics, clocks.max_sm_mhz, clocks.max_memory_mhz, clocks.max_video_mhz])?)
    };
    nvmlDeviceGetViolationStatus(policy: nvmlPerfPolicyType_t, to: *mut nvmlViolationTime_t) = violation;
    nvmlDeviceGetPerformanceState(to: *mut nvmlPstates_t) = |at: &At<'_>, to| put(to, at.gpu.performance_state);
    nvmlDeviceGetPersistenceMode(to: *mut nvmlEnableState_t) =
        |at: &At<'_>, to| put(to, nvmlEnableState_t::from(at.gpu.persistence));
    nvmlDeviceGetComputeMode(to: *mut nvmlComputeMode_t) = |at: &At<'_>, to| put(to, at.gpu.compute_mode);
    // Not in MIG mode: facts of an H200.
    nvmlDeviceGetUtilizationRates(to: *mut nvmlUtilization_t) = |at: &At<'_>, to| {
        let &Utilization { gpu, memory } = supported(Some(&at.gpu.utilization).filter(|_| !at.gpu.mig_is_on()))?;
        put(to, nvmlUtilization_t { gpu, memory })
    };
}

/// Graphics, SM, memory, video, in nvml.h's order.
fn of_kind(kind: nvmlClockType_t, clocks: [u32; 4]) -> Result<u32, nvmlReturn_t> {
    clocks.get(kind as usize).copied().ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)
}

unsafe fn violation(at: &At<'_>, policy: nvmlPerfPolicyType_t, to: *mut nvmlViolationTime_t) -> Answer {
    let clocks = &at.gpu.clocks;
    let violation = match policy {
        nvmlPerfPolicyType_enum_NVML_PERF_POLICY_POWER => clocks.sw_power_ns,
        nvmlPerfPolicyType_enum_NVML_PERF_POLICY_THERMAL => clocks.sw_thermal_ns + clocks.hw_thermal_ns,
        nvmlPerfPolicyType_enum_NVML_PERF_POLICY_SYNC_BOOST => clocks.sync_boost_ns,
        nvmlPerfPolicyType_enum_NVML_PERF_POLICY_BOARD_LIMIT => clocks.power_brake_ns,
        nvmlPerfPolicyType_enum_NVML_PERF_POLICY_LOW_UTILIZATION
        | nvmlPerfPolicyType_enum_NVML_PERF_POLICY_RELIABILITY
        | nvmlPerfPolicyType_enum_NVML_PERF_POLICY_TOTAL_APP_CLOCKS
        | nvmlPerfPolicyType_enum_NVML_PERF_POLICY_TOTAL_BASE_CLOCKS => 0,
        _ => return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
    };
    let now = microseconds();
    // SAFETY: by nvml.h's contract.
    unsafe { put(to, nvmlViolationTime_t { referenceTime: now, violationTime: violation }) }
}

/// Now, since 1970.
pub(crate) fn microseconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
