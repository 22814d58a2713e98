use super::*;

fn at(seconds: u64) -> Now {
    Now { unix_ms: 1_800_000_000_000 + i64::try_from(seconds * 1000).unwrap(), mono_ms: 1_000 + seconds * 1000 }
}

const GPU: &str = "0000:18:00.0";

fn noted(values: &[(u64, u64)]) -> Memory {
    let mut memory = Memory::default();
    for (seconds, value) in values {
        memory.note(GPU, Counter::PcieReplays, *value, at(*seconds));
    }
    memory
}

fn increase(memory: &Memory, seconds: u64, now: u64) -> Option<u64> {
    memory.increase(GPU, Counter::PcieReplays, seconds * 1000, at(now)).map(|(by, _)| by)
}

#[test]
fn the_first_reading_is_no_rise() {
    assert_eq!(increase(&noted(&[(0, 4_711)]), 3600, 0), None);
    assert_eq!(increase(&noted(&[(0, 4_711), (60, 4_713)]), 3600, 60), Some(2));
}

#[test]
fn a_counter_that_was_reset_counts_from_zero_and_one_that_lies_is_no_rise() {
    assert_eq!(increase(&noted(&[(0, 1_000), (60, 3)]), 3600, 60), Some(3));
    assert_eq!(increase(&noted(&[(0, 1_000), (60, 999)]), 3600, 60), Some(0));
}

#[test]
fn a_restart_of_the_agent_neither_loses_a_rise_nor_counts_it_twice() {
    let before = noted(&[(0, 10), (60, 14)]);
    let kept = before.baselines("boot", at(60).wall(), 8);
    let mut after = Memory::default();
    after.restore(&kept, "boot", at(100));
    after.note(GPU, Counter::PcieReplays, 15, at(120));
    assert_eq!(increase(&after, 3600, 120), Some(1));
    after.note(GPU, Counter::PcieReplays, 15, at(180));
    assert_eq!(increase(&after, 3600, 180), Some(1));
}

#[test]
fn after_a_boot_a_counter_of_the_run_begins_at_zero_and_one_of_the_board_goes_on() {
    let mut before = noted(&[(0, 10)]);
    before.note(GPU, Counter::EccCorrected, 500, at(0));
    let kept = before.baselines("boot-1", at(0).wall(), 8);
    let mut after = Memory::default();
    after.restore(&kept, "boot-2", at(600));
    after.note(GPU, Counter::PcieReplays, 12, at(600));
    after.note(GPU, Counter::EccCorrected, 503, at(600));
    assert_eq!(increase(&after, 3600, 600), Some(12));
    assert_eq!(after.increase(GPU, Counter::EccCorrected, 3_600_000, at(600)), Some((3, 600_000)));
}

#[test]
fn a_window_takes_its_share_of_a_step_that_began_before_it() {
    assert_eq!(increase(&noted(&[(0, 0), (100, 50)]), 50, 100), Some(25));
}

#[test]
fn a_million_readings_take_no_more_room_than_a_few() {
    let mut memory = Memory::default();
    for second in 0..100_000_u64 {
        memory.note(GPU, Counter::PcieReplays, second / 7, at(second));
    }
    assert!(memory.tracks.values().flat_map(|of| of.values()).all(|track| track.steps.len() <= STEPS));
}

#[test]
fn another_serial_is_another_board() {
    let mut memory = noted(&[(0, 10), (60, 14)]);
    memory.recognize(GPU, Some("A"));
    memory.recognize(GPU, Some("B"));
    assert_eq!(increase(&memory, 3600, 60), None);
    assert_eq!(memory.board(GPU).map(|board| board.serial.as_str()), Some("B"));
}

#[test]
fn targets_without_end_displace_none_that_is_still_read() {
    let mut memory = Memory::default();
    for round in 0..100_u64 {
        memory.note(GPU, Counter::PcieReplays, round, at(round * 60));
        memory.recognize(GPU, Some("serial-0"));
        for other in 0..100 {
            let pci = format!("{:04x}:{other:02x}:00.0", round + 1);
            memory.note(&pci, Counter::PcieReplays, 1, at(round * 60));
            memory.recognize(&pci, Some("serial"));
        }
    }
    assert_eq!((memory.tracks.len(), memory.boards.len()), (MAX_TARGETS, MAX_BOARDS));
    assert_eq!(increase(&memory, 86_400, 99 * 60), Some(99));
    assert!(memory.board(GPU).is_some());
}
