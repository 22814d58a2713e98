//! The parameters of every row: from the struct through the wire and the command line and back.

use std::path::PathBuf;

use clap::{Command, Subcommand};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::probe::ProbeArgs;
use crate::runner::protocol::{Request, Start, decode_request, encode_request};

/// Sends any parameters of a probe over the wire and the command line, and compares what comes back.
pub(super) fn round_trip<P: Probe>(runner: &mut TestRunner) -> Result<(), String> {
    runner.run(&P::any(), |parameters| returns(&parameters)).map_err(|error| error.to_string())
}

fn returns<P: Probe>(parameters: &P) -> Result<(), TestCaseError> {
    let failed = |error: &dyn std::fmt::Display| TestCaseError::fail(error.to_string());
    let sent = spec(parameters).map_err(|error| failed(&error))?;
    let (probe, fields) = (sent.probe, sent.parameters);
    let start = Start { id: 1, probe, parameters: fields.clone(), deadline_ms: 1, output_cap_bytes: 1 };
    let line = encode_request(&Request::Start(start)).map_err(|error| failed(&error))?;
    let read = decode_request(&line).map_err(|error| failed(&error))?;
    let Request::Start(start) = read else { return Err(failed(&"another request")) };
    let row = ProbeRow::named(&start.probe).ok_or_else(|| failed(&"no row"))?;
    let words = (row.runnable.command_line)(&start.parameters).map_err(|error| failed(&error))?;
    let command = Command::new("gpu-health-agent").subcommand(ProbeArgs::augment_subcommands(Command::new("probe")));
    let words = std::iter::once("gpu-health-agent".into()).chain(words);
    let matches = command.try_get_matches_from(words).map_err(|error| failed(&error))?;
    let probe = matches.subcommand_matches("probe").and_then(ArgMatches::subcommand);
    let (name, matches) = probe.ok_or_else(|| failed(&"no subcommand"))?;
    prop_assert_eq!(name, P::NAME);
    prop_assert!(row.ready(matches).is_ok());
    let parsed = P::from_arg_matches(matches).map_err(|error| failed(&error))?;
    prop_assert_eq!(spec(&parsed).map_err(|error| failed(&error))?.parameters, fields);
    Ok(())
}

#[test]
fn the_parameters_of_every_probe_survive_the_wire_and_the_command_line() {
    for row in PROBES {
        let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
        (row.round_trip)(&mut runner).unwrap_or_else(|error| panic!("{}: {error}", row.runnable.name));
    }
}

fn refused(probe: &str, parameters: &str) -> String {
    let parameters = serde_json::from_str(parameters).unwrap();
    (ProbeRow::named(probe).unwrap().runnable.command_line)(&parameters).unwrap_err()
}

#[test]
fn parameters_that_do_not_fit_are_refused_by_probe_and_field() {
    let error = refused("tree", r#"{"sysfsRoot":5,"procRoot":"/proc"}"#);
    assert!(error.starts_with("the parameters of the tree probe do not fit: sysfsRoot: invalid type"), "{error}");
    let error = refused("tree", r#"{"sysfsRoot":"/sys"}"#);
    assert!(error.contains("missing field `procRoot`"), "{error}");
    let error = refused("sampler", r#"{"nvmlLibrary":"a","devRoot":"b","callDeadlineMs":1,"firstAsk":{}}"#);
    assert!(error.contains("unknown field `firstAsk`"), "{error}");
}

#[test]
fn a_path_that_is_not_utf_8_is_refused_with_a_sentence() {
    use std::os::unix::ffi::OsStringExt;
    let odd = PathBuf::from(OsString::from_vec(vec![b'/', 0xff]));
    let error = spec(&TreeParameters { sysfs_root: odd, proc_root: "/proc".into() }).unwrap_err();
    assert!(
        error.starts_with("the parameters of the tree probe cannot be sent: path contains invalid UTF-8"),
        "{error}"
    );
}
