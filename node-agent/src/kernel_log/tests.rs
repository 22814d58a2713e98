//! The sources with real files, FIFOs, the real device and the real system call.

use super::*;
use proptest::prelude::*;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A wait that fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn line(seq: u64, text: &str) -> String {
    format!("4,{seq},{},-;{text}\n", seq * 1000)
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn open(path: &Path) -> Source {
    Source::open(&KernelLogChoice::Path(path.to_owned()), "boot-1".into(), None).unwrap()
}

fn open_after(path: &Path, boot_id: &str, cursor: Option<&Cursor>) -> Source {
    Source::open(&KernelLogChoice::Path(path.to_owned()), boot_id.into(), cursor).unwrap()
}

/// The next items as short texts: a record's message, otherwise the kind of item.
async fn next(source: &mut Source) -> Vec<String> {
    let batch = tokio::time::timeout(PATIENCE, source.next()).await.expect("nothing came").unwrap();
    assert!(!batch.items.is_empty());
    batch.items.into_iter().map(text_of).collect()
}

fn text_of(item: Item) -> String {
    match item {
        Item::Record(record) => record.message,
        Item::Overrun { lost } => format!("overrun {lost:?}"),
        Item::Rotated => "rotated".into(),
    }
}

async fn take(source: &mut Source, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(next(source).await);
    }
    all
}

/// Nothing is delivered, although the source had time to look.
async fn stays_silent(source: &mut Source) {
    let silence = tokio::time::timeout(Duration::from_millis(120), source.next()).await;
    assert!(silence.is_err(), "{silence:?}");
}

#[tokio::test]
async fn a_file_is_read_from_its_beginning_and_followed_as_it_grows() {
    let folder = Folder::new();
    let path = folder.path("kmsg");
    append(&path, &(line(1, "one") + " SUBSYSTEM=pci\n" + &line(2, "two")));
    let mut source = open(&path);
    assert_eq!(source.name(), format!("file:{}", path.display()));
    assert_eq!(next(&mut source).await, ["one", "two"]);
    append(&path, "4,3,3000,-;thr");
    stays_silent(&mut source).await;
    append(&path, "ee\n");
    assert_eq!(next(&mut source).await, ["three"]);
    assert_eq!(source.cursor(), Some(Cursor { boot_id: "boot-1".into(), seq: Some(3), usec: 3000 }));
}

#[tokio::test]
async fn a_line_wakes_a_waiting_reader_at_once() {
    let folder = Folder::new();
    let path = folder.path("kmsg");
    append(&path, &line(1, "first"));
    let mut source = open(&path);
    next(&mut source).await;
    let mut delays = Vec::new();
    for seq in 2..42 {
        let reader = async {
            let read = next(&mut source).await;
            (read, Instant::now())
        };
        let writer = async {
            // Time enough for the reader to find nothing and wait for an event.
            tokio::time::sleep(Duration::from_millis(3)).await;
            append(&path, &line(seq, "x"));
            Instant::now()
        };
        let ((read, arrived), written) = tokio::join!(reader, writer);
        delays.push(arrived.saturating_duration_since(written));
        assert_eq!(read, ["x"]);
    }
    delays.sort();
    println!("median of {} delays from write to delivery: {:?}", delays.len(), delays[20]);
    // Polling every 50 ms, or every second, would be slower than this.
    assert!(delays[20] < Duration::from_millis(25), "{delays:?}");
}

#[tokio::test]
async fn a_replaced_file_is_read_from_its_beginning_after_the_rest_of_the_old_one() {
    let folder = Folder::new();
    let path = folder.path("kmsg");
    append(&path, &line(1, "one"));
    let mut source = open(&path);
    assert_eq!(next(&mut source).await, ["one"]);
    append(&path, &(line(2, "two") + "4,3,3000,-;ha"));
    std::fs::rename(&path, folder.path("kmsg.1")).unwrap();
    append(&path, &line(1, "new"));
    assert_eq!(take(&mut source, 3).await, ["two", "rotated", "new"]);
    append(&path, &line(2, "newer"));
    assert_eq!(next(&mut source).await, ["newer"]);
}

#[tokio::test]
async fn a_file_that_is_away_for_a_while_is_waited_for() {
    let folder = Folder::new();
    let path = folder.path("kmsg");
    append(&path, &line(1, "one"));
    let mut source = open(&path);
    assert_eq!(next(&mut source).await, ["one"]);
    std::fs::remove_file(&path).unwrap();
    stays_silent(&mut source).await;
    append(&path, &line(1, "new"));
    assert_eq!(take(&mut source, 2).await, ["rotated", "new"]);
}

