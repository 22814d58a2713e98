//! Values by field id, each with a return code of its own; fields of a link take its number as scope.

use std::ffi::{c_int, c_longlong};

use nvml_wrapper_sys::bindings::field_id::*;
use nvml_wrapper_sys::bindings::*;
use serde::Deserialize;
use serde_json::Value;

use crate::call::{Answer, At, is_garbage, supported};
use crate::clocks::microseconds;
use crate::ecc::{Kind, Location, counting};
use crate::nvlink::{Link, numbered, one};
use crate::remap::retired;

type Read = Result<FieldValue, nvmlReturn_t>;

/// A value and its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FieldValue {
    Unsigned(u32),
    Long(u64),
    Signed(i32),
    Double(f64),
}

/// A value that the state file states by id.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum StatedField {
    Value(FieldValue),
    Return(u32),
}

impl TryFrom<Value> for StatedField {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let wrong = || format!("{value} is no field value: a number, null, or {{\"return\": CODE}}");
        let stated = match &value {
            Value::Null => Some(Self::Return(nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED)),
            Value::Object(object) => {
                let code = object.get("return").and_then(Value::as_u64);
                code.and_then(|code| u32::try_from(code).ok()).map(Self::Return)
            }
            Value::Number(number) => {
                let unsigned = number
                    .as_u64()
                    .map(|long| u32::try_from(long).map_or(FieldValue::Long(long), FieldValue::Unsigned));
                let signed = || number.as_i64().and_then(|long| i32::try_from(long).ok()).map(FieldValue::Signed);
                unsigned.or_else(signed).or_else(|| number.as_f64().map(FieldValue::Double)).map(Self::Value)
            }
            _ => None,
        };
        stated.ok_or_else(wrong)
    }
}

exports! { device:
    nvmlDeviceGetFieldValues(count: c_int, values: *mut nvmlFieldValue_t) = values_of;
}

