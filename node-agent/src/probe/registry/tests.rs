//! The parameters of every row: from the struct through the wire and the command line and back.

use std::collections::BTreeSet;

use clap::{Command, Subcommand};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::probe::ProbeArgs;
use crate::probe::places::tests::any_places;
use crate::probe::places::{Machine, Tools};
use crate::runner::protocol::{Request, Start, decode_request, encode_request};

/// Sends any parameters of a probe over the wire and the command line, and compares what comes back.
pub(super) fn round_trip<P: Probe>(runner: &mut TestRunner) -> Result<(), String> {
    let anything = (P::any(), any_places());
    runner.run(&anything, |(asked, places)| returns::<P>(asked, &places)).map_err(|error| error.to_string())
}

fn returns<P: Probe>(asked: P::Asked, places: &Places) -> Result<(), TestCaseError> {
    let failed = |error: &dyn std::fmt::Display| TestCaseError::fail(error.to_string());
    let ProbeSpec { probe, parameters } = spec::<P>(&asked).map_err(|error| failed(&error))?;
    let whole = fields_of(P::NAME, &P::at(places, asked)).map_err(|error| failed(&error))?;
    let added: BTreeSet<&str> =
        whole.keys().filter(|field| !parameters.contains_key(*field)).map(String::as_str).collect();
    prop_assert_eq!(added, P::OF_THE_RUNNER.iter().copied().collect::<BTreeSet<_>>());
    let start = Start { id: 1, probe, parameters, deadline_ms: 1, output_cap_bytes: 1 };
    let line = encode_request(&Request::Start(start)).map_err(|error| failed(&error))?;
    let read = decode_request(&line).map_err(|error| failed(&error))?;
    let Request::Start(start) = read else { return Err(failed(&"another request")) };
    let row = ProbeRow::named(&start.probe).ok_or_else(|| failed(&"no row"))?;
    let words = (row.command_line)(&start.parameters, places).map_err(|error| failed(&error))?;
    let command = Command::new("gpu-health-agent").subcommand(ProbeArgs::augment_subcommands(Command::new("probe")));
    let words = std::iter::once("gpu-health-agent".into()).chain(words);
    let matches = command.try_get_matches_from(words).map_err(|error| failed(&error))?;
    let probe = matches.subcommand_matches("probe").and_then(ArgMatches::subcommand);
    let (name, matches) = probe.ok_or_else(|| failed(&"no subcommand"))?;
    prop_assert_eq!(name, P::NAME);
    prop_assert!(row.ready(matches).is_ok());
    let parsed = P::from_arg_matches(matches).map_err(|error| failed(&error))?;
    prop_assert_eq!(fields_of(P::NAME, &parsed).map_err(|error| failed(&error))?, whole);
    Ok(())
}

#[test]
fn the_parameters_of_every_probe_survive_the_wire_and_the_command_line() {
    for row in PROBES {
        let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
        (row.round_trip)(&mut runner).unwrap_or_else(|error| panic!("{}: {error}", row.name));
    }
}

fn refused(probe: &str, parameters: &str) -> String {
    let parameters = serde_json::from_str(parameters).unwrap();
    (ProbeRow::named(probe).unwrap().command_line)(&parameters, &places()).unwrap_err()
}

fn places() -> Places {
    Places {
        machine: Machine {
            proc_root: "/proc".into(),
            sysfs_root: "/sys".into(),
            dev_root: "/dev".into(),
            nvml_library: "library".into(),
            call_deadline_ms: 1_000,
            init_deadline_ms: 1_000,
        },
        tools: Tools::default(),
    }
}

#[test]
fn parameters_that_do_not_fit_are_refused_by_probe_and_field() {
    let error = refused("iperf-server", r#"{"bind":"::1","port":"many","untilUnixMs":1}"#);
    assert!(error.starts_with("the parameters of the iperf-server probe do not fit: port: invalid type"), "{error}");
    let error = refused("custom", r#"{"program":"a"}"#);
    assert!(error.contains("missing field"), "{error}");
    let error = refused("sampler", r#"{"firstAsk":{}}"#);
    assert!(error.contains("unknown field `firstAsk`"), "{error}");
}

#[test]
fn what_the_runner_decides_is_refused_by_the_name_of_its_flag() {
    for row in PROBES {
        assert!(!row.of_the_runner.is_empty(), "{}", row.name);
        for field in row.of_the_runner {
            let error = refused(row.name, &format!(r#"{{"{field}":"/etc/passwd"}}"#));
            let flag = words::kebab_case(field);
            assert!(error.contains(&format!("is set by the runner's own --{flag}, never by a client")), "{error}");
        }
    }
}

#[test]
fn a_path_that_is_not_utf_8_is_refused_with_a_sentence() {
    use std::os::unix::ffi::OsStringExt;
    let machine = Machine { sysfs_root: OsString::from_vec(vec![b'/', 0xff]).into(), ..places().machine };
    let odd = Places { machine, ..places() };
    let error = (ProbeRow::named("tree").unwrap().command_line)(&Parameters::new(), &odd).unwrap_err();
    assert!(
        error.starts_with("the parameters of the tree probe cannot be written: path contains invalid UTF-8"),
        "{error}"
    );
}
