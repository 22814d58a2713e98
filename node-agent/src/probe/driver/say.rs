//! Writes answers to stdout, one line at a time, each in one piece.

use std::io::Write;

use crate::process::sys;
use crate::readings::sample::Sample;
use crate::readings::talk::{MAX_SAID_BYTES, Said};

/// Writes a line, and ends the process if the reader is gone. No thread writes during a call of the driver's library,
/// so this never waits for a thread that hangs.
pub(super) fn say(said: &Said) {
    let Ok(mut line) = serde_json::to_vec(said) else { return };
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(&line).and_then(|()| stdout.flush()).is_err() {
        sys::exit_now(1);
    }
}

/// Writes a sample, leaving out readings that make it too long for one line (64 GPUs with all their links and pairs).
pub(super) fn say_sample(id: u64, mut sample: Sample) {
    for leave_out in [|_: &mut Sample| {}, without_topology, without_links, without_readings] {
        leave_out(&mut sample);
        if length(&sample) + 64 <= MAX_SAID_BYTES {
            break;
        }
    }
    say(&Said::Sample { id, sample: Box::new(sample) });
}

fn length(sample: &Sample) -> usize {
    let mut counter = Counter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counter, sample);
    counter.0
}

struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn without_topology(sample: &mut Sample) {
    sample.gpus.iter_mut().for_each(|gpu| gpu.topology = None);
}

fn without_links(sample: &mut Sample) {
    sample.gpus.iter_mut().for_each(|gpu| gpu.nvlink = None);
}

fn without_readings(sample: &mut Sample) {
    sample.gpus.clear();
}