unsafe fn values_of(at: &At<'_>, count: c_int, values: *mut nvmlFieldValue_t) -> Answer {
    let count = usize::try_from(count).map_err(|_| nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)?;
    if values.is_null() || count == 0 {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    for place in 0..count {
        // SAFETY: by nvml.h's contract there are `count` values, their ids and scopes set by the caller.
        let value = unsafe { &mut *values.add(place) };
        value.timestamp = c_longlong::try_from(microseconds()).unwrap_or(c_longlong::MAX);
        value.latencyUsec = 0;
        fill(value, read(at, value.fieldId, value.scopeId));
    }
    Ok(())
}

fn fill(to: &mut nvmlFieldValue_t, read: Read) {
    to.nvmlReturn = read.err().unwrap_or(nvmlReturn_enum_NVML_SUCCESS);
    to.value = nvmlValue_t { ullVal: 0 };
    match read {
        _ if is_garbage() => {
            to.nvmlReturn = nvmlReturn_enum_NVML_SUCCESS;
            // No type of nvml.h.
            to.valueType = u32::MAX;
            to.value = nvmlValue_t { ullVal: u64::MAX };
        }
        Err(_) => to.valueType = nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT,
        Ok(FieldValue::Unsigned(value)) => {
            to.valueType = nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT;
            to.value.uiVal = value;
        }
        Ok(FieldValue::Long(value)) => {
            to.valueType = nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
            to.value.ullVal = value;
        }
        Ok(FieldValue::Signed(value)) => {
            to.valueType = nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT;
            to.value.siVal = value;
        }
        Ok(FieldValue::Double(value)) => {
            to.valueType = nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE;
            to.value.dVal = value;
        }
    }
}

fn read(at: &At<'_>, id: u32, scope: u32) -> Read {
    let stated = at.gpu.fields.get(&format!("{id}:{scope}")).or_else(|| at.gpu.fields.get(&id.to_string()));
    match stated {
        Some(StatedField::Value(value)) => return Ok(*value),
        Some(StatedField::Return(code)) => return Err(*code),
        None => {}
    }
    match id {
        NVML_FI_DEV_ECC_CURRENT..=NVML_FI_DEV_ECC_DBE_AGG_CBU => ecc(at, id),
        NVML_FI_DEV_RETIRED_SBE..=NVML_FI_DEV_RETIRED_PENDING
        | NVML_FI_DEV_RETIRED_PENDING_SBE
        | NVML_FI_DEV_RETIRED_PENDING_DBE => pages(at, id),
        NVML_FI_DEV_PERF_POLICY_POWER..=NVML_FI_DEV_PERF_POLICY_TOTAL_BASE_CLOCKS => Ok(reason_time(at, id)),
        251..=253 if !at.machine.has_new_field_ids() => Ok(reason_time(at, id)),
        269..=271 if at.machine.has_new_field_ids() => Ok(reason_time(at, id - 18)),
        NVML_FI_DEV_REMAPPED_COR..=NVML_FI_DEV_REMAPPED_FAILURE => remap(at, id),
        NVML_FI_DEV_PCIE_REPLAY_COUNTER
        | NVML_FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER
        | NVML_FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER
        | NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS..=NVML_FI_DEV_PCIE_COUNT_LANE_ERROR => Ok(pcie(at, id)),
        NVML_FI_DEV_MEMORY_TEMP | NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT..=NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT => {
            heat(at, id)
        }
        NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION | NVML_FI_DEV_POWER_AVERAGE..=NVML_FI_DEV_POWER_REQUESTED_LIMIT => {
            Ok(power(at, id))
        }
        // 0: no reset waits to be done.
        NVML_FI_DEV_RESET_STATUS | NVML_FI_DEV_DRAIN_AND_RESET_STATUS => {
            supported(at.gpu.recovery_action).map(|_| FieldValue::Unsigned(0))
        }
        NVML_FI_DEV_GET_GPU_RECOVERY_ACTION => supported(at.gpu.recovery_action).map(FieldValue::Unsigned),
        NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED => Ok(FieldValue::Unsigned(0)),
        NVML_FI_DEV_C2C_LINK_COUNT => Ok(FieldValue::Unsigned(at.gpu.c2c.as_ref().map_or(0, |c2c| c2c.links))),
        NVML_FI_DEV_C2C_LINK_GET_STATUS => c2c(at, scope),
        INACTIVE_CORRECTABLE | INACTIVE_UNCORRECTABLE if at.machine.major() >= 595 => inactive(at, id),
        _ => links(at, id, scope),
    }
}

/// Ids 1 to 28: modes, totals, then corrected and uncorrected errors in turn by location.
fn ecc(at: &At<'_>, id: u32) -> Read {
    let volatile = |uncorrected| Kind { uncorrected, aggregate: false };
    let aggregate = |uncorrected| Kind { uncorrected, aggregate: true };
    let mode = || supported(at.gpu.ecc.as_ref());
    // L1, L2, device memory, registers, texture memory: two ids each.
    let by_place = |first: u32, kind: fn(bool) -> Kind| {
        let place = match (id - first) / 2 {
            0 => Location::L1,
            1 => Location::L2,
            2 => Location::Dram,
            3 => Location::RegisterFile,
            _ => Location::TextureMemory,
        };
        supported(counting(at)?.at(kind((id - first) % 2 == 1), place)).map(FieldValue::Long)
    };
    Ok(match id {
        NVML_FI_DEV_ECC_CURRENT => FieldValue::Unsigned(mode()?.is_on().into()),
        NVML_FI_DEV_ECC_PENDING => FieldValue::Unsigned(mode()?.will_be_on().into()),
        NVML_FI_DEV_ECC_SBE_VOL_TOTAL => FieldValue::Long(counting(at)?.total(volatile(false))),
        NVML_FI_DEV_ECC_DBE_VOL_TOTAL => FieldValue::Long(counting(at)?.total(volatile(true))),
        NVML_FI_DEV_ECC_SBE_AGG_TOTAL => FieldValue::Long(counting(at)?.total(aggregate(false))),
        NVML_FI_DEV_ECC_DBE_AGG_TOTAL => FieldValue::Long(counting(at)?.total(aggregate(true))),
        NVML_FI_DEV_ECC_DBE_VOL_CBU => FieldValue::Long(supported(counting(at)?.at(volatile(true), Location::Cbu))?),
        NVML_FI_DEV_ECC_DBE_AGG_CBU => FieldValue::Long(supported(counting(at)?.at(aggregate(true), Location::Cbu))?),
        ..NVML_FI_DEV_ECC_SBE_AGG_L1 => {
            by_place(NVML_FI_DEV_ECC_SBE_VOL_L1, |uncorrected| Kind { uncorrected, aggregate: false })?
        }
        _ => by_place(NVML_FI_DEV_ECC_SBE_AGG_L1, |uncorrected| Kind { uncorrected, aggregate: true })?,
    })
}

fn pages(at: &At<'_>, id: u32) -> Read {
    let retired = retired(at)?;
    Ok(match id {
        NVML_FI_DEV_RETIRED_SBE => FieldValue::Long(retired.single_bit.into()),
        NVML_FI_DEV_RETIRED_DBE => FieldValue::Long(retired.double_bit.into()),
        _ => FieldValue::Long(retired.pending.into()),
    })
}

fn reason_time(at: &At<'_>, id: u32) -> FieldValue {
    let clocks = &at.gpu.clocks;
    FieldValue::Long(match id {
        NVML_FI_DEV_PERF_POLICY_POWER => clocks.sw_power_ns,
        NVML_FI_DEV_PERF_POLICY_THERMAL => clocks.sw_thermal_ns + clocks.hw_thermal_ns,
        NVML_FI_DEV_PERF_POLICY_SYNC_BOOST => clocks.sync_boost_ns,
        NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN => clocks.sw_thermal_ns,
        NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN => clocks.hw_thermal_ns,
        NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT | NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN => {
            clocks.power_brake_ns
        }
        _ => 0,
    })
}

fn remap(at: &At<'_>, id: u32) -> Read {
    let remap = supported(at.gpu.askable_remap())?;
    Ok(FieldValue::Unsigned(match id {
        NVML_FI_DEV_REMAPPED_COR => remap.correctable,
        NVML_FI_DEV_REMAPPED_UNC => remap.uncorrectable,
        NVML_FI_DEV_REMAPPED_PENDING => remap.pending.into(),
        _ => remap.failure.into(),
    }))
}

/// `NVML_FI_DEV_REMAPPED_ROWS_COR_INACTIVE`, `_UNC_INACTIVE`, since R595
const INACTIVE_CORRECTABLE: u32 = 301;
const INACTIVE_UNCORRECTABLE: u32 = 302;

fn inactive(at: &At<'_>, id: u32) -> Read {
    let remap = supported(at.gpu.askable_remap())?;
    let is_correctable = id == INACTIVE_CORRECTABLE;
    Ok(FieldValue::Unsigned(if is_correctable { remap.inactive_correctable } else { remap.inactive_uncorrectable }))
}

fn c2c(at: &At<'_>, link: u32) -> Read {
    let c2c = supported(at.gpu.c2c.as_ref())?;
    if link >= c2c.links {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    }
    Ok(FieldValue::Unsigned((!c2c.down.contains(&link)).into()))
}

fn pcie(at: &At<'_>, id: u32) -> FieldValue {
    let pcie = &at.gpu.pcie;
    match id {
        NVML_FI_DEV_PCIE_REPLAY_COUNTER => FieldValue::Long(pcie.replays.into()),
        NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS => FieldValue::Unsigned(pcie.correctable),
        NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR => FieldValue::Unsigned(pcie.non_fatal),
        NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR => FieldValue::Unsigned(pcie.fatal),
        _ => FieldValue::Unsigned(0),
    }
}

fn heat(at: &At<'_>, id: u32) -> Read {
    let temperature = &at.gpu.temperature;
    if id == NVML_FI_DEV_MEMORY_TEMP {
        return supported(temperature.memory).map(|memory| FieldValue::Unsigned(memory.cast_unsigned()));
    }
    let limits = supported(temperature.tlimit)?;
    let place = (id - NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT) as usize;
    supported(limits.get(place).copied()).map(FieldValue::Signed)
}

fn power(at: &At<'_>, id: u32) -> FieldValue {
    let power = &at.gpu.power;
    FieldValue::Unsigned(match id {
        NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION | NVML_FI_DEV_ENERGY => return FieldValue::Long(power.energy_mj),
        NVML_FI_DEV_POWER_MIN_LIMIT => power.min_mw,
        NVML_FI_DEV_POWER_MAX_LIMIT => power.max_mw,
        NVML_FI_DEV_POWER_DEFAULT_LIMIT => power.default_mw,
        NVML_FI_DEV_POWER_CURRENT_LIMIT => power.enforced_mw.unwrap_or(power.limit_mw),
        NVML_FI_DEV_POWER_REQUESTED_LIMIT => power.limit_mw,
        _ => power.draw_mw,
    })
}

/// A counter of a link.
type Counter = fn(&Link) -> u64;

/// Counters that have an id for each link: the first ids of links 0 to 5 and of links 6 to 11, and the id of the sum.
const BY_LINK: &[(u32, u32, u32, Counter)] = &[
    (
        NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_L0,
        NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_L6,
        NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL,
        |link| link.crc_flit,
    ),
    (
        NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_L0,
        NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_L6,
        NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL,
        |link| link.crc_data,
    ),
    (
        NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_L0,
        NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_L6,
        NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL,
        |link| link.replays,
    ),
    (
        NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_L0,
        NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_L6,
        NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL,
        |link| link.recoveries,
    ),
    (
        NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_L0,
        NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_L6,
        NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_TOTAL,
        |link| link.ecc_data,
    ),
];

/// Speeds of links 0 to 5 and 6 to 11.
const SPEEDS: [u32; 2] = [NVML_FI_DEV_NVLINK_SPEED_MBPS_L0, NVML_FI_DEV_NVLINK_SPEED_MBPS_L6];

fn links(at: &At<'_>, id: u32, scope: u32) -> Read {
    let place = |first: u32| id.checked_sub(first).filter(|place| *place < 6);
    let number = |firsts: [u32; 2]| place(firsts[0]).or_else(|| place(firsts[1]).map(|link| link + 6));
    for &(first, sixth, total, counter) in BY_LINK {
        if let Some(link) = number([first, sixth]) {
            return one(at, link).map(|(_, link)| FieldValue::Long(counter(link)));
        }
        if id == total {
            let nvlink = supported(at.gpu.nvlink.as_ref())?;
            return Ok(FieldValue::Long((0..nvlink.count).filter_map(|link| nvlink.link(link)).map(counter).sum()));
        }
    }
    if let Some(link) = number(SPEEDS) {
        return one(at, link).map(|_| FieldValue::Unsigned(speed(at, link)));
    }
    match id {
        NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON => {
            supported(at.gpu.nvlink.as_ref()).map(|nvlink| FieldValue::Unsigned(nvlink.mbps))
        }
        NVML_FI_DEV_NVLINK_LINK_COUNT => {
            Ok(FieldValue::Unsigned(at.gpu.nvlink.as_ref().map_or(0, |nvlink| nvlink.count)))
        }
        _ => scoped(at, id, scope),
    }
}

/// The rate of a link without errors: 15 times ten to the minus 255.
const NO_ERRORS: u64 = 0xfff;

/// Ids that take the link as their scope.
fn scoped(at: &At<'_>, id: u32, number: u32) -> Read {
    let is_scoped = matches!(
        id,
        NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX..=NVML_FI_DEV_NVLINK_THROUGHPUT_RAW_RX
            | NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY..=NVML_FI_DEV_NVLINK_GET_POWER_STATE
            | NVML_FI_DEV_NVLINK_COUNT_XMIT_PACKETS..=NVML_FI_DEV_NVLINK_COUNT_SYMBOL_BER
    );
    if !is_scoped {
        return Err(nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED);
    }
    let (nvlink, link) = one(at, number)?;
    let is_newer = nvlink.version_of(number) >= 5;
    match id {
        NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY..=NVML_FI_DEV_NVLINK_ERROR_DL_CRC if is_newer => {
            Err(nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED)
        }
        NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY => Ok(FieldValue::Long(link.replays)),
        NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY => Ok(FieldValue::Long(link.recoveries)),
        NVML_FI_DEV_NVLINK_ERROR_DL_CRC => Ok(FieldValue::Long(link.crc_flit + link.crc_data)),
        NVML_FI_DEV_NVLINK_GET_SPEED => Ok(FieldValue::Unsigned(speed(at, number))),
        NVML_FI_DEV_NVLINK_GET_STATE => Ok(FieldValue::Unsigned(nvlink.state(at.gpu, number))),
        NVML_FI_DEV_NVLINK_GET_VERSION => Ok(FieldValue::Unsigned(numbered(nvlink.version_of(number)))),
        ..NVML_FI_DEV_NVLINK_COUNT_XMIT_PACKETS => Ok(FieldValue::Long(0)),
        // Counters of NVLink 5.
        _ if !is_newer => Err(nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED),
        NVML_FI_DEV_NVLINK_COUNT_SYMBOL_ERRORS => Ok(FieldValue::Long(link.symbol_errors)),
        NVML_FI_DEV_NVLINK_COUNT_RCV_ERRORS => Ok(FieldValue::Long(link.receive_errors)),
        NVML_FI_DEV_NVLINK_COUNT_BUFFER_OVERRUN_ERRORS => Ok(FieldValue::Long(link.buffer_overruns)),
        NVML_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS => Ok(FieldValue::Long(link.integrity_errors)),
        NVML_FI_DEV_NVLINK_COUNT_XMIT_DISCARDS => Ok(FieldValue::Long(link.send_discards)),
        NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_BER => Ok(FieldValue::Long(link.effective_ber.unwrap_or(NO_ERRORS))),
        NVML_FI_DEV_NVLINK_COUNT_SYMBOL_BER => Ok(FieldValue::Long(link.symbol_ber.unwrap_or(NO_ERRORS))),
        NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS => Ok(FieldValue::Long(link.effective_errors)),
        NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS => Ok(FieldValue::Long(link.recovery_successes)),
        NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS => Ok(FieldValue::Long(link.recovery_failures)),
        NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS => {
            Ok(FieldValue::Long(link.recovery_successes + link.recovery_failures))
        }
        _ => Ok(FieldValue::Long(0)),
    }
}

fn speed(at: &At<'_>, number: u32) -> u32 {
    at.gpu.nvlink.as_ref().filter(|nvlink| nvlink.is_up(at.gpu, number)).map_or(0, |nvlink| nvlink.mbps)
}
