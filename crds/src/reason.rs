//! Machine-readable reasons of conditions, findings, results and decisions: PascalCase and stable.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $text;)+

        /// Every reason above.
        pub const ALL: &[&str] = &[$($text),+];
    };
}

reasons! {
    // ---- decisions about a node
    /// Every enabled check judged all that it is for, or did not apply.
    COVERED = "Covered";
    /// A monitor has no row in the report, or a GPU is not covered.
    NOT_COVERED = "NotCovered";
    /// Every enabled check passed or did not apply.
    ALL_CHECKS_PASSED = "AllChecksPassed";
    /// Nothing has been judged yet.
    NEVER_JUDGED = "NeverJudged";
    /// The agent has not renewed its Lease for 150 s.
    AGENT_SILENT = "AgentSilent";
    /// The node has no accelerator.
    NO_ACCELERATOR = "NoAccelerator";
    /// The node has our taint, but no finding explains it.
    ADOPTED = "Adopted";
    /// Marks stay although the policy that set them no longer enforces them.
    HELD_BY_FORMER_POLICY = "HeldByFormerPolicy";
    /// The budget is used up; marks that remove capacity wait.
    BUDGET_EXHAUSTED = "BudgetExhausted";
    /// The budget has room.
    WITHIN_BUDGET = "WithinBudget";
    /// The agent reports.
    REPORTING = "Reporting";
    /// The API server refuses the agent's full report; it is sent without texts.
    REPORT_REFUSED = "ReportRefused";
    /// The agent reports findings of no check, or about nothing that its inventory lists.
    AGENT_ERROR = "AgentError";
    /// No agent has reported yet.
    NEVER_REPORTED = "NeverReported";
    /// A NodeHardwareProfile matched.
    PROFILE_MATCHED = "ProfileMatched";
    /// No NodeHardwareProfile matched, so counts and rates are not judged.
    NO_PROFILE = "NoProfile";
    /// The policy is accepted.
    POLICY_ACCEPTED = "Accepted";
    /// Every NodeHealth of the policy parses.
    ALL_READABLE = "AllReadable";
    /// A NodeHealth of the policy does not parse.
    UNREADABLE = "Unreadable";
    /// On every node that this policy selects, another policy wins by priority or age.
    OVERRULED = "Overruled";

    /// The policy has names that nobody has; the condition says which name is near.
    UNKNOWN_NAME = "UnknownName";

    /// The maintenance of the node takes longer than expected.
    MAINTENANCE_OVERRUN = "MaintenanceOverrun";

    // ---- runs
    /// The run has not started yet.
    PENDING = "Pending";
    /// Nodes of the run are busy or not reporting yet.
    WAITING_FOR_IDLE = "WaitingForIdle";
    /// The run is in progress.
    RUNNING = "Running";
    /// No target failed or was inconclusive.
    PASSED = "Passed";
    /// At least one target failed.
    FAILED = "Failed";
    /// No target failed, but some could not be judged.
    INCONCLUSIVE = "Inconclusive";
    /// The run was cancelled.
    CANCELLED = "Cancelled";
    /// No node matches the targets of the run.
    NO_MATCH = "NoMatch";
    /// The run has more than 1,000 targets.
    TOO_MANY = "TooMany";
    /// A group check has too many members.
    GROUP_TOO_LARGE = "GroupTooLarge";
    /// A group check needs at least two members.
    GROUP_TOO_SMALL = "GroupTooSmall";
    /// The pattern AllPairs was requested for more than 64 nodes.
    USE_SAMPLE = "UseSample";
    /// The run names a node that does not exist.
    UNKNOWN_NODE = "UnknownNode";
    /// The run names a check or level that is unknown to this version.
    UNKNOWN_CHECK = "UnknownCheck";
    /// The spec is invalid (an API server without our validation rules accepted it).
    INVALID_SPEC = "InvalidSpec";
    /// The Node was replaced under the same name after the targets were frozen.
    NODE_REPLACED = "NodeReplaced";
    /// The Node was deleted after the targets were frozen.
    NODE_GONE = "NodeGone";
    /// The run reached its deadline.
    DEADLINE_EXCEEDED = "DeadlineExceeded";
    /// The members of a group were not all ready within 30 s.
    NOT_READY = "NotReady";
    /// The agent restarted or the node rebooted during the assignment.
    INTERRUPTED = "Interrupted";
    /// Most edges of the node are bad, and the other edges of its partners are not.
    MOST_EDGES_BAD = "MostEdgesBad";
    /// Enough nodes of the run had failed (`failFast`), so no other was admitted.
    FAIL_FAST = "FailFast";
    /// The run is suspended.
    SUSPENDED = "Suspended";
    /// The node is busy with another run.
    NODE_BUSY = "NodeBusy";

    // ---- checks that could not judge
    /// This version does not implement the check.
    NOT_IMPLEMENTED = "NotImplemented";
    /// A program that the check needs is not installed.
    TOOL_MISSING = "ToolMissing";
    /// The program does not exist in the directory for custom checks.
    PROGRAM_NOT_FOUND = "ProgramNotFound";
    /// The program is not executable.
    PROGRAM_NOT_EXECUTABLE = "ProgramNotExecutable";
    /// The program was killed by a signal that the agent did not send.
    PROGRAM_KILLED = "ProgramKilled";
    /// The program wrote more output than allowed.
    OUTPUT_TOO_LONG = "OutputTooLong";
    /// The program wrote no output.
    NO_OUTPUT = "NoOutput";
    /// The output has an unknown format.
    UNKNOWN_OUTPUT = "UnknownOutput";
    /// The probe reached its deadline.
    PROBE_DEADLINE_EXCEEDED = "ProbeDeadlineExceeded";
    /// A child process cannot be killed. Most likely it hangs in the driver (state D).
    CHILD_UNKILLABLE = "ChildUnkillable";
    /// No kernel log can be read.
    KERNEL_LOG_UNREADABLE = "KernelLogUnreadable";
    /// Records of the kernel log were overwritten before they were read.
    KERNEL_LOG_OVERRUN = "KernelLogOverrun";
    /// `xid`: a line of the kernel log looks like a fault, but a program may have written it.
    XID_NOT_PROVEN = "XidNotProven";
    /// `kernelLog`: records were lost, and with them perhaps a fault.
    LOG_GAP = "LogGap";
    /// `kernelLog`: the kernel or the driver leaves out lines: counts of them are lower bounds.
    LOG_RATE_LIMITED = "LogRateLimited";
    /// `kernelLog`: the driver could not initialise a GPU.
    ADAPTER_INIT_FAILED = "AdapterInitFailed";
    /// `kernelLog`: the driver says itself why it cannot run this GPU: wrong kind of kernel module, unsupported GPU, missing firmware or PCI resources.
    DRIVER_UNSUITABLE = "DriverUnsuitable";
    /// `kernelLog`: a GPU did not come back from a state without power.
    DEVICE_INACCESSIBLE = "DeviceInaccessible";
    /// `kernelLog`: PCIe reported an uncorrected error on the path of a GPU, and the kernel could not recover it.
    PCIE_LOSS = "PcieLoss";
    /// `kernelLog`: the GPU's firmware processor (GSP) does not answer the driver.
    GSP_SILENT = "GspSilent";
    /// `kernelLog`: a GPU could not learn the state of a peer's NVLinks.
    NVLINK_DISCOVERY_FAILED = "NvLinkDiscoveryFailed";
    /// `kernelLog`: a task hangs in NVIDIA's driver.
    TASKS_STUCK = "TasksStuck";
    /// `kernelLog`: NVIDIA's driver crashed in the kernel.
    DRIVER_OOPS = "DriverOops";
    /// `kernelLog`: the machine reported an uncorrected error of memory, CPU or PCIe.
    HARDWARE_ERROR = "HardwareError";
    /// `kernelLog`: a line looks like a fault, but a program may have written it.
    MESSAGE_NOT_PROVEN = "MessageNotProven";
    /// The runner, which starts the probes, is not running.
    RUNNER_GONE = "RunnerGone";
    /// The runner, or the sampler that it started, stands still: it is stopped, frozen or gets no CPU. The node is not at
    /// fault.
    RUNNER_SILENT = "RunnerSilent";
    /// What a check changed on the node, for example a power limit, could not be restored.
    RESTORE_FAILED = "RestoreFailed";
    /// The NVIDIA management library cannot be loaded.
    DRIVER_LIBRARY_MISSING = "DriverLibraryMissing";
    /// The driver's library answered with a code that says nothing about the GPU or the driver.
    CODE_UNCLEAR = "CodeUnclear";
    /// All GPUs are bound to another kernel driver than NVIDIA's, for example vfio-pci.
    OTHER_KERNEL_DRIVER = "OtherKernelDriver";
    /// The kernel module is newer than the driver's library that the agent has loaded: the driver was upgraded under a running agent. The node is not at fault.
    AGENT_LIBRARY_STALE = "AgentLibraryStale";
    /// A call into the driver's library has not returned once. Slow is not hung: a second process makes the call again.
    CALL_UNANSWERED = "CallUnanswered";
    /// A call into the driver's library does not return.
    CALL_HUNG = "CallHung";
    /// The child process that calls the driver's library crashed.
    SAMPLER_CRASHED = "SamplerCrashed";
    /// The device nodes exist but deny access: the agent's container lost its devices. The node is not at fault.
    AGENT_LOST_DEVICE_ACCESS = "AgentLostDeviceAccess";
    /// No GPU of the node supports what the check reads.
    NOT_SUPPORTED = "NotSupported";
    /// The last reading is older than the interval allows.
    OVERDUE = "Overdue";
    /// Driver calls are suspended during maintenance.
    MAINTENANCE = "Maintenance";
    /// The node booted less than bootGraceSeconds ago.
    BOOT_GRACE = "BootGrace";
    /// iperf3: the peer does not listen.
    CONNECTION_REFUSED = "ConnectionRefused";
    /// iperf3: the peer accepted the connection but did not respond.
    PEER_SILENT = "PeerSilent";
    /// iperf3: another node than the partner of the slot was at the other end.
    FOREIGN_PEER = "ForeignPeer";
    /// iperf3: another process uses the port of the slot.
    PORT_TAKEN = "PortTaken";
    /// The tool reported an error.
    TOOL_ERROR = "ToolError";
    /// The node has no address that its peers can reach.
    NO_ADDRESS = "NoAddress";

    /// The node has none of the devices that the check covers, and its profile declares none.
    NOT_APPLICABLE = "NotApplicable";

    // ---- inventory
    /// All expected accelerators are present.
    COUNT_RIGHT = "CountRight";
    /// Fewer accelerators than the profile declares.
    GPU_MISSING = "GpuMissing";
    /// The number of accelerators depends on display controllers that may or may not be accelerators.
    COUNT_UNCLEAR = "CountUnclear";
    /// An accelerator is on PCI but not in the driver.
    NOT_IN_DRIVER = "NotInDriver";
    /// A GPU is bound to no kernel driver while others are.
    NO_KERNEL_DRIVER = "NoKernelDriver";
    /// An accelerator is in the driver but not on PCI.
    NOT_ON_PCI = "NotOnPci";
    /// The Node has fewer allocatable accelerators than the driver reports.
    NOT_ALLOCATABLE = "NotAllocatable";
    /// The driver reports the GPU as lost.
    GPU_LOST = "GpuLost";
    /// The profile does not declare this GPU model.
    MODEL_UNEXPECTED = "ModelUnexpected";

    // ---- driver
    /// The driver requires a reset of the GPU.
    RESET_REQUIRED = "ResetRequired";
    /// The versions of driver library and kernel module differ.
    LIB_RM_VERSION_MISMATCH = "LibRmVersionMismatch";
    /// The kernel module is not loaded although there are GPUs on PCI.
    DRIVER_NOT_LOADED = "DriverNotLoaded";
    /// Persistence mode is off.
    PERSISTENCE_OFF = "PersistenceOff";
    /// The driver is older than the profile allows.
    DRIVER_TOO_OLD = "DriverTooOld";
    /// Two GPUs report the same UUID.
    UUID_REPEATED = "UuidRepeated";
    /// A call into the driver's library is much too slow.
    CALL_SLOW = "CallSlow";
    /// The InfoROM is corrupted.
    CORRUPTED_INFOROM = "CorruptedInforom";
    /// The driver returns an error for this GPU that indicates a fault.
    DRIVER_ERROR = "DriverError";

    // ---- memory
    /// Uncorrectable ECC errors since the last reset.
    ECC_UNCORRECTABLE = "EccUncorrectable";
    /// The driver reports that SRAM errors exceeded its threshold for replacing the board.
    SRAM_THRESHOLD_EXCEEDED = "SramThresholdExceeded";
    /// Many more corrected errors than on the other GPUs of the node.
    ECC_RATE_OUTLIER = "EccRateOutlier";
    /// ECC is off although the profile requires it.
    ECC_DISABLED = "EccDisabled";
    /// A row remapping is pending until the GPU is reset.
    REMAP_PENDING = "RemapPending";
    /// A row remapping failed.
    REMAP_FAILED = "RemapFailed";
    /// A memory bank has no spare row left.
    NO_SPARE_ROWS = "NoSpareRows";
    /// A bank remapping is pending until the GPU is reset.
    BANK_REMAP_PENDING = "BankRemapPending";
    /// A group of memory banks has no spare bank left.
    NO_SPARE_BANKS = "NoSpareBanks";
    /// The repair of a memory channel or of a processing cluster (TPC) is pending until the GPU is reset.
    REPAIR_PENDING = "RepairPending";
    /// The driver flags memory that cannot be repaired.
    UNREPAIRABLE_MEMORY = "UnrepairableMemory";
    /// A page retirement is pending until the node reboots.
    RETIREMENT_PENDING = "RetirementPending";
    /// Pages were retired after double-bit errors.
    PAGES_RETIRED_DOUBLE_BIT = "PagesRetiredDoubleBit";
    /// More pages were retired after single-bit errors than a healthy board needs.
    PAGES_RETIRED_SINGLE_BIT = "PagesRetiredSingleBit";

    // ---- clocks, heat, power
    /// Hardware slowdown for too large a share of the time.
    HW_SLOWDOWN = "HwSlowdown";
    /// Hardware thermal slowdown for too large a share of the time.
    HW_THERMAL_SLOWDOWN = "HwThermalSlowdown";
    /// Power brake slowdown for too large a share of the time.
    POWER_BRAKE = "PowerBrake";
    /// Hardware slowdown persists although the GPU is cool.
    SLOWDOWN_STAYS = "SlowdownStays";
    /// Software thermal slowdown for too large a share of the time: insufficient cooling.
    SW_THERMAL_SLOWDOWN = "SwThermalSlowdown";
    /// Much lower clocks than the other GPUs under the same load.
    CLOCK_OUTLIER = "ClockOutlier";
    /// The temperature exceeds the GPU's slowdown threshold.
    ABOVE_SLOWDOWN = "AboveSlowdown";
    /// The memory temperature exceeds the maximum that the GPU reports.
    MEMORY_ABOVE_MAXIMUM = "MemoryAboveMaximum";
    /// Much hotter than the other GPUs under the same load.
    TEMPERATURE_OUTLIER = "TemperatureOutlier";
    /// The enforced power limit is below the default.
    POWER_LIMIT_LOWERED = "PowerLimitLowered";
    /// Draws much less power than the other GPUs under the same load.
    POWER_OUTLIER = "PowerOutlier";

    // ---- links
    /// Fewer PCIe lanes than declared.
    WIDTH_BELOW_PROFILE = "WidthBelowProfile";
    /// A lower PCIe generation than declared, under load.
    GENERATION_BELOW_PROFILE = "GenerationBelowProfile";
    /// Fewer PCIe lanes than this board had in this slot before, or than the other GPUs have.
    WIDTH_BELOW_BEST = "WidthBelowBest";
    /// A lower PCIe generation under load than this board had in this slot before, or than the other GPUs have.
    GENERATION_BELOW_BEST = "GenerationBelowBest";
    /// PCIe errors that make the link unreliable.
    PCIE_ERRORS = "PcieErrors";
    /// PCIe errors that lost a transfer but did not affect the link.
    PCIE_NONFATAL_ERRORS = "PcieNonfatalErrors";
    /// PCIe replays or corrected errors at a rate that slows transfers down.
    PCIE_REPLAYS = "PcieReplays";
    /// Fewer NVLinks are up than declared.
    LINKS_BELOW_PROFILE = "LinksBelowProfile";
    /// Fewer NVLinks are up than on this board before, or than on the other GPUs.
    LINKS_BELOW_BEST = "LinksBelowBest";
    /// NVLink errors at a rate that slows transfers down.
    LINK_ERRORS = "LinkErrors";
    /// NVLink errors that persist.
    LINK_ERRORS_PERSISTENT = "LinkErrorsPersistent";
    /// An NVLink with a high bit error rate.
    LINK_BIT_ERRORS = "LinkBitErrors";
    /// The fabric is not initialized long after boot: the fabric manager is not running.
    FABRIC_NOT_READY = "FabricNotReady";
    /// The initialization of the fabric failed.
    FABRIC_FAILED = "FabricFailed";
    /// The fabric reports this GPU's part as unhealthy.
    FABRIC_UNHEALTHY = "FabricUnhealthy";
    /// The fabric reports degraded bandwidth.
    FABRIC_DEGRADED = "FabricDegraded";
    /// The fabric has no partition for this GPU: a setting of the fabric, not a fault of the GPU.
    FABRIC_NO_PARTITION = "FabricNoPartition";
    /// The GPUs of a node are in different NVLink domains or cliques.
    FABRIC_SPLIT = "FabricSplit";
    /// The driver reports no path from this GPU to any other, but reports the paths of all others.
    TOPOLOGY_INCOMPLETE = "TopologyIncomplete";
    /// The position of a GPU or network device differs from the pattern of its peers.
    TOPOLOGY_DIFFERS = "TopologyDiffers";

    // ---- network
    /// An RDMA port is not active.
    PORT_DOWN = "PortDown";
    /// The rate of an RDMA port is below the declared rate.
    PORT_SLOW = "PortSlow";
    /// Fewer RDMA devices than declared.
    RDMA_DEVICES_MISSING = "RdmaDevicesMissing";
    /// Some RDMA devices may be in network namespaces that the agent does not see.
    RDMA_NAMESPACE_EXCLUSIVE = "RdmaNamespaceExclusive";
    /// The declared number of RDMA devices is reached only with virtual ones.
    RDMA_COUNT_UNCLEAR = "RdmaCountUnclear";
    /// The node has more RDMA ports than the agent reads.
    PORTS_NOT_READ = "PortsNotRead";
    /// An RDMA port goes down repeatedly.
    PORT_FLAPPING = "PortFlapping";
    /// An RDMA port counts errors at a rate that slows transfers down.
    PORT_ERRORS = "PortErrors";
    /// Fewer EFA devices than declared.
    EFA_DEVICES_MISSING = "EfaDevicesMissing";
    /// An EFA device on PCI has no RDMA device or no uverbs node.
    EFA_INCOMPLETE = "EfaIncomplete";
    /// A kernel module that EFA needs is not loaded.
    EFA_MODULE_MISSING = "EfaModuleMissing";
    /// The limit on locked memory is too low for EFA.
    MEMLOCK_TOO_LOW = "MemlockTooLow";
    /// EFA drops packets.
    EFA_DROPS = "EfaDrops";

    // ---- fleet and drills
    /// A version differs from that of most nodes of the same profile.
    VERSION_DIFFERS = "VersionDiffers";
    /// Nodes that belong to one NVLink domain report different clusters or cliques.
    NVLINK_DOMAIN_SPLIT = "NvlinkDomainSplit";
    /// A drill is in progress; there is no real fault.
    DRILL = "Drill";
    /// The node's policy does not allow drills, or too many are in progress.
    DRILL_NOT_ALLOWED = "DrillNotAllowed";

    // ---- network between nodes
    /// The measured rate is below the declared floor.
    BELOW_FLOOR = "BelowFloor";
    /// The measured rate is far below that of the other edges.
    OUTLIER = "Outlier";
    /// A rate was measured, but no floor is declared.
    MEASURED = "Measured";
}

