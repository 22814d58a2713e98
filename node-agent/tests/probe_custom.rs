//! `probe custom` with real programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use node_agent::readings::program::{CustomReport, Outcome, Severity};
use probe_support::{AGENT, Programs, is_alive, pid_in, probe};

fn custom(directory: &Path, program: &str, more: &[&str]) -> CustomReport {
    let directory = format!("--custom-directory={}", directory.display());
    let program = format!("--program={program}");
    let mut arguments = vec!["custom", directory.as_str(), program.as_str()];
    arguments.extend(["--custom-same-user"]);
    arguments.extend(more);
    probe(&arguments, &[("SECRET", "1"), ("CHECK_INHERITED", "1")])
}

/// The program was not judged, for this reason, and the message says what to do.
fn unjudged(report: &CustomReport, reason: &str, message: &str) {
    assert_eq!((report.verdict.outcome, report.verdict.reason.as_str()), (Outcome::Inconclusive, reason), "{report:?}");
    assert_eq!(report.verdict.severity, Severity::None);
    assert!(report.verdict.message.contains(message), "{report:?}");
}

#[test]
fn the_contract_line_is_the_verdict_and_the_exit_status_a_hint() {
    let programs = Programs::new();
    programs.script("fails", "echo starting; echo HEALTH_CHECK_RESULT:h:Failed:replace:DiskDead; exit 0");
    programs.script("passes", "echo HEALTH_CHECK_RESULT:h:Passed:none:fine; exit 7");
    let report = custom(programs.path(), "fails", &[]);
    assert_eq!((report.verdict.outcome, report.verdict.severity), (Outcome::Fail, Severity::Isolate));
    assert_eq!((report.verdict.reason.as_str(), report.exit_code), ("DiskDead", Some(0)));
    assert_eq!(report.evidence, "fails: starting HEALTH_CHECK_RESULT:h:Failed:replace:DiskDead");
    let report = custom(programs.path(), "passes", &[]);
    assert_eq!((report.verdict.outcome, report.exit_code), (Outcome::Pass, Some(7)));
}

#[test]
fn a_program_without_a_directory_is_not_found_and_the_flag_is_named() {
    let report: CustomReport = probe(&["custom", "--program=fine"], &[]);
    unjudged(&report, "ProgramNotFound", "start the runner with --custom-directory");
}

#[test]
fn a_program_gets_its_arguments_as_they_are_and_a_clean_environment() {
    let programs = Programs::new();
    let body = r#"printf '{"outcome":"Pass","message":"%s"}' "$#|$1|$2|$(env | cut -d= -f1 | grep -v -e PWD -e _ | sort | tr '\n' ' ')$CHECK_SIZE""#;
    programs.script("shows", body);
    let report = custom(programs.path(), "shows", &["--env=CHECK_SIZE=4 KiB", "--", "$(reboot)", "--flag"]);
    assert_eq!(report.verdict.message, "2|$(reboot)|--flag|PATH 4 KiB", "{report:?}");
}

#[test]
fn what_is_no_program_in_the_directory_is_refused_each_for_its_own_reason() {
    let programs = Programs::new();
    let outside = Programs::new();
    let target = outside.script("target", "echo HEALTH_CHECK_RESULT:h:Passed:none:x");
    symlink(&target, programs.path().join("leads-out")).unwrap();
    let inside = programs.script("inside", "echo HEALTH_CHECK_RESULT:h:Passed:none:x");
    symlink(&inside, programs.path().join("leads-in")).unwrap();
    let plain = programs.script("plain", "exit 0");
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::create_dir(programs.path().join("folder")).unwrap();
    let run = |name| custom(programs.path(), name, &[]);
    unjudged(&run("absent"), "ProgramNotFound", "put the program into that directory");
    unjudged(&run("leads-out"), "OutsideDirectory", "leads out of the directory");
    unjudged(&run("plain"), "NotExecutable", "chmod a+rx");
    unjudged(&run("folder"), "NotExecutable", "not an executable file");
    unjudged(&run("../target"), "ProgramNameInvalid", "no path");
    unjudged(&run("/bin/true"), "ProgramNameInvalid", "no path");
    assert_eq!(run("leads-in").verdict.outcome, Outcome::Pass);
    unjudged(&custom(programs.path(), "inside", &["--env=LD_PRELOAD=x"]), "EnvironmentInvalid", "CHECK_");
    unjudged(&custom(Path::new("/nonexistent"), "inside", &[]), "ProgramNotFound", "/nonexistent/inside");
}