#[tokio::test]
async fn a_truncated_file_is_read_anew_also_when_it_has_grown_past_the_old_place() {
    let folder = Folder::new();
    let path = folder.path("kmsg");
    append(&path, &line(1, "one"));
    let mut source = open(&path);
    assert_eq!(next(&mut source).await, ["one"]);
    File::create(&path).unwrap();
    assert_eq!(next(&mut source).await, ["rotated"]);
    append(&path, &line(5, "five"));
    assert_eq!(next(&mut source).await, ["five"]);
    std::fs::write(&path, line(1, "much longer than what stood here before")).unwrap();
    assert_eq!(take(&mut source, 2).await, ["rotated", "much longer than what stood here before"]);
}

#[tokio::test]
async fn a_restarted_agent_gets_only_what_is_new_in_the_same_boot() {
    let folder = Folder::new();
    let path = folder.path("kmsg");
    append(&path, &(line(1, "one") + &line(2, "two")));
    let mut source = open(&path);
    take(&mut source, 2).await;
    let cursor = source.cursor();
    drop(source);
    append(&path, &line(3, "three"));
    let mut again = open_after(&path, "boot-1", cursor.as_ref());
    assert_eq!(again.cursor(), cursor);
    assert_eq!(next(&mut again).await, ["three"]);
    let mut rebooted = open_after(&path, "boot-2", cursor.as_ref());
    assert_eq!(take(&mut rebooted, 3).await, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_fifo_outlives_its_writers() {
    let folder = Folder::new();
    let path = folder.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0).unwrap();
    let mut source = open(&path);
    assert_eq!(source.name(), format!("fifo:{}", path.display()));
    append(&path, &line(1, "one"));
    assert_eq!(next(&mut source).await, ["one"]);
    append(&path, &("garbage\n".to_owned() + &line(2, "two")));
    assert_eq!(next(&mut source).await, ["two"]);
    assert_eq!(source.cursor().unwrap().seq, Some(2));
}

#[tokio::test]
async fn a_record_that_a_program_writes_into_the_real_device_is_read_but_is_no_evidence() {
    let mut device = match OpenOptions::new().write(true).open("/dev/kmsg") {
        Ok(device) => device,
        Err(error) => return println!("SKIPPED: /dev/kmsg cannot be written here: {error}"),
    };
    let mut source = match Source::open(&KernelLogChoice::Auto, "boot-1".into(), None) {
        Ok(source) => source,
        Err(error) => return println!("SKIPPED: {error}"),
    };
    assert_eq!(source.name(), "kmsg:/dev/kmsg");
    let text = format!("NVRM: Xid (PCI:0000:01:00): 79, pid={}, forged by a test", std::process::id());
    write_record(&mut device, &text);
    let record = find(&mut source, &text).await;
    assert_eq!((record.facility, record.is_kernel()), (1, false));

    let cursor = source.cursor();
    let mut again = Source::open(&KernelLogChoice::Auto, "boot-1".into(), cursor.as_ref()).unwrap();
    write_record(&mut device, "gpu-health-agent test: after the restart");
    let first = next(&mut again).await;
    assert!(!first.contains(&text), "the cursor was not obeyed: {first:?}");
}

/// One write is one record. Without a line feed the kernel holds it back until the next write.
fn write_record(device: &mut File, text: &str) {
    device.write_all(format!("{text}\n").as_bytes()).unwrap();
}

async fn find(source: &mut Source, text: &str) -> KernelRecord {
    loop {
        let batch = tokio::time::timeout(PATIENCE, source.next()).await.expect("the record did not come").unwrap();
        let found = batch.items.into_iter().find_map(|item| match item {
            Item::Record(record) if record.message == text => Some(record),
            Item::Record(_) | Item::Overrun { .. } | Item::Rotated => None,
        });
        if let Some(record) = found {
            return record;
        }
    }
}

#[tokio::test]
async fn without_the_device_the_system_call_tells_the_same_once() {
    let folder = Folder::new();
    let mut source = match Source::open_with_device_at(&folder.path("no-kmsg"), "boot-1".into()) {
        Ok(source) => source,
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("no-kmsg: No such file") && message.contains("syslog(2): "), "{message}");
            return println!("SKIPPED: {message}");
        }
    };
    assert_eq!(source.name(), "syslog");
    let Ok(mut device) = OpenOptions::new().write(true).open("/dev/kmsg") else {
        return println!("SKIPPED: /dev/kmsg cannot be written here");
    };
    for round in 0..2 {
        let text = format!("gpu-health-agent test {} round {round}", std::process::id());
        write_record(&mut device, &text);
        let record = find(&mut source, &text).await;
        assert_eq!((record.is_kernel(), record.seq), (false, None));
        assert!(record.usec > 0, "{record:?}");
    }
}

