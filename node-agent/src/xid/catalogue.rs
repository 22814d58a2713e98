//! The Xid catalogue as data: one row per code, or per range of codes that NVIDIA treats alike.
//!
//! Source of codes, meanings and both NVIDIA actions: NVIDIA's Xid catalogue (`Xid-Catalog.xlsx`, sheet "Xids", of
//! docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html); codes 173 to 176: open-gpu-kernel-modules 595.45.04
//! `nverror.h`. The severities are ours, consistent with the catalogue's immediate action; where other published
//! mappings differ, the row's note says why we decided so.

use crds::Severity;
use std::ops::RangeInclusive;

/// The likely cause, as far as the code alone shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concern {
    /// The application that ran on the GPU.
    Application,
    /// Driver or firmware.
    Software,
    /// The board, its memory, its links or its power.
    Hardware,
}

/// One row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XidRow {
    /// The codes that the row covers.
    pub codes: &'static [RangeInclusive<u32>],
    /// What the code means.
    pub meaning: &'static str,
    /// NVIDIA's immediate action, in its own words; empty where it gives none.
    pub immediate: &'static str,
    /// NVIDIA's investigatory action, in its own words; empty where it gives none.
    pub investigate: &'static str,
    /// Our severity. For 74, 144-150 and 154 it applies to a line that cannot be decoded.
    pub severity: Severity,
    /// Our reason.
    pub reason: &'static str,
    /// The likely cause.
    pub concern: Concern,
    /// Further notes, and the reason for our severity.
    pub note: &'static str,
}

/// The reason of a GPU that left the bus, with Xid 79 or without.
pub const FALLEN_OFF_THE_BUS: &str = "FallenOffTheBus";

/// The row of a code; None for codes that the catalogue does not list.
pub fn row(code: u32) -> Option<&'static XidRow> {
    ROWS.iter().find(|row| row.codes.iter().any(|codes| codes.contains(&code)))
}

/// The row of codes that are not listed: reported and watched.
pub static UNKNOWN: XidRow =
    row_of(&[], "not in the catalogue", "", "", Severity::Monitor, "UnknownXid", Concern::Software, "");

use Concern::{Application, Hardware, Software};
use Severity::{Isolate, Monitor, Reboot, Reset};

#[expect(clippy::too_many_arguments, reason = "one argument per column of the table below")]
const fn row_of(
    codes: &'static [RangeInclusive<u32>],
    meaning: &'static str,
    immediate: &'static str,
    investigate: &'static str,
    severity: Severity,
    reason: &'static str,
    concern: Concern,
    note: &'static str,
) -> XidRow {
    XidRow { codes, meaning, immediate, investigate, severity, reason, concern, note }
}

