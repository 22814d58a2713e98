//! The Xid catalogue as data: one row per code, or per range of codes that NVIDIA treats alike.
//!
//! Source of codes, meanings, GPUs and both NVIDIA actions: NVIDIA's Xid catalogue (docs.nvidia.com/deploy/xid-errors/
//! analyzing-xid-catalog.html, codes 1 to 172); codes 173 to 182: open-gpu-kernel-modules 615.71.09 `nverror.h`; 185:
//! release notes of NVIDIA's GPU Operational Events R620. The severities are ours, consistent with the catalogue's
//! immediate action; where other published mappings differ, the row's note says why we decided so.

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
    /// The GPUs that the catalogue lists the code for; empty if none, or if the catalogue does not list the code. For
    /// people only: a line does not say which GPU it is about, and no severity depends on it.
    pub applies: &'static [&'static str],
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

/// Codes that their own line decides, whatever their row says: the registers of 74, the words of 144 to 150, the value of 154.
const DECIDED_BY_DETAIL: &[RangeInclusive<u32>] = &[74..=74, 144..=150, 154..=154];

/// Whether the code alone condemns.
pub fn condemns_by_row(code: u32) -> bool {
    let by_detail = DECIDED_BY_DETAIL.iter().any(|codes| codes.contains(&code));
    !by_detail && row(code).is_some_and(|row| row.severity.condemns())
}

/// The row of codes that are not listed: reported and watched.
pub static UNKNOWN: XidRow =
    row_of(&[], &[], "not in the catalogue", "", "", Severity::Monitor, "UnknownXid", Concern::Software, "");

/// The GPUs of the catalogue's columns.
pub const EVERY_GPU: &[&str] = &["A100", "H100", "B100", "GB200"];
const ALL: &[&str] = EVERY_GPU;
const HOPPER_ON: &[&str] = &["H100", "B100", "GB200"];
const BLACKWELL: &[&str] = &["B100", "GB200"];

use Concern::{Application, Hardware, Software};
use Severity::{Isolate, Monitor, Reboot, Reset};

#[expect(clippy::too_many_arguments, reason = "one argument per column of the table below")]
const fn row_of(
    codes: &'static [RangeInclusive<u32>],
    applies: &'static [&'static str],
    meaning: &'static str,
    immediate: &'static str,
    investigate: &'static str,
    severity: Severity,
    reason: &'static str,
    concern: Concern,
    note: &'static str,
) -> XidRow {
    XidRow { codes, applies, meaning, immediate, investigate, severity, reason, concern, note }
}

