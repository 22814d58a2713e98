//! How long calls take with `"timing": "real"`.
//!
//! Nothing here was measured by us: the times are what an operator sees of a healthy H100 with persistence mode on,
//! stated as guesses until a real GPU has been measured. Calls that ask the GPU's own processor (GSP) cost most.

use std::time::{Duration, Instant};

use crate::life;
use crate::state::{Machine, Timing};

/// Microseconds by the beginning of the function's name; the longest that fits counts.
const MICROSECONDS: &[(&str, u64)] = &[
    ("nvml", 20),
    ("nvmlErrorString", 0),
    ("nvmlEventSet", 20),
    ("nvmlSystemGet", 10),
    ("nvmlDeviceGetHandleBy", 10),
    ("nvmlDeviceGetIndex", 1),
    ("nvmlDeviceGetName", 10),
    ("nvmlDeviceGetTemperature", 5),
    ("nvmlDeviceGetPowerUsage", 30),
    ("nvmlDeviceGetTotalEnergyConsumption", 30),
    ("nvmlDeviceGetTotalEccErrors", 1_000),
    ("nvmlDeviceGetMemoryErrorCounter", 1_000),
    ("nvmlDeviceGetSramEccErrorStatus", 1_000),
    ("nvmlDeviceGetRemappedRows", 300),
    ("nvmlDeviceGetRowRemapperHistogram", 300),
    ("nvmlDeviceGetRetiredPages", 300),
    ("nvmlDeviceGetUtilizationRates", 50),
    ("nvmlDeviceGetCurrentClocks", 50),
    ("nvmlDeviceGetClockInfo", 50),
    ("nvmlDeviceGetPcieReplayCounter", 50),
    // Counts bytes for 20 ms (nvml.h).
    ("nvmlDeviceGetPcieThroughput", 20_000),
    ("nvmlDeviceGetNvLinkState", 30),
    ("nvmlDeviceGetNvLinkErrorCounter", 100),
    ("nvmlDeviceGetNvLinkRemotePciInfo", 50),
    ("nvmlDeviceGetGpuFabricInfo", 100),
    ("nvmlDeviceGetFieldValues", 100),
    ("nvmlDeviceValidateInforom", 2_000),
    ("nvmlDeviceGetTopologyCommonAncestor", 20),
    ("nvmlDeviceGetComputeRunningProcesses", 200),
];

/// The first initialization in a process, per GPU: with persistence mode, and without, when the GPU has to wake up.
const INIT_WITH_PERSISTENCE: Duration = Duration::from_millis(30);
const INIT_WITHOUT: Duration = Duration::from_millis(300);

/// Sleeping costs more than this; below it the call spins.
const SHORTEST_SLEEP: Duration = Duration::from_micros(60);

/// Takes the time that the call takes.
pub(crate) fn take(machine: &Machine, name: &str) {
    match machine.timing {
        Timing::None => {}
        Timing::Real => wait(time_of(machine, name)),
    }
}

fn time_of(machine: &Machine, name: &str) -> Duration {
    if name.starts_with("nvmlInit") {
        if life::is_initialized() {
            return Duration::ZERO;
        }
        let times = machine.gpus.iter().map(|gpu| if gpu.persistence { INIT_WITH_PERSISTENCE } else { INIT_WITHOUT });
        return times.sum();
    }
    let fits = MICROSECONDS.iter().filter(|(start, _)| name.starts_with(start));
    Duration::from_micros(fits.max_by_key(|(start, _)| start.len()).map_or(0, |(_, time)| *time))
}

fn wait(time: Duration) {
    if time >= SHORTEST_SLEEP {
        // Linux wakes a sleeper up to 50 us late.
        std::thread::sleep(time.saturating_sub(Duration::from_micros(50)));
    } else {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, time_of};
    use crate::state::Machine;

    #[test]
    fn each_call_takes_the_time_of_its_row_and_the_first_start_that_of_all_gpus() {
        let machine = Machine::parse(
            br#"{"gpus": [{"pci": "0000:18:00.0", "persistence": false}, {"pci": "0000:2a:00.0"}], "timing": "real"}"#,
        )
        .unwrap();
        assert_eq!(time_of(&machine, "nvmlInit_v2"), Duration::from_millis(330));
        assert_eq!(time_of(&machine, "nvmlDeviceGetTotalEccErrors"), Duration::from_millis(1));
        assert_eq!(time_of(&machine, "nvmlDeviceGetTemperatureThreshold"), Duration::from_micros(5));
        assert_eq!(time_of(&machine, "nvmlDeviceGetUUID"), Duration::from_micros(20));
    }
}