/// Every row, by code.
#[rustfmt::skip]
pub static ROWS: &[XidRow] = &[
    row_of(&[8..=8], "GPU stopped processing (idle timeout)", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "GpuIdleTimeout", Application, ""),
    row_of(&[11..=11, 25..=25, 32..=32, 80..=80], "invalid or corrupted push buffer", "RESTART_APP", "CHECK_APP/CUDA", Monitor, "CorruptedPushBuffer", Application, "32 (PBDMA) often comes from poor PCIe signal quality: look at the replay counters"),
    row_of(&[13..=13], "graphics or compute engine exception", "RESTART_APP", "WORKFLOW_XID_13", Monitor, "EngineException", Application, "if the same TPC and GPC fail again and again, suspect the hardware: run the field diagnostic"),
    row_of(&[31..=31], "MMU fault", "RESTART_APP", "WORKFLOW_XID_31", Monitor, "MmuFault", Application, "on one GPU again and again: hardware; on many nodes with one driver version: the driver (open-gpu-kernel-modules 1370)"),
    row_of(&[37..=37], "driver firmware error", "IGNORE", "", Monitor, "DriverFirmwareError", Software, ""),
    row_of(&[38..=38], "FECS watchdog or driver firmware", "IGNORE", "CONTACT_SUPPORT", Monitor, "FecsWatchdog", Software, ""),
    row_of(&[39..=41, 70..=72, 75..=77, 85..=85, 126..=135], "copy engine exception", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "CopyEngineException", Application, ""),
    row_of(&[43..=43], "channel reset verification (the application's own fault)", "IGNORE", "", Monitor, "ChannelResetVerification", Application, ""),
    row_of(&[44..=44], "fault during context switch", "IGNORE", "CONTACT_SUPPORT", Monitor, "ContextSwitchFault", Software, ""),
    row_of(&[45..=45], "pre-emptive removal", "WORKFLOW_XID_45", "WORKFLOW_XID_45", Monitor, "PreemptiveRemoval", Application, "the consequence of another fault or of a killed process: the other Xid decides"),
    row_of(&[46..=46], "GPU stopped processing (timeout)", "RESET_GPU", "CONTACT_SUPPORT", Reset, "GpuStoppedProcessing", Hardware, ""),
    row_of(&[48..=48], "double-bit ECC error", "WORKFLOW_XID_48", "field diag", Reset, "DoubleBitEcc", Hardware, "alone or with 63/64 a reset cures it; SRAM: the threshold flag decides; an Xid 154 follows"),
    row_of(&[54..=54], "auxiliary power is not connected", "CHECK_MECHANICALS", "", Isolate, "AuxPowerNotConnected", Hardware, "someone must reconnect the power cable"),
    row_of(&[60..=60], "SEC2 error", "RESTART_APP", "", Monitor, "Sec2Error", Software, ""),
    row_of(&[61..=61], "PMU breakpoint", "\"Unused\" on Ampere and later", "", Monitor, "PmuBreakpoint", Software, "older GPUs only"),
    row_of(&[62..=62], "PMU halt", "RESET_GPU", "CONTACT_SUPPORT", Reset, "PmuHalt", Hardware, "an Xid 154 follows"),
    row_of(&[63..=63], "row remapping (older: page retirement) recorded", "IGNORE", "IGNORE", Monitor, "RowRemapRecorded", Hardware, "the row-remap state decides, this line only says when to read it; an Xid 154 follows"),
    row_of(&[64..=64], "row remapping failed", "RESET_GPU", "CONTACT_SUPPORT", Reset, "RowRemapFailed", Hardware, "Isolate once the row-remap state reads failure=true, which the check rowRemap reports; an Xid 154 follows"),
    row_of(&[66..=67], "illegal access by the driver", "IGNORE", "", Monitor, "IllegalDriverAccess", Software, ""),
    row_of(&[68..=68], "NVDEC0 exception", "RESTART_APP", "", Monitor, "VideoDecoderException", Application, ""),
    row_of(&[69..=69], "graphics or compute class error", "RESTART_APP", "CHECK_APP", Monitor, "ClassError", Application, ""),
    row_of(&[74..=74], "NVLink error", "WORKFLOW_NVLINK_ERR", "WORKFLOW_NVLINK_ERR", Reset, "NvLinkError", Hardware, "A100 and H100; if its registers can be read, they decide; an Xid 154 follows"),
    row_of(&[78..=78], "vGPU start error", "UPDATE_SWFW", "", Monitor, "VgpuStartError", Software, ""),
    row_of(&[79..=79], "GPU has fallen off the bus", "RESTART_BM", "CONTACT_SUPPORT", Reboot, FALLEN_OFF_THE_BUS, Hardware, "an Xid 154 follows"),
    row_of(&[82..=84, 86..=86, 88..=89, 96..=105], "video engine exception", "RESTART_APP", "", Monitor, "VideoEngineException", Application, ""),
    row_of(&[92..=92], "high rate of single-bit ECC errors", "IGNORE", "CONTACT_SUPPORT", Monitor, "HighSingleBitEccRate", Hardware, ""),
    row_of(&[93..=93], "InfoROM wear", "IGNORE", "", Monitor, "InfoRomWear", Hardware, ""),
    row_of(&[94..=94], "contained ECC error", "RESTART_APP", "", Monitor, "ContainedEcc", Hardware, "reset when convenient; Reset if the line says RST: Yes or D-RST: Yes; an Xid 154 follows"),
    row_of(&[95..=95], "uncontained ECC error", "RESET_GPU", "", Reset, "UncontainedEcc", Hardware, "an Xid 154 follows"),
    row_of(&[106..=107], "SMBPBI test message", "IGNORE", "", Monitor, "SmbpbiTest", Software, ""),
    row_of(&[109..=109], "context switch timeout", "RESET_GPU", "", Reset, "ContextSwitchTimeout", Hardware, "NVIDIA says reset, gpud warning; we follow NVIDIA; an Xid 154 follows from R570"),
    row_of(&[110..=110], "security fault", "RESET_GPU", "INVESTIGATE_SW", Reset, "SecurityFault", Hardware, "an Xid 154 follows; the driver's source says that only a cold reset clears it, so a warm reset may not cure it"),
    row_of(&[119..=119], "GSP RPC timeout", "RESET_GPU", "INVESTIGATE_SW", Reset, "GspRpcTimeout", Software, ""),
    row_of(&[120..=120], "GSP error", "RESET_GPU", "INVESTIGATE_SW", Reset, "GspError", Software, "an Xid 154 follows"),
    row_of(&[121..=121], "C2C error, corrected", "IGNORE", "", Monitor, "C2cCorrected", Hardware, "GB200"),
    row_of(&[136..=136], "ALI link training failed", "RESET_GPU", "INVESTIGATE_LINK_SI", Reset, "LinkTrainingFailed", Hardware, "H100; an Xid 154 follows"),
    row_of(&[137..=137], "NVLink PRIV or remote MMU fault", "IGNORE", "XID_137_FLOW (application debugging)", Monitor, "RemoteMmuFault", Application, ""),
    row_of(&[140..=140], "unrecoverable ECC error escaped", "RESET_GPU", "", Reset, "UnrecoverableEcc", Hardware, ""),
    row_of(&[141..=141], "informational", "IGNORE", "", Monitor, "Informational", Software, ""),
    row_of(&[142..=142], "NVENC3", "CONTACT_SUPPORT", "", Isolate, "VideoEncoder3Fault", Hardware, "NVIDIA names no cure: contact its support"),
    row_of(&[143..=143], "GPU initialisation error", "RESET_GPU", "", Reset, "GpuInitError", Hardware, "an Xid 154 follows from R575"),
    row_of(&[144..=144], "NVLink5 SAW", "WORKFLOW_NVLINK5_ERR", "", Monitor, "NvLinkSaw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[145..=145], "NVLink5 RLW", "WORKFLOW_NVLINK5_ERR", "", Monitor, "NvLinkRlw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[146..=146], "NVLink5 TLW", "WORKFLOW_NVLINK5_ERR", "", Monitor, "NvLinkTlw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[147..=147], "NVLink5 TREX", "WORKFLOW_NVLINK5_ERR", "", Monitor, "NvLinkTrex", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[148..=148], "NVLink5 NVLPW", "WORKFLOW_NVLINK5_ERR", "", Monitor, "NvLinkNvlpw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[149..=149], "NVLink5 NETIR", "WORKFLOW_NVLINK5_ERR", "", Monitor, "NvLinkNetir", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[150..=150], "NVLink5 MSE", "WORKFLOW_NVLINK5_ERR", "", Monitor, "NvLinkMse", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[151..=151], "key rotation", "RESTART_VM", "", Reboot, "KeyRotation", Software, "confidential computing"),
    row_of(&[152..=153], "DLA", "IGNORE", "", Monitor, "DlaNotice", Software, ""),
    row_of(&[154..=154], "GPU recovery action changed", "follow the text", "", Monitor, "RecoveryActionChanged", Hardware, "a state, judged by the value it changed to: see the table of Xid 154 below"),
    row_of(&[155..=155], "NVLink error defined by software", "RESET_GPU", "", Reset, "NvLinkSoftwareDefined", Hardware, "an Xid 154 follows"),
    row_of(&[156..=156], "resource retirement", "RESET_GPU", "IGNORE", Reset, "ResourceRetirement", Hardware, "an Xid 154 follows"),
    row_of(&[157..=157], "resource retirement failed", "IGNORE", "CONTACT_SUPPORT", Isolate, "ResourceRetirementFailed", Hardware, "no spare resource is left: contact NVIDIA's support"),
    row_of(&[158..=158], "GPU fatal timeout", "RESET_GPU", "", Reset, "GpuFatalTimeout", Hardware, ""),
    row_of(&[159..=159], "CHI non-data error", "CHECK_UVM", "", Monitor, "ChiNonDataError", Software, "reset if UVM or vGPU is in use, otherwise ignore: the line does not say which, an Xid 154 would"),
    row_of(&[160..=160], "channel retirement", "IGNORE", "INVESTIGATE_SW", Monitor, "ChannelRetirement", Hardware, "memory is marked for repair; an Xid 154 follows from R575"),
    row_of(&[161..=161], "channel retirement failed", "IGNORE", "INVESTIGATE_SW", Monitor, "ChannelRetirementFailed", Hardware, "an Xid 154 follows from R575"),
    row_of(&[162..=162], "power smoothing re-engaged", "", "", Monitor, "PowerSmoothingEngaged", Hardware, "no NVIDIA action yet"),
    row_of(&[163..=163], "power smoothing disengaged", "", "", Monitor, "PowerSmoothingDisengaged", Hardware, "no NVIDIA action yet"),
    row_of(&[164..=164], "power smoothing: low lifetime", "", "", Monitor, "PowerSmoothingLowLifetime", Hardware, "no NVIDIA action yet"),
    row_of(&[165..=165], "power smoothing: zero lifetime", "", "", Isolate, "PowerSmoothingWornOut", Hardware, "no NVIDIA action yet; AWS isolates under strict"),
    row_of(&[166..=166], "NVLINK_SECURE", "", "", Monitor, "NvLinkSecure", Hardware, "no NVIDIA action yet"),
    row_of(&[167..=167], "PCIE_FATAL_TIMEOUT", "", "", Reboot, "PcieFatalTimeout", Hardware, "no NVIDIA action yet; a device that PCIe cannot reach cannot be reset over PCIe"),
    row_of(&[168..=168], "REDUCED_GPU_MEMORY_CAPACITY", "", "", Reboot, "ReducedMemoryCapacity", Hardware, "NVSentinel and AWS reboot"),
    row_of(&[169..=169], "SEC2_HALT", "", "", Monitor, "Sec2Halt", Software, "no NVIDIA action yet"),
    row_of(&[170..=170], "NVLINK_SECURE_OTHER", "", "", Monitor, "NvLinkSecureOther", Hardware, "no NVIDIA action yet"),
    row_of(&[171..=171], "UNCORRECTABLE_DRAM", "", "", Monitor, "UncorrectableDram", Hardware, "no NVIDIA action yet; comes with 48, 94 or 95, which decide"),
    row_of(&[172..=172], "UNCORRECTABLE_SRAM", "", "", Monitor, "UncorrectableSram", Hardware, "no NVIDIA action yet; comes with 48, 94 or 95, which decide"),
    row_of(&[173..=173], "C2C_FATAL_LINK_FAILURE", "", "", Reboot, "C2cFatalLinkFailure", Hardware, "in the 595 driver, not in the catalogue"),
    row_of(&[174..=174], "KILL_PROCESS_SILENT", "", "", Monitor, "ProcessKilledSilently", Application, "in the 595 driver, not in the catalogue"),
    row_of(&[175..=175], "MEMORY_SUBSYSTEM_ERROR", "", "", Monitor, "MemorySubsystemError", Hardware, "in the 595 driver, not in the catalogue"),
    row_of(&[176..=176], "PCIE_CORRECTABLE_ERROR_FAULT", "", "", Monitor, "PcieCorrectableErrors", Hardware, "in the 595 driver, not in the catalogue"),
    row_of(&[1..=7, 9..=10, 12..=12, 14..=24, 26..=30, 33..=36, 42..=42, 47..=47, 49..=53, 55..=59, 65..=65, 73..=73, 81..=81, 87..=87, 90..=91, 108..=108, 111..=118, 122..=125, 138..=138], "unused on Ampere and later", "CONTACT_SUPPORT", "", Monitor, "UnusedXid", Software, "the catalogue gives one action for all of them; current data-centre GPUs do not use them"),
];

#[cfg(test)]
mod tests;
