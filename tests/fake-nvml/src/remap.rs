//! Row remapping, and page retirement on GPUs before Ampere.

use std::ffi::{c_uint, c_ulonglong};
use std::ptr::null_mut;

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, At, put, put_flag, put_list, supported};
use crate::ecc::counting;
use crate::gpu::Retired;

exports! { device:
    nvmlDeviceGetRemappedRows(
        correctable: *mut c_uint, uncorrectable: *mut c_uint, pending: *mut c_uint, failure: *mut c_uint
    ) = |at: &At<'_>, correctable, uncorrectable, pending, failure| {
        let remap = supported(at.gpu.askable_remap())?;
        put(correctable, remap.correctable)?;
        put(uncorrectable, remap.uncorrectable)?;
        put_flag(pending, remap.pending)?;
        put_flag(failure, remap.failure)
    };
    // Answers in MIG mode too, as an H200 did.
    nvmlDeviceGetRowRemapperHistogram(to: *mut nvmlRowRemapperHistogramValues_t) = |at: &At<'_>, to| {
        let banks = &supported(at.gpu.remap.as_ref())?.banks;
        let &crate::gpu::Banks { max, high, partial, low, none } = banks;
        put(to, nvmlRowRemapperHistogramValues_t { max, high, partial, low, none })
    };
    nvmlDeviceGetRetiredPages(cause: nvmlPageRetirementCause_t, count: *mut c_uint, addresses: *mut c_ulonglong) =
        |at: &At<'_>, cause, count, addresses| pages(at, cause, count, addresses, null_mut());
    nvmlDeviceGetRetiredPages_v2(
        cause: nvmlPageRetirementCause_t, count: *mut c_uint, addresses: *mut c_ulonglong, times: *mut c_ulonglong
    ) = pages;
    nvmlDeviceGetRetiredPagesPendingStatus(to: *mut nvmlEnableState_t) =
        |at: &At<'_>, to| put(to, nvmlEnableState_t::from(retired(at)?.pending));
}

/// Page retirement needs ECC.
pub(crate) fn retired<'a>(at: &At<'a>) -> Result<&'a Retired, nvmlReturn_t> {
    counting(at)?;
    supported(at.gpu.retired.as_ref())
}

unsafe fn pages(
    at: &At<'_>,
    cause: nvmlPageRetirementCause_t,
    count: *mut c_uint,
    addresses: *mut c_ulonglong,
    times: *mut c_ulonglong,
) -> Answer {
    let retired = retired(at)?;
    let number = match cause {
        nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS => retired.single_bit,
        nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR => retired.double_bit,
        _ => return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
    };
    // Page numbers, one after the other from an arbitrary one.
    let list: Vec<u64> = (0..number).map(|page| 0x5_1000 + u64::from(page)).collect();
    // SAFETY: by nvml.h's contract.
    unsafe { put_list(count, addresses, &list) }?;
    if !times.is_null() {
        for (at, page) in list.iter().enumerate() {
            // Microseconds since 1970: September 2020, one second apart.
            let time = 1_600_000_000_000_000 + page * 1_000_000;
            // SAFETY: by nvml.h's contract there is room for as many times as addresses.
            unsafe { put(times.add(at), time) }?;
        }
    }
    Ok(())
}
