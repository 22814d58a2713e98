//! The attack on the kernel log, from a real process without privileges: it is executed from a file whose name holds a
//! line feed and a fault of its choice, and writes to an address that it may not. The kernel prints the name.
//!
//! Where this machine's kernel prints no such record, or hides its log, the test says so; the recorded bytes of the same
//! attack are tested beside the parser (`kernel_log/told/tests.rs`).

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use node_agent::kernel_log::{Item, KernelLogChoice, KernelRecord, PrintedLog, Source};
use node_agent::xid::{LineAssembler, LogFact};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The attacker is this program, told so by its environment.
const ATTACK: &str = "GPU_HEALTH_TEST_ATTACK";
/// User and group `nobody`.
const NOBODY: u32 = 65_534;
/// A wait that fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The faults that the attacker wants to be believed: one that condemns, one that lifts.
const WISHES: [&str; 2] = [
    "79, GPU has fallen off the bus.",
    "154, GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)",
];

#[test]
fn a_fault_that_an_unprivileged_process_writes_into_the_kernels_log_neither_condemns_nor_lifts() {
    if std::env::var_os(ATTACK).is_some() {
        crash();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (at, wish) in WISHES.into_iter().enumerate() {
        // An address that no other record of this machine has.
        let address = format!("{:04x}:{:02x}:00", std::process::id() & 0x7fff, at + 1);
        let program = named_after_a_fault(folder.path(), &format!("NVRM: Xid (PCI:{address}): {wish}"));
        attack(&program);
        let Some(record) = record_about(&address) else {
            eprintln!(
                "skipped: this machine's kernel log does not show the crash (hidden, or debug.exception-trace=0)"
            );
            return;
        };
        println!("record: {:?}", record.message);
        assert!(record.is_kernel() && record.quotes_a_driver(), "{record:?}");
        assert_eq!(record.told(), [], "the record itself");
        let by_text = [
            ("syslog(2)", with_lines(&["dmesg", "-S", "-r"], &address)),
            ("dmesg -S", with_lines(&["dmesg", "-S"], &address)),
            ("dmesg", with_lines(&["dmesg"], &address)),
        ];
        for (name, proven) in by_text {
            println!("{name}: {proven:?} (proven, one per line that looks like a fault)");
            assert!(proven.iter().all(|proven| !proven), "{name}: {proven:?}");
        }
    }
}

/// Writes where it may not. In a function of its own, so that nothing is optimised away.
fn crash() -> ! {
    // SAFETY: none. The process is meant to die of it, with nothing in it that could be harmed.
    #[expect(unsafe_code)]
    unsafe {
        std::ptr::write_volatile(std::ptr::without_provenance_mut::<u8>(1), 0);
    }
    std::process::exit(0)
}

/// A copy of this program under a name of two lines.
fn named_after_a_fault(folder: &Path, fault: &str) -> PathBuf {
    let path = folder.join(format!("x\n{fault}"));
    std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn attack(program: &Path) {
    let test = "a_fault_that_an_unprivileged_process_writes_into_the_kernels_log_neither_condemns_nor_lifts";
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env(ATTACK, "1").current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let status = command.status().unwrap();
    assert_eq!(status.signal(), Some(11), "it dies of SIGSEGV: {status:?}");
}

/// The record that names this address, read as the agent reads the device; `None` if the log is hidden or silent.
fn record_about(address: &str) -> Option<KernelRecord> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let choice = KernelLogChoice::Path("/dev/kmsg".into());
    let end = Instant::now() + PATIENCE;
    let mut source = Source::open(&choice, String::new(), None).ok()?;
    let mut crashed = false;
    loop {
        while let Some(batch) = source.available().ok()? {
            for item in batch.items {
                let Item::Record(record) = item else { continue };
                if record.message.contains(address) {
                    return Some(record);
                }
                // The kernel prints the code around the crash after the crash.
                crashed |= record.message.starts_with("Code: ");
            }
        }
        if crashed || Instant::now() > end {
            return None;
        }
        std::thread::yield_now();
    }
}

/// What a text form of the log shows of this address: for each fault whether it is proven. Empty where the command does
/// not work here.
fn with_lines(command: &[&str], address: &str) -> Vec<bool> {
    let Ok(output) = Command::new(command[0]).args(&command[1..]).output() else { return Vec::new() };
    let mut log = PrintedLog::default();
    let mut lines = LineAssembler::default();
    let mut proven = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let record = log.read(line);
        for fact in record.iter().flat_map(|record| lines.push(record)) {
            if let LogFact::Fault(fault) = fact
                && format!("{}", fault.pci).starts_with(address)
            {
                proven.push(fault.proven);
            }
        }
    }
    proven
}
