//! The rooms of each program, ground first.

/// The rooms of one crate.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where its sources are, relative to the repository.
    pub(crate) sources: &'static str,
    /// Files (without `.rs`) and folders, ground first. A file belongs to the longest room that holds it, and may import
    /// its own room and the rooms before it in this list.
    pub(crate) rooms: &'static [&'static str],
}

pub(crate) const CRATES: &[Plan] = &[
    Plan {
        sources: "operator/src",
        rooms: &[
            "key",
            "world",
            "plan",
            "decide/govern",
            "decide/annotation",
            "decide/orders",
            "decide/runs",
            "decide/judge",
            "decide/marks",
            "decide/case",
            "decide/budget",
            "decide/tell",
            "decide/write",
            "decide",
            "queue",
            "wire",
            "stores",
            "engine",
            "shell",
            "lib",
        ],
    },
    Plan {
        sources: "node-agent/src",
        rooms: &[
            "pci",
            "time",
            "error",
            "text",
            "complain",
            "kernel_log",
            "kernel_messages",
            "xid",
            "process",
            "readings",
            "runner",
            "probe",
            "judge/core",
            "judge/gpu",
            "judge/link",
            "judge/net",
            "judge/xid",
            "judge",
            "dispatch",
            "agent",
            "metrics",
            "run",
            "check",
            "command_line",
            "lib",
        ],
    },
];
