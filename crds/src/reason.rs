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

    // ---- network
    /// The measured rate is below the declared floor.
    BELOW_FLOOR = "BelowFloor";
    /// The measured rate is far below that of the other edges.
    OUTLIER = "Outlier";
    /// A rate was measured and nobody declared a floor.
    MEASURED = "Measured";
}