/// The reasons of the monitor `xid`. Their meaning, severity and source stand in the agent's catalogue, whose tests compare
/// the two.
#[rustfmt::skip]
pub const OF_XIDS: &[&str] = &[
    "AuxPowerNotConnected", "BankRemapRecorded", "C2cContainment", "C2cCorrected", "C2cFatalLinkFailure",
    "C2cTrainingFailure", "ChannelResetVerification", "ChannelRetirement", "ChannelRetirementFailed",
    "ChiNonDataError", "ClassError", "ContainedEcc", "ContextSwitchFault", "ContextSwitchTimeout",
    "CopyEngineException", "CorruptedPushBuffer", "CudaFastPathError", "DlaNotice", "DoubleBitEcc",
    "DriverFirmwareError", "DriverVerificationViolation", "EngineException", "FallenOffTheBus", "FecsWatchdog",
    "GpuFatalTimeout", "GpuIdleTimeout", "GpuInitError", "GpuStoppedProcessing", "GspError", "GspRpcTimeout",
    "HighSingleBitEccRate", "IllegalDriverAccess", "InfoRomWear", "InjectedError", "KeyRotation",
    "LinkTrainingFailed", "MemorySparing", "MemorySubsystemError", "MmuFault", "NvLinkEccOrParity", "NvLinkError",
    "NvLinkFabricReset", "NvLinkHardware", "NvLinkInternal", "NvLinkMarginalSignal", "NvLinkMse", "NvLinkNetir",
    "NvLinkNotice", "NvLinkNvlpw", "NvLinkPeerFault", "NvLinkRemap", "NvLinkRepeatable", "NvLinkRlw", "NvLinkSaw",
    "NvLinkSecondary", "NvLinkSecure", "NvLinkSecureOther", "NvLinkSoftwareDefined", "NvLinkThreshold", "NvLinkTlw",
    "NvLinkTrex", "NvSwitchFatal", "NvSwitchHostFatal", "NvSwitchNonFatal", "NvSwitchUnknown", "OpticalFlowException",
    "PcieCorrectableErrors", "PcieFatalTimeout", "PcieResetFailure", "PmuBreakpoint", "PmuHalt",
    "PowerSmoothingDisengaged", "PowerSmoothingEngaged", "PowerSmoothingLowLifetime", "PowerSmoothingWornOut",
    "PreemptiveRemoval", "ProcessKilledSilently", "PushBufferCrcMismatch", "RecoveryActionChanged",
    "RecoveryActionUnknown", "RecoveryBusReset", "RecoveryDrainAndReset", "RecoveryDrainPeers", "RecoveryGpuReset",
    "RecoveryImexDomain", "RecoveryNodeReboot", "RecoveryNotNeeded", "RecoverySystemReboot", "ReducedMemoryCapacity",
    "RemoteMmuFault", "RemoteTranslationError", "RemoteTranslationPoison", "ResourceRetirement",
    "ResourceRetirementFailed", "RistFault", "RowRemapBankFull", "RowRemapFailed", "RowRemapInfoRomFull",
    "RowRemapLimitReached", "RowRemapNoSpare", "RowRemapPending", "RowRemapRecorded", "RowRemapTableFull",
    "Sec2Error", "Sec2Halt", "SecurityFault", "SmbpbiTest", "UncontainedEcc", "UncorrectableDram",
    "UncorrectableSram", "UnknownXid", "UnrecoverableEcc", "UnusedXid", "VgpuStartError", "VideoDecoderException",
    "VideoEncoder3Fault", "VideoEngineException",
];
