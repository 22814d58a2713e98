//! `probe custom` with real programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use node_agent::readings::program::{CustomReport, Outcome, Severity};
use probe_support::{Programs, is_alive, pid_in, probe};

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
