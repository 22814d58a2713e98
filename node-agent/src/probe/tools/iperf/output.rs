//! The output of iperf3 with `-J`. A failed client still exits with 0: the JSON is the result, not the status.

use crate::readings::bandwidth::IperfReason;
use serde::Deserialize;
use std::net::IpAddr;

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
    #[serde(default)]
    start: Start,
    end: Option<End>,
    /// What the client gave with `--extra-data`.
    extra_data: Option<String>,
}

#[derive(Deserialize, Default)]
struct Start {
    accepted_connection: Option<Accepted>,
    #[serde(default)]
    connected: Vec<Connected>,
}

/// The control connection of a server.
#[derive(Deserialize)]
struct Accepted {
    host: String,
}

/// A data connection.
#[derive(Deserialize)]
struct Connected {
    remote_host: String,
}

/// Whom a server expects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partner<'a> {
    /// What it sends along.
    pub(super) password: Option<&'a str>,
    /// Its addresses, as far as they are known.
    pub(super) addresses: &'a [IpAddr],
}

impl Partner<'_> {
    /// Nobody in particular.
    pub(super) const ANYBODY: Partner<'static> = Partner { password: None, addresses: &[] };

    /// The host that was at the other end, if it is another one. A password proves more than an address, which may be
    /// translated on the way or be another one of several. Without a connection there is no stranger, and the document
    /// names the reason.
    fn stranger(&self, document: &Document) -> Option<String> {
        let expects_anybody = self.password.is_none() && self.addresses.is_empty();
        if expects_anybody || (self.password.is_some() && document.extra_data.as_deref() == self.password) {
            return None;
        }
        let Start { accepted_connection, connected } = &document.start;
        let control = accepted_connection.iter().map(|accepted| accepted.host.as_str());
        let mut hosts = control.chain(connected.iter().map(|stream| stream.remote_host.as_str()));
        let known: Vec<IpAddr> = self.addresses.iter().map(IpAddr::to_canonical).collect();
        let is_known = |host: &str| address(host).is_some_and(|address| known.contains(&address));
        hosts.find(|host| !is_known(host)).map(str::to_owned)
    }
}

/// An address as iperf3 prints it: perhaps with a zone, perhaps an IPv4 address mapped into IPv6.
fn address(host: &str) -> Option<IpAddr> {
    let host = host.split('%').next()?;
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Why a document holds no measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// This host was at the other end.
    Foreign(String),
    /// Something else.
    Because(IperfReason),
}

impl From<IperfReason> for Refused {
    fn from(reason: IperfReason) -> Self {
        Self::Because(reason)
    }
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
    measured(parse(stdout)?)
}

/// Parses the document of a server that expects this partner. What anybody else has measured, or broken off, counts for
/// nothing.
pub(super) fn read_from(stdout: &str, partner: &Partner<'_>) -> Result<Measured, Refused> {
    let document = parse(stdout)?;
    match partner.stranger(&document) {
        Some(host) => Err(Refused::Foreign(host)),
        None => Ok(measured(document)?),
    }
}

fn parse(stdout: &str) -> Result<Document, IperfReason> {
    serde_json::from_str(stdout).map_err(|_| IperfReason::UnknownOutput)
}

fn measured(document: Document) -> Result<Measured, IperfReason> {
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
    fn a_partner_is_known_by_its_password_or_its_address_in_every_spelling() {
        let text = |host: &str, extra: &str| {
            format!(
                r#"{{"extra_data":"{extra}","start":{{"connected":[{{"remote_host":"{host}"}}],
                "accepted_connection":{{"host":"{host}"}}}},
                "end":{{"sum_received":{{"seconds":1.0,"bits_per_second":1e9}}}}}}"#
            )
        };
        let addresses = ["10.0.0.7".parse().unwrap(), "fe80::1".parse().unwrap()];
        let partner = Partner { password: Some("uid/1/0"), addresses: &addresses };
        for (host, extra) in [("10.0.0.7", ""), ("::ffff:10.0.0.7", ""), ("fe80::1%eth0", ""), ("192.0.2.1", "uid/1/0")]
        {
            assert!(read_from(&text(host, extra), &partner).is_ok(), "{host} {extra}");
        }
        for (host, extra) in [("10.0.0.8", ""), ("10.0.0.8", "uid/1/1"), ("nonsense", ""), ("::1", "")] {
            assert_eq!(read_from(&text(host, extra), &partner), Err(Refused::Foreign(host.to_owned())));
        }
        assert!(read_from(&text("10.0.0.8", ""), &Partner::ANYBODY).is_ok());
        // Nobody came: the error of the document counts.
        let taken = r#"{"start":{},"end":{},"error":"error - unable to start listener: Address already in use"}"#;
        assert_eq!(read_from(taken, &partner), Err(Refused::Because(IperfReason::PortTaken)));
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
