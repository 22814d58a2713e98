//! What a user's program may use up. The node's memory, processes and disk belong to its workloads: a program that takes
//! too much is stopped or killed first, and gives no verdict.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One limit.
pub(crate) struct Limit {
    /// What the kernel counts.
    resource: Resource,
    /// The most of it, in the unit of setrlimit(2).
    most: u64,
    /// Only for a program that runs under a uid of its own: the kernel counts all tasks of a uid together, and never stops
    /// root.
    needs_own_user: bool,
}

const GIB: u64 = 1 << 30;

/// The limits of a custom program. A limit that is lower already stays.
pub(crate) static OF_PROGRAMS: &[Limit] = &[
    // Memory that the program can write to. A process that drives GPUs needs a few GiB; what it pins for them is not
    // counted here (shared mappings of the driver).
    limit(Resource::Data, 16 * GIB),
    // CUDA reserves addresses for the memory of all GPUs and of the host (CUDA C++ programming guide, unified virtual
    // addressing): terabytes on a machine with eight GPUs. This bounds only what is absurd.
    limit(Resource::As, 32 * 1024 * GIB),
    // Tasks of uid 65534 in all containers of the node that share its user namespace.
    Limit { needs_own_user: true, ..limit(Resource::Nproc, 1024) },
    // NCCL opens a socket per peer and channel; a few thousand at most on one node.
    limit(Resource::Nofile, 16_384),
    // A single file.
    limit(Resource::Fsize, GIB),
    // 0 would still write a dump into a pipe of core_pattern(5); the kernel takes 1 as the sign of a process that must not
    // (fs/coredump.c), and no file is that short.
    limit(Resource::Core, 1),
];

const fn limit(resource: Resource, most: u64) -> Limit {
    Limit { resource, most, needs_own_user: false }
}

/// Never more than this share of the machine's memory.
const SHARE_OF_MEMORY: u64 = 4;
/// The highest of oom_score_adj (proc(5)): killed before everything else when memory runs out.
const FIRST_TO_DIE: &str = "1000";

/// Sets the limits for this process, and so for all programs that it starts from now on.
pub(crate) fn confine(has_own_user: bool) -> io::Result<()> {
    let sys = rustix::system::sysinfo();
    let memory = sys.totalram.saturating_mul(sys.mem_unit.into());
    for limit in OF_PROGRAMS.iter().filter(|limit| has_own_user || !limit.needs_own_user) {
        let most = match limit.resource {
            Resource::Data => limit.most.min(memory / SHARE_OF_MEMORY),
            _ => limit.most,
        };
        let Rlimit { current, maximum } = getrlimit(limit.resource);
        let at_most = |known: Option<u64>| Some(known.map_or(most, |known| known.min(most)));
        setrlimit(limit.resource, Rlimit { current: at_most(current), maximum: at_most(maximum) })?;
    }
    // A tree without /proc only loses the order in which the kernel kills.
    let _ = std::fs::write("/proc/self/oom_score_adj", FIRST_TO_DIE);
    Ok(())
}