/// Every row, by code.
#[rustfmt::skip]
pub static ROWS: &[XidRow] = &[
    row_of(&[8..=8], ALL, "GPU stopped processing (idle timeout)", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "GpuIdleTimeout", Application, ""),
    row_of(&[11..=11, 25..=25, 32..=32], ALL, "invalid or corrupted push buffer", "RESTART_APP", "CHECK_APP/CUDA", Monitor, "CorruptedPushBuffer", Application, "32 (PBDMA) often comes from poor PCIe signal quality: look at the replay counters"),
    row_of(&[80..=80], &["A100", "H100"], "corrupted data sent to the GPU", "RESTART_APP", "CHECK_APP/CUDA", Monitor, "PushBufferCrcMismatch", Application, ""),
    row_of(&[13..=13], ALL, "graphics or compute engine exception", "RESTART_APP", "WORKFLOW_XID_13", Monitor, "EngineException", Application, "if the same TPC and GPC fail again and again, suspect the hardware: run the field diagnostic"),
    row_of(&[14..=14], ALL, "injected from user space", "IGNORE", "CONTACT_SUPPORT", Monitor, "InjectedError", Application, ""),
    row_of(&[31..=31], ALL, "MMU fault", "RESTART_APP", "WORKFLOW_XID_31", Monitor, "MmuFault", Application, "on one GPU again and again: hardware; on many nodes with one driver version: the driver (open-gpu-kernel-modules 1370)"),
    row_of(&[37..=37], ALL, "driver firmware error", "IGNORE", "CHECK_APP/CUDA", Monitor, "DriverFirmwareError", Software, ""),
    row_of(&[38..=38], ALL, "FECS watchdog or driver firmware", "IGNORE", "CONTACT_SUPPORT", Monitor, "FecsWatchdog", Software, ""),
    row_of(&[39..=41, 70..=72, 75..=77, 85..=85], ALL, "copy engine exception", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "CopyEngineException", Application, ""),
    row_of(&[126..=135], BLACKWELL, "copy engine exception", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "CopyEngineException", Application, ""),
    row_of(&[43..=43], ALL, "channel reset verification (the application's own fault)", "IGNORE", "CONTACT_SUPPORT", Monitor, "ChannelResetVerification", Application, ""),
    row_of(&[44..=44], ALL, "fault during context switch", "IGNORE", "CONTACT_SUPPORT", Monitor, "ContextSwitchFault", Software, ""),
    row_of(&[45..=45], ALL, "pre-emptive removal", "WORKFLOW_XID_45", "Solo: RESTART_FM Not Solo: IGNORE (follow other Xid)", Monitor, "PreemptiveRemoval", Application, "the consequence of another fault or of a killed process: the other Xid decides, also one that only the end of this line names (caused by previous Xid)"),
    row_of(&[46..=46], ALL, "GPU stopped processing (timeout)", "RESET_GPU", "CONTACT_SUPPORT", Reset, "GpuStoppedProcessing", Hardware, ""),
    row_of(&[48..=48], ALL, "double-bit ECC error", "WORKFLOW_XID_48", "WORKFLOW_XID_48", Reset, "DoubleBitEcc", Hardware, "alone or with 63/64 a reset cures it; SRAM: the threshold flag decides; an Xid 154 follows"),
    row_of(&[54..=54], &["A100", "H100", "B100"], "auxiliary power is not connected", "CHECK_MECHANICALS", "CONTACT_SUPPORT", Isolate, "AuxPowerNotConnected", Hardware, "someone must reconnect the power cable"),
    row_of(&[60..=60], ALL, "SEC2 error", "RESTART_APP", "INVESTIGATE_SW", Monitor, "Sec2Error", Software, ""),
    row_of(&[61..=61], &[], "PMU breakpoint", "CONTACT_SUPPORT", "", Monitor, "PmuBreakpoint", Software, "unused on Ampere and later"),
    row_of(&[62..=62], ALL, "PMU halt", "RESET_GPU", "CONTACT_SUPPORT", Reset, "PmuHalt", Hardware, "an Xid 154 follows"),
    row_of(&[63..=63], ALL, "row remapping (older: page retirement) recorded", "IGNORE", "IGNORE", Monitor, "RowRemapRecorded", Hardware, "the row-remap state decides, this line only says when to read it; an Xid 154 follows"),
    row_of(&[64..=64], ALL, "row remapping failed", "RESET_GPU", "CONTACT_SUPPORT", Reset, "RowRemapFailed", Hardware, "decided by its text: see the table of Xid 64 below; without one a reset is tried, and the check rowRemap isolates the board if its state reads failure; an Xid 154 follows"),
    row_of(&[66..=66], ALL, "register access violation by the driver", "IGNORE", "INVESTIGATE_SW", Monitor, "IllegalDriverAccess", Software, ""),
    row_of(&[67..=67], ALL, "verification violation by the driver", "IGNORE", "CONTACT_SUPPORT", Monitor, "DriverVerificationViolation", Software, ""),
    row_of(&[68..=68], ALL, "NVDEC0 exception", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "VideoDecoderException", Application, ""),
    row_of(&[69..=69], ALL, "graphics or compute class error", "RESTART_APP", "CHECK_APP/CUDA", Monitor, "ClassError", Application, ""),
    row_of(&[74..=74], &["A100", "H100"], "NVLink error", "WORKFLOW_NVLINK_ERR", "CONTACT_SUPPORT", Reset, "NvLinkError", Hardware, "if its registers can be read, they decide; an Xid 154 follows"),
    row_of(&[78..=78], ALL, "vGPU start error", "UPDATE_SWFW", "UPDATE_SWFW", Monitor, "VgpuStartError", Software, ""),
    row_of(&[79..=79], ALL, "GPU has fallen off the bus", "RESTART_BM", "CONTACT_SUPPORT", Reboot, FALLEN_OFF_THE_BUS, Hardware, "an Xid 154 follows"),
    row_of(&[82..=84, 86..=86, 88..=89], ALL, "video engine exception", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "VideoEngineException", Application, ""),
    row_of(&[96..=105], HOPPER_ON, "video engine exception", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "VideoEngineException", Application, ""),
    row_of(&[92..=92], ALL, "high rate of single-bit ECC errors", "IGNORE", "CONTACT_SUPPORT", Monitor, "HighSingleBitEccRate", Hardware, ""),
    row_of(&[93..=93], &["A100"], "InfoROM wear", "IGNORE", "CONTACT_SUPPORT", Monitor, "InfoRomWear", Hardware, ""),
    row_of(&[94..=94], ALL, "contained ECC error", "RESTART_APP", "IGNORE (sympathetic)", Monitor, "ContainedEcc", Hardware, "reset when convenient; Reset if the line says RST: Yes or D-RST: Yes; an Xid 154 follows"),
    row_of(&[95..=95], ALL, "uncontained ECC error", "RESET_GPU", "IGNORE (sympathetic)", Reset, "UncontainedEcc", Hardware, "an Xid 154 follows"),
    row_of(&[106..=107], ALL, "SMBPBI test message", "IGNORE", "IGNORE", Monitor, "SmbpbiTest", Software, ""),
    row_of(&[108..=108], ALL, "NVLink remote translation error", "IGNORE", "XID_137_FLOW", Monitor, "RemoteTranslationError", Application, ""),
    row_of(&[109..=109], ALL, "context switch timeout", "RESET_GPU", "CONTACT_SUPPORT", Reset, "ContextSwitchTimeout", Hardware, "NVIDIA says reset, gpud warning; we follow NVIDIA; an Xid 154 follows from R570"),
    row_of(&[110..=110], HOPPER_ON, "security fault", "RESET_GPU", "INVESTIGATE_SW", Reset, "SecurityFault", Hardware, "an Xid 154 follows; NVIDIA says that only a cold reset clears it, so a warm reset may not cure it"),
    row_of(&[119..=119], ALL, "GSP RPC timeout", "RESET_GPU", "INVESTIGATE_SW", Reset, "GspRpcTimeout", Software, ""),
    row_of(&[120..=120], ALL, "GSP error", "RESET_GPU", "INVESTIGATE_SW", Reset, "GspError", Software, "an Xid 154 follows"),
    row_of(&[121..=121], &["GB200"], "C2C error, corrected", "IGNORE", "CONTACT_SUPPORT", Monitor, "C2cCorrected", Hardware, "may repeat; a reset at the next service window trains the link again"),
    row_of(&[136..=136], &["H100"], "ALI link training failed", "RESET_GPU", "INVESTIGATE_LINK_SI", Reset, "LinkTrainingFailed", Hardware, "an Xid 154 follows"),
    row_of(&[137..=137], ALL, "NVLink PRIV or remote MMU fault", "IGNORE", "XID_137_FLOW", Monitor, "RemoteMmuFault", Application, "a job that is stopped in the middle of NVLS collectives leaves a burst of these, with SXid 12028 and Xid 94, on healthy hardware"),
    row_of(&[139..=139], BLACKWELL, "OFA1 exception (optical flow)", "RESTART_APP", "CONTACT_SUPPORT", Monitor, "OpticalFlowException", Application, ""),
    row_of(&[140..=140], ALL, "unrecoverable ECC error escaped", "RESET_GPU", "CONTACT_SUPPORT", Reset, "UnrecoverableEcc", Hardware, ""),
    row_of(&[141..=141], HOPPER_ON, "CUDA fast path error", "IGNORE", "CONTACT_SUPPORT", Monitor, "CudaFastPathError", Software, ""),
    row_of(&[142..=142], &["GB200"], "NVENC3 exception", "CONTACT_SUPPORT", "", Monitor, "VideoEncoder3Fault", Application, "NVIDIA names no cure; the exceptions of all other video engines only stop a program"),
    row_of(&[143..=143], HOPPER_ON, "GPU initialisation error", "RESET_GPU", "CONTACT_SUPPORT", Reset, "GpuInitError", Hardware, "an Xid 154 follows from R575"),
    row_of(&[144..=144], BLACKWELL, "NVLink5 SAW", "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR", Monitor, "NvLinkSaw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[145..=145], BLACKWELL, "NVLink5 RLW", "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR", Monitor, "NvLinkRlw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[146..=146], BLACKWELL, "NVLink5 TLW", "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR", Monitor, "NvLinkTlw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[147..=147], BLACKWELL, "NVLink5 TREX", "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR", Monitor, "NvLinkTrex", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[148..=148], BLACKWELL, "NVLink5 NVLPW", "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR", Monitor, "NvLinkNvlpw", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[149..=149], BLACKWELL, "NVLink5 NETIR", "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR", Monitor, "NvLinkNetir", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[150..=150], BLACKWELL, "NVLink5 MSE", "WORKFLOW_NVLINK5_ERR", "WORKFLOW_NVLINK5_ERR", Monitor, "NvLinkMse", Hardware, "decided by the NVLink5 table below; an Xid 154 follows"),
    row_of(&[151..=151], HOPPER_ON, "key rotation", "RESTART_VM", "CONTACT_SUPPORT", Reboot, "KeyRotation", Software, "confidential computing; the node is the machine that owns the GPU"),
    row_of(&[152..=153], &[], "DLA", "IGNORE", "CONTACT_SUPPORT", Monitor, "DlaNotice", Software, ""),
    row_of(&[154..=154], ALL, "GPU recovery action changed", "XID_154", "Informational only regarding another Xid", Monitor, "RecoveryActionChanged", Hardware, "a state, judged by the value it changed to: see the table of Xid 154 below"),
    row_of(&[155..=155], BLACKWELL, "NVLink error defined by software", "RESET_GPU", "INVESTIGATE_SW_USER", Reset, "NvLinkSoftwareDefined", Hardware, "also printed when a link is taken down or put to sleep on purpose; an Xid 154 follows"),
    row_of(&[156..=156], HOPPER_ON, "resource retirement", "RESET_GPU", "IGNORE", Reset, "ResourceRetirement", Hardware, "an Xid 154 follows"),
    row_of(&[157..=157], HOPPER_ON, "resource retirement failed", "IGNORE", "CONTACT_SUPPORT", Monitor, "ResourceRetirementFailed", Hardware, "no spare is left, and the GPU is still usable: the line may come again, so plan a replacement"),
    row_of(&[158..=158], ALL, "GPU fatal timeout", "RESET_GPU", "CONTACT_SUPPORT", Reset, "GpuFatalTimeout", Hardware, ""),
    row_of(&[159..=159], BLACKWELL, "CHI non-data error", "CHECK_UVM", "SYMPATHETIC_REPORT_SOLO", Monitor, "ChiNonDataError", Software, "reset if UVM or vGPU is in use, otherwise ignore: the line does not say which, an Xid 154 would"),
    row_of(&[160..=160], BLACKWELL, "channel retirement", "IGNORE", "INVESTIGATE_SW", Monitor, "ChannelRetirement", Hardware, "memory is marked for repair, and the text names the reset that activates it; an Xid 154 follows from R575"),
    row_of(&[161..=161], BLACKWELL, "channel retirement failed", "IGNORE", "INVESTIGATE_SW", Monitor, "ChannelRetirementFailed", Hardware, "an Xid 154 follows from R575"),
    row_of(&[162..=162], BLACKWELL, "power smoothing re-engaged", "", "", Monitor, "PowerSmoothingEngaged", Hardware, ""),
    row_of(&[163..=163], BLACKWELL, "power smoothing disengaged", "", "", Monitor, "PowerSmoothingDisengaged", Hardware, "needs no reset; it is thermal: cool the GPU, or after a timeout load the driver again or reset the GPU"),
    row_of(&[164..=164], BLACKWELL, "power smoothing: low lifetime", "", "", Monitor, "PowerSmoothingLowLifetime", Hardware, "replace the board only where power smoothing is wanted"),
    row_of(&[165..=165], BLACKWELL, "power smoothing: zero lifetime", "", "", Monitor, "PowerSmoothingWornOut", Hardware, "replace the board only where power smoothing is wanted and power swings do harm; AWS isolates under strict"),
    row_of(&[166..=166], BLACKWELL, "NVLINK_SECURE_CRYPTO_ERR", "", "", Monitor, "NvLinkSecure", Hardware, "confidential computing only"),
    row_of(&[167..=167], HOPPER_ON, "PCIE_FATAL_TIMEOUT", "", "", Monitor, "PcieFatalTimeout", Hardware, "no NVIDIA action; drivers that print it also report a recovery action, which decides"),
    row_of(&[168..=168], ALL, "REDUCED_GPU_MEMORY_CAPACITY", "", "", Reboot, "ReducedMemoryCapacity", Hardware, "only with ECC off; NVIDIA: enable ECC, or boot again, as NVSentinel and AWS do"),
    row_of(&[169..=169], HOPPER_ON, "SEC2_HALT_ERROR", "", "", Monitor, "Sec2Halt", Software, "no NVIDIA action"),
    row_of(&[170..=170], BLACKWELL, "NVLINK_SECURE_OTHER", "", "", Monitor, "NvLinkSecureOther", Hardware, "confidential computing only"),
    row_of(&[171..=171], ALL, "UNCORRECTABLE_DRAM_ERROR", "", "", Monitor, "UncorrectableDram", Hardware, "says more about a 48, which decides"),
    row_of(&[172..=172], ALL, "UNCORRECTABLE_SRAM_ERROR", "", "", Monitor, "UncorrectableSram", Hardware, "says more about a 48, which decides"),
    row_of(&[173..=173], &[], "C2C_FATAL_LINK_FAILURE", "", "", Monitor, "C2cFatalLinkFailure", Hardware, "from the driver's source alone; the recovery action decides"),
    row_of(&[174..=174], &[], "KILL_PROCESS_SILENT", "", "", Monitor, "ProcessKilledSilently", Application, "in the source of driver 595, no longer in that of 615"),
    row_of(&[175..=175], &[], "MEMORY_SUBSYSTEM_ERROR", "", "", Monitor, "MemorySubsystemError", Hardware, "from the driver's source alone; the recovery action decides"),
    row_of(&[176..=176], &[], "PCIE_CORRECTABLE_ERROR_FAULT", "", "", Monitor, "PcieCorrectableErrors", Hardware, "from the driver's source alone; errors that PCIe corrected"),
    row_of(&[177..=177], &[], "bank remapping", "", "", Monitor, "BankRemapRecorded", Hardware, "the text says that a reset of the GPU activates it; like 63, it is no fault by itself"),
    row_of(&[178..=178], &[], "remote translation poison", "", "", Monitor, "RemoteTranslationPoison", Hardware, "from the driver's source alone; the recovery action decides"),
    row_of(&[179..=179], &[], "GPU containment (C2C)", "", "", Monitor, "C2cContainment", Hardware, "from the driver's source alone; the recovery action decides"),
    row_of(&[180..=180], &[], "RIST", "", "", Monitor, "RistFault", Hardware, "from the driver's source alone; the recovery action decides"),
    row_of(&[181..=181], &[], "C2C training failure", "", "", Monitor, "C2cTrainingFailure", Hardware, "from the driver's source alone; the recovery action decides"),
    row_of(&[182..=182], &[], "PCIe reset failure", "", "", Monitor, "PcieResetFailure", Hardware, "from the driver's source alone; the recovery action decides"),
    row_of(&[185..=185], &[], "memory sparing", "", "", Monitor, "MemorySparing", Hardware, "GPU Operational Events R620; 183 and 184 are not published"),
    row_of(&[1..=7, 9..=10, 12..=12, 15..=24, 26..=30, 33..=36, 42..=42, 47..=47, 49..=53, 55..=59, 65..=65, 73..=73, 81..=81, 87..=87, 90..=91, 111..=118, 122..=125, 138..=138], &[], "unused on Ampere and later", "CONTACT_SUPPORT", "", Monitor, "UnusedXid", Software, "the catalogue gives one action for all of them; current data-centre GPUs do not use them"),
];

#[cfg(test)]
mod tests;
