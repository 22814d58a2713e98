//! The output of iperf3 with `-J`. A failed client still exits with 0: the JSON is the result, not the status.

use crate::readings::bandwidth::IperfReason;
use serde::Deserialize;

/// The errors of iperf3 (3.12, `iperf_error.c` and system messages) and their meaning. The first one contained in the
/// error text counts.
const ERRORS: &[(&str, IperfReason)] = &[
    ("Connection refused", IperfReason::ConnectionRefused),
    ("the server is busy", IperfReason::Busy),
    ("Address already in use", IperfReason::PortTaken),
    ("timed out", IperfReason::PeerSilent),
    ("No route to host", IperfReason::PeerSilent),
    ("Network is unreachable", IperfReason::PeerSilent),
    ("interrupt -", IperfReason::Interrupted),
    ("reset by peer", IperfReason::Interrupted),
    ("Broken pipe", IperfReason::Interrupted),
    ("has unexpectedly closed", IperfReason::Interrupted),
    ("has terminated", IperfReason::Interrupted),
    ("unable to receive control message", IperfReason::Interrupted),
];

/// The result of one test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The rate at the receiver, in 10^6 bits per second, rounded.
    pub mbps: u64,
    /// Retransmits of all streams, if this side is the sender.
    pub retransmits: Option<u64>,
    /// Length of the measurement.
    pub seconds: f64,
}

#[derive(Deserialize)]
struct Document {
    error: Option<String>,
    end: Option<End>,
}

#[derive(Deserialize)]
struct End {
    sum_sent: Option<Sum>,
    sum_received: Option<Sum>,
}

#[derive(Deserialize)]
struct Sum {
    seconds: f64,
    bits_per_second: f64,
    retransmits: Option<u64>,
}

/// Parses the document of a client or a server.
pub fn read(stdout: &str) -> Result<Measured, IperfReason> {
    let document: Document = serde_json::from_str(stdout).map_err(|_| IperfReason::UnknownOutput)?;
    if let Some(error) = document.error {
        let known = ERRORS.iter().find(|(words, _)| error.contains(words));
        return Err(known.map_or(IperfReason::ToolError, |(_, reason)| *reason));
    }
    let end = document.end.ok_or(IperfReason::UnknownOutput)?;
    let received = end.sum_received.ok_or(IperfReason::UnknownOutput)?;
    let mbps = rounded(received.bits_per_second / 1e6).ok_or(IperfReason::UnknownOutput)?;
    let retransmits = end.sum_sent.and_then(|sent| sent.retransmits);
    Ok(Measured { mbps, retransmits, seconds: received.seconds })
}

/// `None` for an impossible bandwidth: negative, not a number, or above 10^15 Mb/s.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn rounded(mbps: f64) -> Option<u64> {
    (0.0..=1e15).contains(&mbps).then(|| mbps.round() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As iperf3 3.12 prints it, shortened to the fields that are read and some that are not.
    fn finished(received: &str) -> String {
        format!(
            r#"{{"start":{{"version":"iperf 3.12"}},"intervals":[],"end":{{"streams":[],
            "sum_sent":{{"start":0,"end":1.001431,"seconds":1.001431,"bytes":2913730560,"bits_per_second":23276535757.33126,"retransmits":4,"sender":true}},
            "sum_received":{received}}}}}"#
        )
    }

    #[test]
    fn the_receivers_sum_is_the_bandwidth() {
        let text =
            finished(r#"{"seconds":1.00548,"bytes":2911109120,"bits_per_second":23161945498.6673,"sender":true}"#);
        let measured = read(&text).unwrap();
        assert_eq!((measured.mbps, measured.retransmits), (23_162, Some(4)));
        assert!((measured.seconds - 1.005_48).abs() < 1e-9);
    }

    #[test]
    fn an_error_counts_whatever_else_is_there() {
        let error =
            |text: &str| read(&format!(r#"{{"start":{{}},"intervals":[],"end":{{}},"error":"{text}"}}"#)).unwrap_err();
        assert_eq!(error("error - unable to connect to server: Connection refused"), IperfReason::ConnectionRefused);
        assert_eq!(error("error - unable to connect to server: Connection timed out"), IperfReason::PeerSilent);
        assert_eq!(error("error - the server is busy running a test. try again later"), IperfReason::Busy);
        assert_eq!(
            error("error - unable to start listener for connections: Address already in use"),
            IperfReason::PortTaken
        );
        assert_eq!(
            error("error - unable to write to stream socket: Connection reset by peer"),
            IperfReason::Interrupted
        );
        assert_eq!(error("interrupt - the client has terminated"), IperfReason::Interrupted);
        assert_eq!(error("error - unable to set TCP/SCTP MSS"), IperfReason::ToolError);
        let whole = finished(r#"{"seconds":1.0,"bits_per_second":1e9}"#).replacen('{', r#"{"error":"error - x","#, 1);
        assert_eq!(read(&whole).unwrap_err(), IperfReason::ToolError);
    }

    #[test]
    fn without_a_sum_that_makes_sense_nothing_was_measured() {
        let texts = [
            String::new(),
            "iperf3: error - unable to connect".to_owned(),
            "{}".to_owned(),
            r#"{"end":{}}"#.to_owned(),
            finished(r#"{"seconds":1.0,"bits_per_second":-1}"#),
            finished(r#"{"seconds":1.0,"bits_per_second":1e300}"#),
            finished(r#"{"seconds":1.0}"#),
        ];
        for text in texts {
            assert_eq!(read(&text).unwrap_err(), IperfReason::UnknownOutput, "{text}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_never_a_measurement(text in "\\PC{0,200}") {
            prop_assert_eq!(read(&text), Err(IperfReason::UnknownOutput));
        }
    }
}