#[test]
fn a_program_that_gives_no_verdict_is_inconclusive_each_for_its_own_reason() {
    let programs = Programs::new();
    programs.script("crashes", "echo HEALTH_CHECK_RESULT:h:Passed:none:x; kill -SEGV $$");
    programs.script("endless", "yes HEALTH_CHECK_RESULT:h:Passed:none:x");
    programs.script("silent", "sleep 300");
    programs.script("empty", "echo 'cannot open device' >&2; exit 3");
    programs.script("garbage", "echo everything is fine");
    std::fs::write(programs.path().join("orphan"), "#!/nonexistent/interpreter\n").unwrap();
    std::fs::set_permissions(programs.path().join("orphan"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |name| custom(programs.path(), name, &["--deadline-ms=60000"]);
    unjudged(&run("crashes"), "KilledBySignal", "signal 11");
    unjudged(&run("endless"), "OutputTooLong", "1048576 bytes");
    unjudged(&custom(programs.path(), "silent", &["--deadline-ms=1500"]), "ProgramSilent", "1500 ms");
    let empty = run("empty");
    unjudged(&empty, "EmptyOutput", "exit status 3");
    assert_eq!(empty.evidence, "empty: cannot open device");
    unjudged(&run("garbage"), "UnknownOutput", "HEALTH_CHECK_RESULT:<host>");
    unjudged(&run("orphan"), "CouldNotStart", "cannot start");
}

#[test]
fn a_program_runs_as_nobody_and_cannot_gain_rights() {
    let programs = Programs::new();
    programs.script(
        "who",
        r#"printf '{"outcome":"Pass","message":"%s"}' "$(id -u):$(id -g):$(id -G):$(grep NoNewPrivs /proc/self/status | cut -f2)""#,
    );
    let directory = format!("--custom-directory={}", programs.path().display());
    let report: CustomReport = probe(&["custom", &directory, "--program=who"], &[]);
    if rustix::process::geteuid().is_root() {
        assert_eq!(report.verdict.message, "65534:65534:65534:1", "{report:?}");
    } else {
        unjudged(&report, "CannotChangeUser", "--custom-same-user");
    }
}

#[test]
fn a_program_that_is_killed_leaves_nothing_behind() {
    let programs = Programs::new();
    let (plain, daemon) = (programs.path().join("plain"), programs.path().join("daemon"));
    programs.script("leaves", "sleep 300 & echo $! > $1; setsid sh -c 'echo $$ > $0; sleep 300; :' $2 & wait");
    let pids = [plain.to_str().unwrap(), daemon.to_str().unwrap()];
    let report = custom(programs.path(), "leaves", &["--deadline-ms=5000", "--", pids[0], pids[1]]);
    unjudged(&report, "ProgramSilent", "5000 ms");
    assert!(!is_alive(pid_in(&plain)) && !is_alive(pid_in(&daemon)));
}

/// The limits that are documented in the README, as the program sees them.
const SHOW_LIMITS: &str = r#"printf '{"outcome":"Pass","message":"%s"}' \
    "core=$(ulimit -c) files=$(ulimit -n) oom=$(cat /proc/self/oom_score_adj) $(grep NoNewPrivs /proc/self/status | tr '\t' ' ')""#;

#[test]
fn a_program_is_confined_also_under_the_runners_own_user() {
    let programs = Programs::new();
    programs.script("shows", SHOW_LIMITS);
    let expected = "core=0 files=16384 oom=1000 NoNewPrivs: 1";
    assert_eq!(custom(programs.path(), "shows", &[]).verdict.message, expected);
    if rustix::process::geteuid().is_root() {
        let directory = format!("--custom-directory={}", programs.path().display());
        let report: CustomReport = probe(&["custom", &directory, "--program=shows"], &[]);
        assert_eq!(report.verdict.message, expected);
    }
}

#[test]
fn a_program_that_takes_memory_without_end_is_refused_some_and_gives_no_verdict() {
    let programs = Programs::new();
    // The pages are never touched, so that the machine of this test keeps its memory.
    programs.script(
        "eats",
        "exec python3 -c 'hoard = []\nwhile True: hoard.append(bytearray(1 << 28))\nprint(\"HEALTH_CHECK_RESULT:h:Passed:none:x\")'",
    );
    let report = custom(programs.path(), "eats", &[]);
    unjudged(&report, "EmptyOutput", "exit status 1");
    assert!(report.evidence.contains("MemoryError"), "{report:?}");
}

#[test]
fn a_program_that_forks_without_end_is_stopped_and_nothing_of_it_stays() {
    if !rustix::process::geteuid().is_root() {
        println!("not run here: processes are counted under uid 65534, which needs root");
        return;
    }
    let programs = Programs::new();
    programs.script("forks", "while :; do sleep 3000 & done");
    let directory = format!("--custom-directory={}", programs.path().display());
    let report: CustomReport = probe(&["custom", &directory, "--program=forks"], &[]);
    assert_eq!(report.verdict.outcome, Outcome::Inconclusive, "{report:?}");
    assert!(report.evidence.contains("ork"), "the shell says that it cannot fork: {report:?}");
    let sleeping =
        std::process::Command::new("pgrep").args(["-c", "-u", "65534", "-f", "sleep 3000"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&sleeping.stdout).trim(), "0");
}

#[test]
fn a_program_that_crashes_leaves_no_core() {
    let programs = Programs::new();
    let cores = programs.path().join("cores");
    std::fs::create_dir(&cores).unwrap();
    std::fs::set_permissions(&cores, std::fs::Permissions::from_mode(0o777)).unwrap();
    programs.script("crashes", "cd $1 && kill -SEGV $$");
    let report = custom(programs.path(), "crashes", &["--", cores.to_str().unwrap()]);
    unjudged(&report, "KilledBySignal", "signal 11");
    assert_eq!(std::fs::read_dir(&cores).unwrap().count(), 0);
}

#[test]
fn a_program_that_fills_the_disk_is_stopped() {
    let programs = Programs::new();
    let file = programs.path().join("big");
    // A hole: the limit is on the length, and the disk of this test stays free.
    programs.script("fills", "exec dd if=/dev/zero of=$1 bs=1 count=1 seek=2G 2>&1");
    let report = custom(programs.path(), "fills", &["--", file.to_str().unwrap()]);
    assert_eq!(report.verdict.outcome, Outcome::Inconclusive, "{report:?}");
    assert!(std::fs::metadata(&file).map_or(0, |found| found.len()) <= 1 << 30);
}

#[test]
fn a_set_uid_program_gives_no_rights() {
    if !rustix::process::geteuid().is_root() {
        println!("not run here: a set-uid program of root needs root");
        return;
    }
    let programs = Programs::new();
    let id = programs.path().join("id-of-root");
    std::fs::copy("/usr/bin/id", &id).unwrap();
    std::fs::set_permissions(&id, std::fs::Permissions::from_mode(0o4755)).unwrap();
    programs.script("gains", r#"printf '{"outcome":"Pass","message":"uid %s"}' "$(${0%gains}id-of-root -u)""#);
    let directory = format!("--custom-directory={}", programs.path().display());
    let report: CustomReport = probe(&["custom", &directory, "--program=gains"], &[]);
    assert_eq!(report.verdict.message, "uid 65534");
    // Also where the program keeps the uid of a runner that is not root.
    let output = std::process::Command::new(AGENT)
        .args(["probe", "custom", &directory, "--program=gains", "--custom-same-user"])
        .uid(4242)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("uid 4242"), "{text}");
}
