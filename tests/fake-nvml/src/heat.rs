//! Temperatures and power.

use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::*;

use crate::call::{Answer, At, put, put_some, put_version, supported, tag};

exports! { device:
    nvmlDeviceGetTemperature(sensor: nvmlTemperatureSensors_t, to: *mut c_uint) = |at: &At<'_>, sensor, to| {
        is_gpu(sensor)?;
        // Below zero is what C makes of it: a huge number.
        put(to, at.gpu.temperature.gpu.cast_unsigned())
    };
    nvmlDeviceGetTemperatureV(to: *mut nvmlTemperature_t) = |at: &At<'_>, to| {
        let version = tag::<nvmlTemperature_t>(1);
        let temperature = at.gpu.temperature.gpu;
        put_version(to, 1, nvmlTemperature_t { version, sensorType: 0, temperature })
    };
    nvmlDeviceGetTemperatureThreshold(kind: nvmlTemperatureThresholds_t, to: *mut c_uint) = threshold;
    nvmlDeviceGetMarginTemperature(to: *mut nvmlMarginTemperature_t) = |at: &At<'_>, to| {
        let temperature = &at.gpu.temperature;
        supported(temperature.tlimit)?;
        let margin = temperature.margin.unwrap_or_else(|| temperature.gpu_max.cast_signed() - temperature.gpu);
        let version = tag::<nvmlMarginTemperature_t>(1);
        put_version(to, 1, nvmlMarginTemperature_t { version, marginTemperature: margin })
    };
    nvmlDeviceGetPowerUsage(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.power.draw_mw);
    nvmlDeviceGetEnforcedPowerLimit(to: *mut c_uint) =
        |at: &At<'_>, to| put(to, at.gpu.power.enforced_mw.unwrap_or(at.gpu.power.limit_mw));
    nvmlDeviceGetPowerManagementLimit(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.power.limit_mw);
    nvmlDeviceGetPowerManagementDefaultLimit(to: *mut c_uint) = |at: &At<'_>, to| put(to, at.gpu.power.default_mw);
    nvmlDeviceGetPowerManagementLimitConstraints(min: *mut c_uint, max: *mut c_uint) = |at: &At<'_>, min, max| {
        put(min, at.gpu.power.min_mw)?;
        put(max, at.gpu.power.max_mw)
    };
    nvmlDeviceGetTotalEnergyConsumption(to: *mut c_ulonglong) = |at: &At<'_>, to| put(to, at.gpu.power.energy_mj);
}

fn is_gpu(sensor: nvmlTemperatureSensors_t) -> Answer {
    match sensor {
        nvmlTemperatureSensors_enum_NVML_TEMPERATURE_GPU => Ok(()),
        _ => Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
    }
}

unsafe fn threshold(at: &At<'_>, kind: nvmlTemperatureThresholds_t, to: *mut c_uint) -> Answer {
    let temperature = supported(Some(&at.gpu.temperature).filter(|temperature| temperature.has_thresholds))?;
    let value = match kind {
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SHUTDOWN => Some(temperature.shutdown),
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SLOWDOWN => Some(temperature.slowdown),
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_MEM_MAX => temperature.memory_max,
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_GPU_MAX => Some(temperature.gpu_max),
        kind if kind < nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_COUNT => None,
        _ => return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT),
    };
    // SAFETY: by nvml.h's contract.
    unsafe { put_some(to, value) }
}
