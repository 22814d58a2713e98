//! Reasons: the machine-readable word of a condition, finding, result or decision. PascalCase, stable.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $text;)+
    };
}

reasons! {
    // ---- decisions about a node
    /// Every enabled check of the node passed or did not apply.
    ALL_CHECKS_PASSED = "AllChecksPassed";
    /// Nothing has been judged yet.
    NEVER_JUDGED = "NeverJudged";
    /// The agent has not renewed its Lease for 150 s.
    AGENT_SILENT = "AgentSilent";
    /// The node has no accelerator.
    NO_ACCELERATOR = "NoAccelerator";
    /// A node that bears our taint while its findings do not explain it.
    ADOPTED = "Adopted";
    /// Marks stay although the policy that set them no longer enforces.
    HELD_BY_FORMER_POLICY = "HeldByFormerPolicy";
    /// The budget is spent; the marks that remove capacity wait.
    BUDGET_EXHAUSTED = "BudgetExhausted";
    /// There is room in the budget.
    WITHIN_BUDGET = "WithinBudget";
    /// The agent reports.
    REPORTING = "Reporting";
    /// No agent has reported yet.
    NEVER_REPORTED = "NeverReported";
    /// A HardwareProfile matched.
    PROFILE_MATCHED = "ProfileMatched";
    /// No HardwareProfile matched; nothing is condemned for a number that nobody declared.
    NO_PROFILE = "NoProfile";
    /// The policy is accepted.
    POLICY_ACCEPTED = "Accepted";
    /// Another policy of higher priority, or older, wins on every node that this one selects.
    OVERRULED = "Overruled";

    /// The node is under maintenance for longer than was expected.
    MAINTENANCE_OVERRUN = "MaintenanceOverrun";

    // ---- runs
    /// The run is waiting for its turn.
    PENDING = "Pending";
    /// Nodes of the run are busy or not reporting yet.
    WAITING_FOR_IDLE = "WaitingForIdle";
    /// The run is at work.
    RUNNING = "Running";
    /// Every target passed.
    PASSED = "Passed";
    /// At least one target failed.
    FAILED = "Failed";
    /// No target failed, but some could not be judged.
    INCONCLUSIVE = "Inconclusive";
    /// The run was cancelled.
    CANCELLED = "Cancelled";
    /// The targets of the run match no node.
    NO_MATCH = "NoMatch";
    /// The run has more than 1,000 targets.
    TOO_MANY = "TooMany";
    /// A group check has more members than it can take.
    GROUP_TOO_LARGE = "GroupTooLarge";
    /// A group check needs at least two members.
    GROUP_TOO_SMALL = "GroupTooSmall";
    /// All pairs are asked for on more than 64 nodes.
    USE_SAMPLE = "UseSample";
    /// The run names a node that does not exist.
    UNKNOWN_NODE = "UnknownNode";
    /// The run names a check or a level that this version does not know.
    UNKNOWN_CHECK = "UnknownCheck";
    /// The spec does not say what to do (older API servers without its validation let it through).
    INVALID_SPEC = "InvalidSpec";
    /// The Node was replaced under the same name after the targets were frozen.
    NODE_REPLACED = "NodeReplaced";
    /// The Node went away after the targets were frozen.
    NODE_GONE = "NodeGone";
    /// The deadline of the run passed first.
    DEADLINE_EXCEEDED = "DeadlineExceeded";
    /// The members of a group were not all ready within 30 s.
    NOT_READY = "NotReady";
    /// The agent died or the node rebooted in the middle of the assignment.
    INTERRUPTED = "Interrupted";
    /// The node is busy with another run.
    NODE_BUSY = "NodeBusy";

    // ---- checks that could not judge
    /// This version has no implementation of the check.
    NOT_IMPLEMENTED = "NotImplemented";
    /// A program that the check needs is not installed.
    TOOL_MISSING = "ToolMissing";
    /// The named program does not exist in the mounted directory.
    PROGRAM_NOT_FOUND = "ProgramNotFound";
    /// The named program may not be executed.
    PROGRAM_NOT_EXECUTABLE = "ProgramNotExecutable";
    /// The program was ended by a signal that was not ours.
    PROGRAM_KILLED = "ProgramKilled";
    /// The program wrote more than the cap.
    OUTPUT_TOO_LONG = "OutputTooLong";
    /// The program ended without a word.
    NO_OUTPUT = "NoOutput";
    /// The output is in no known format.
    UNKNOWN_OUTPUT = "UnknownOutput";
    /// The program did not end before its deadline.
    PROBE_DEADLINE_EXCEEDED = "ProbeDeadlineExceeded";
    /// A child of ours cannot be killed; the driver, most likely, holds it in the kernel.
    CHILD_UNKILLABLE = "ChildUnkillable";
    /// No kernel log can be read.
    KERNEL_LOG_UNREADABLE = "KernelLogUnreadable";
    /// Records of the kernel log were overwritten before they were read.
    KERNEL_LOG_OVERRUN = "KernelLogOverrun";
    /// The runner, which starts the probes, is gone.
    RUNNER_GONE = "RunnerGone";
    /// The NVIDIA management library cannot be loaded.
    DRIVER_LIBRARY_MISSING = "DriverLibraryMissing";
    /// A call into the driver's library does not come back.
    CALL_HUNG = "CallHung";
    /// The child that holds the driver's library crashed.
    SAMPLER_CRASHED = "SamplerCrashed";
    /// The device nodes exist and refuse us: our container lost its devices. Never the node's fault.
    AGENT_LOST_DEVICE_ACCESS = "AgentLostDeviceAccess";
    /// No GPU of the node has what the check reads.
    NOT_SUPPORTED = "NotSupported";
    /// The last reading is older than its interval allows.
    OVERDUE = "Overdue";
    /// Driver calls are suspended for maintenance.
    MAINTENANCE = "Maintenance";
    /// The node booted less than bootGraceSeconds ago.
    BOOT_GRACE = "BootGrace";
    /// iperf3: nobody listens at the peer.
    CONNECTION_REFUSED = "ConnectionRefused";
    /// iperf3: the peer accepted and stayed silent.
    PEER_SILENT = "PeerSilent";
    /// iperf3: the port of the slot is in use by somebody else.
    PORT_TAKEN = "PortTaken";
    /// The tool reported an error of its own.
    TOOL_ERROR = "ToolError";
    /// The node has no address that its peers could reach.
    NO_ADDRESS = "NoAddress";

    /// The node has nothing of what the check is about, and nobody declared any.
    NOT_APPLICABLE = "NotApplicable";

    // ---- inventory
    /// Every accelerator that is expected is there.
    COUNT_RIGHT = "CountRight";
    /// Fewer accelerators than the profile declares.
    GPU_MISSING = "GpuMissing";
    /// PCI shows an accelerator that the driver does not.
    NOT_IN_DRIVER = "NotInDriver";
    /// The driver shows an accelerator that PCI does not.
    NOT_ON_PCI = "NotOnPci";
    /// The Node offers fewer accelerators than the driver shows.
    NOT_ALLOCATABLE = "NotAllocatable";
    /// The driver says that the GPU is lost.
    GPU_LOST = "GpuLost";
    /// The model is not one that the profile declares.
    MODEL_UNEXPECTED = "ModelUnexpected";

    // ---- driver
    /// The driver asks for a reset of the GPU before it answers.
    RESET_REQUIRED = "ResetRequired";
    /// Library and kernel module are of different versions.
    LIB_RM_VERSION_MISMATCH = "LibRmVersionMismatch";
    /// The kernel module is not loaded although there are GPUs on PCI.
    DRIVER_NOT_LOADED = "DriverNotLoaded";
    /// Persistence mode is off.
    PERSISTENCE_OFF = "PersistenceOff";
    /// The driver is older than the profile allows.
    DRIVER_TOO_OLD = "DriverTooOld";
    /// Two GPUs answer with the same UUID.
    UUID_REPEATED = "UuidRepeated";
    /// A call into the library takes far longer than it should.
    CALL_SLOW = "CallSlow";
    /// The InfoROM is corrupted.
    CORRUPTED_INFOROM = "CorruptedInforom";
    /// The driver answers about this GPU with an error that says that it is not well.
    DRIVER_ERROR = "DriverError";

    // ---- memory
    /// Uncorrectable ECC errors since the last reset.
    ECC_UNCORRECTABLE = "EccUncorrectable";
    /// The driver's flag: so many errors in SRAM that the board is to be replaced.
    SRAM_THRESHOLD_EXCEEDED = "SramThresholdExceeded";
    /// Far more corrected errors than the other GPUs of the node.
    ECC_RATE_OUTLIER = "EccRateOutlier";
    /// ECC is off although the profile asks for it.
    ECC_DISABLED = "EccDisabled";
    /// A row remapping waits for a reset.
    REMAP_PENDING = "RemapPending";
    /// A row remapping failed.
    REMAP_FAILED = "RemapFailed";
    /// A memory bank has no spare row left.
    NO_SPARE_ROWS = "NoSpareRows";
    /// A page retirement waits for a reboot.
    RETIREMENT_PENDING = "RetirementPending";
    /// Pages were retired after double-bit errors.
    PAGES_RETIRED_DOUBLE_BIT = "PagesRetiredDoubleBit";
    /// More pages were retired after single-bit errors than a healthy board needs.
    PAGES_RETIRED_SINGLE_BIT = "PagesRetiredSingleBit";

    // ---- clocks, heat, power
    /// Hardware slowdown for too much of the time.
    HW_SLOWDOWN = "HwSlowdown";
    /// Hardware thermal slowdown for too much of the time.
    HW_THERMAL_SLOWDOWN = "HwThermalSlowdown";
    /// Power brake slowdown for too much of the time.
    POWER_BRAKE = "PowerBrake";
    /// The hardware slowdown stays although the GPU is cool.
    SLOWDOWN_STAYS = "SlowdownStays";
    /// Software thermal slowdown for too much of the time: cooling.
    SW_THERMAL_SLOWDOWN = "SwThermalSlowdown";
    /// Far lower clocks than the other GPUs under the same load.
    CLOCK_OUTLIER = "ClockOutlier";
    /// Hotter than the GPU's own slowdown threshold.
    ABOVE_SLOWDOWN = "AboveSlowdown";
    /// The memory is hotter than the highest temperature that the GPU names for it.
    MEMORY_ABOVE_MAXIMUM = "MemoryAboveMaximum";
    /// Far hotter than the other GPUs under the same load.
    TEMPERATURE_OUTLIER = "TemperatureOutlier";
    /// The enforced power limit is below the default.
    POWER_LIMIT_LOWERED = "PowerLimitLowered";
    /// Draws far less power than the other GPUs under the same load.
    POWER_OUTLIER = "PowerOutlier";

    // ---- links
    /// Fewer PCIe lanes than declared.
    WIDTH_BELOW_PROFILE = "WidthBelowProfile";
    /// A lower PCIe generation than declared, under load.
    GENERATION_BELOW_PROFILE = "GenerationBelowProfile";
    /// Fewer lanes than this board has shown in this slot, or than the other GPUs have.
    WIDTH_BELOW_BEST = "WidthBelowBest";
    /// A lower PCIe generation than this board has shown in this slot, or than the other GPUs have, under load.
    GENERATION_BELOW_BEST = "GenerationBelowBest";
    /// PCIe errors after which the link cannot be relied upon.
    PCIE_ERRORS = "PcieErrors";
    /// PCIe errors that lost a transfer and left the link whole.
    PCIE_NONFATAL_ERRORS = "PcieNonfatalErrors";
    /// PCIe replays or corrected errors at a rate that slows transfers down.
    PCIE_REPLAYS = "PcieReplays";
    /// Fewer NVLinks are up than declared.
    LINKS_BELOW_PROFILE = "LinksBelowProfile";
    /// Fewer NVLinks are up than this board has shown, or than the other GPUs have.
    LINKS_BELOW_BEST = "LinksBelowBest";
    /// NVLink errors at a rate that slows transfers down.
    LINK_ERRORS = "LinkErrors";
    /// NVLink errors that go on and on.
    LINK_ERRORS_PERSISTENT = "LinkErrorsPersistent";
    /// The fabric is not set up although the boot is long over: the fabric manager does not run.
    FABRIC_NOT_READY = "FabricNotReady";
    /// Setting the fabric up failed.
    FABRIC_FAILED = "FabricFailed";
    /// The fabric reports that this GPU's part of it is unhealthy.
    FABRIC_UNHEALTHY = "FabricUnhealthy";
    /// The fabric reports degraded bandwidth.
    FABRIC_DEGRADED = "FabricDegraded";
    /// The driver tells no way from a GPU to any other although it tells those of all others.
    TOPOLOGY_INCOMPLETE = "TopologyIncomplete";
    /// A GPU or network device stands elsewhere than in its peers' pattern.
    TOPOLOGY_DIFFERS = "TopologyDiffers";

    // ---- network
    /// An RDMA port is not active.
    PORT_DOWN = "PortDown";
    /// An RDMA port runs below its declared rate.
    PORT_SLOW = "PortSlow";
    /// Fewer RDMA devices than declared.
    RDMA_DEVICES_MISSING = "RdmaDevicesMissing";
    /// An RDMA port goes down again and again.
    PORT_FLAPPING = "PortFlapping";
    /// An RDMA port counts errors at a rate that slows transfers down.
    PORT_ERRORS = "PortErrors";
    /// Fewer EFA devices than declared.
    EFA_DEVICES_MISSING = "EfaDevicesMissing";
    /// An EFA device on PCI has no RDMA device or no uverbs node.
    EFA_INCOMPLETE = "EfaIncomplete";
    /// A kernel module that EFA needs is not loaded.
    EFA_MODULE_MISSING = "EfaModuleMissing";
    /// The limit of locked memory is too low for EFA.
    MEMLOCK_TOO_LOW = "MemlockTooLow";
    /// EFA drops packets.
    EFA_DROPS = "EfaDrops";

    // ---- fleet and drills
    /// A version differs from that of most nodes of the same profile.
    VERSION_DIFFERS = "VersionDiffers";
    /// A drill is going on; nothing is wrong.
    DRILL = "Drill";
    /// No policy allows drills on this node, or too many are going on.
    DRILL_NOT_ALLOWED = "DrillNotAllowed";

    // ---- network between nodes
    /// The measured rate is below the declared floor.
    BELOW_FLOOR = "BelowFloor";
    /// The measured rate is far below that of the other edges.
    OUTLIER = "Outlier";
    /// A rate was measured and nobody declared a floor.
    MEASURED = "Measured";
}
