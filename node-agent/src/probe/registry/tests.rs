//! The parameters of every row: from the struct through the wire and the command line and back.

use std::fmt::Debug;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Command, Subcommand};
use proptest::prelude::*;

use super::*;
use crate::probe::ProbeArgs;
use crate::runner::protocol::{Request, Start, decode_request, encode_request};

/// Quotes, control characters, dashes and non-ASCII: what breaks framing and command lines.
fn text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![Just('-'), Just('"'), Just('\n'), Just('='), Just(','), Just('é'), any::<char>()];
    proptest::collection::vec(letter, 0..24).prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect())
}

fn path() -> impl Strategy<Value = PathBuf> {
    text().prop_map(|text| PathBuf::from(format!("/{text}")))
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn sampler() -> impl Strategy<Value = SamplerParameters> {
    (path(), path(), any::<u64>()).prop_map(|(nvml_library, dev_root, call_deadline_ms)| SamplerParameters {
        nvml_library,
        dev_root,
        call_deadline_ms,
        first_ask: None,
    })
}

fn tree() -> impl Strategy<Value = TreeParameters> {
    (path(), path()).prop_map(|(sysfs_root, proc_root)| TreeParameters { sysfs_root, proc_root })
}

fn custom() -> impl Strategy<Value = CustomParameters> {
    let texts = || proptest::collection::vec(text(), 0..4);
    (path(), text(), texts(), texts(), any::<bool>(), any::<u64>()).prop_map(
        |(directory, program, args, env, custom_same_user, deadline_ms)| CustomParameters {
            directory,
            program,
            env,
            deadline_ms,
            custom_same_user,
            args,
        },
    )
}

fn server() -> impl Strategy<Value = IperfServerParameters> {
    (path(), address(), 1..u16::MAX, any::<u64>())
        .prop_map(|(iperf3, bind, port, until_unix_ms)| IperfServerParameters { iperf3, bind, port, until_unix_ms })
}

fn client() -> impl Strategy<Value = IperfClientParameters> {
    let bind = proptest::option::of(address());
    (path(), address(), 1..u16::MAX, bind, 1..=128_u16, 1..3600_u32, any::<u64>(), any::<u64>()).prop_map(
        |(iperf3, server, port, bind, streams, seconds, connect_timeout_ms, until_unix_ms)| IperfClientParameters {
            iperf3,
            server,
            port,
            bind,
            streams,
            seconds,
            connect_timeout_ms,
            until_unix_ms,
        },
    )
}

/// Converts parameters there and back, and returns the name of their probe.
fn survive<P: Probe + PartialEq + Debug>(parameters: &P) -> Result<&'static str, TestCaseError> {
    let failed = |error: &dyn std::fmt::Display| TestCaseError::fail(error.to_string());
    let ProbeSpec { probe, parameters: fields } = spec(parameters).map_err(|error| failed(&error))?;
    let start = Start { id: 1, probe, parameters: fields, deadline_ms: 1, output_cap_bytes: 1 };
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
    prop_assert_eq!(name, row.runnable.name);
    prop_assert!(row.ready(matches).is_ok());
    prop_assert_eq!(&P::from_arg_matches(matches).map_err(|error| failed(&error))?, parameters);
    Ok(row.runnable.name)
}

proptest! {
    #[test]
    fn the_parameters_of_every_probe_survive_the_wire_and_the_command_line(
        sampler in sampler(), tree in tree(), custom in custom(), server in server(), client in client(),
    ) {
        let survived =
            [survive(&sampler)?, survive(&tree)?, survive(&custom)?, survive(&server)?, survive(&client)?];
        let rows: Vec<&str> = PROBES.iter().map(|row| row.runnable.name).collect();
        prop_assert_eq!(survived.as_slice(), rows.as_slice());
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