#[tokio::test]
async fn a_path_that_holds_no_log_is_refused_with_the_way_out() {
    let folder = Folder::new();
    let refused =
        |path: &Path| Source::open(&KernelLogChoice::Path(path.to_owned()), "boot-1".into(), None).expect_err("opened");
    let error = refused(folder.0.path());
    assert!(matches!(error, KernelLogError::NotALog { .. }), "{error:?}");
    assert!(error.to_string().contains("is a directory, no kernel log; name /dev/kmsg"), "{error}");
    let error = refused(&folder.path("missing"));
    assert!(matches!(error, KernelLogError::Open { .. }), "{error:?}");
    assert!(error.to_string().contains("missing cannot be opened: No such file"), "{error}");
    symlink("/dev/null", folder.path("null")).unwrap();
    assert!(
        matches!(refused(&folder.path("null")), KernelLogError::Open { source, .. } if source.kind() == ErrorKind::PermissionDenied)
    );
}

#[test]
fn an_unreadable_log_names_every_way_that_was_tried_and_the_remedy() {
    let error = KernelLogError::Unreadable {
        tried: vec![
            Attempt { way: "/dev/kmsg".into(), error: std::io::Error::from_raw_os_error(libc::EPERM) },
            Attempt { way: "syslog(2)".into(), error: std::io::Error::from_raw_os_error(libc::ENOSYS) },
        ],
    };
    assert_eq!(
        error.to_string(),
        "the kernel log cannot be read (/dev/kmsg: Operation not permitted (os error 1); syslog(2): Function not implemented (os error 38)); \
         run as uid 0 with CAP_SYSLOG for syslog(2), or privileged for /dev/kmsg, or name a file that holds its records"
    );
}

/// Cheap numbers that look random to a parser (xorshift), the same in every run.
fn garbage(state: &mut u64, buffer: &mut [u8]) {
    for byte in buffer {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *byte = state.to_le_bytes()[3];
    }
}

#[tokio::test]
async fn a_million_random_lines_hold_no_memory_and_hide_no_record() {
    let folder = Folder::new();
    let path = folder.path("kmsg");
    append(&path, &line(1, "before"));
    let mut source = open(&path);
    assert_eq!(next(&mut source).await, ["before"]);
    let (mut state, mut buffer) = (0x9e37_79b9_7f4a_7c15, vec![0; 256 * 1024]);
    let mut lines = 0;
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    while lines < 1_000_000 {
        garbage(&mut state, &mut buffer);
        // One byte in eight ends a line.
        for byte in buffer.iter_mut().filter(|byte| **byte < 32) {
            *byte = b'\n';
            lines += 1;
        }
        file.write_all(&buffer).unwrap();
    }
    file.write_all(format!("\n{}", line(2, "after")).as_bytes()).unwrap();
    assert!(take(&mut source, 1).await.ends_with(&["after".to_owned()]));
    assert!(source.held_bytes() < 64 * 1024, "{} bytes held", source.held_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_a_file_is_written_every_record_arrives_once(cuts in proptest::collection::vec(1_usize..40, 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text: String = (0..20).map(|seq| line(seq, &format!("m{seq}"))).collect();
        let arrived = runtime.block_on(async {
            let folder = Folder::new();
            let path = folder.path("kmsg");
            append(&path, "");
            let mut source = open(&path);
            let (mut rest, mut arrived, mut cuts) = (text.as_str(), Vec::new(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (head, tail) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                append(&path, head);
                rest = tail;
                if head.contains('\n') {
                    arrived.extend(next(&mut source).await);
                }
            }
            arrived
        });
        prop_assert_eq!(arrived, (0..20).map(|seq| format!("m{seq}")).collect::<Vec<_>>());
    }
}
