//! Where the time of one fault went: pure, from the logs of agent, operator and API server.
//!
//! The steps of a fault follow one another, so each stage is the time between two of them and the stages add up to the
//! whole. All timestamps are of one clock, as everything runs on one machine.

use super::super::figures::{duration, milliseconds};
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// What the agent logs right before it hands a report to its HTTP client.
const REPORT_IS_SENT: &str = "a fault goes from the kernel log to the API server";
/// What the operator logs when a watch has shown it a new failure.
const FAILURE_OBSERVED: &str = "a new failure was observed";
/// What the operator logs at the end of a decision.
const DECIDED: &str = " decided ";
/// What the operator logs right before it hands a write to its HTTP client.
const WRITE_IS_SENT: &str = "a write is sent";

/// The fault: when its line was written, when a watcher saw the taint, and on which objects.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Fault<'a> {
    pub(in crate::bench) node: &'a str,
    pub(in crate::bench) policy: &'a str,
    pub(in crate::bench) began: Timestamp,
    pub(in crate::bench) tainted: Timestamp,
}

/// What the three programs logged meanwhile.
#[derive(Debug, Clone, Default)]
pub(in crate::bench) struct Logs {
    pub(in crate::bench) agent: String,
    pub(in crate::bench) operator: String,
    pub(in crate::bench) audit: String,
}

/// A fault's stages in their order; they add up to the whole.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::bench) struct Breakdown {
    stages: Vec<(String, Duration)>,
    /// Requests on the way that were not answered with success, by what they were and the answer's code.
    refused: Vec<String>,
    /// Decisions from the first sight of the failure to the one that marked the node.
    decisions: usize,
}

impl Breakdown {
    /// Finds the steps of a fault in the logs. A step that no log tells of is left out: its stage and the next are one.
    pub(in crate::bench) fn of(fault: &Fault<'_>, logs: &Logs) -> Self {
        let steps = Steps::find(fault, logs);
        Self {
            stages: stages(fault, &steps.in_order()),
            refused: refused(fault, &requests(&logs.audit)),
            decisions: steps.decisions,
        }
    }

    /// The stages in their order.
    pub(in crate::bench) fn stages(&self) -> &[(String, Duration)] {
        &self.stages
    }

    /// The longest stage, then all of them.
    pub(in crate::bench) fn sentence(&self) -> String {
        let total: Duration = self.stages.iter().map(|(_, took)| *took).sum();
        let longest = self.stages.iter().max_by_key(|(_, took)| *took);
        let (name, took) = longest.map_or(("", Duration::ZERO), |(name, took)| (name.as_str(), *took));
        let all: Vec<_> = self.stages.iter().map(|(name, took)| format!("{name} {}", milliseconds(*took))).collect();
        let stages = all.join(", ");
        let mut parts = vec![format!("{name} took {} of {} ms ({stages})", milliseconds(took), milliseconds(total))];
        if self.decisions > 1 {
            parts.push(format!("{} decisions", self.decisions));
        }
        if !self.refused.is_empty() {
            parts.push(format!("failed requests: {}", self.refused.join(", ")));
        }
        parts.join("; ")
    }
}

/// When each step ended, where a log tells.
#[derive(Debug, Default)]
struct Steps {
    report_sent: Option<Timestamp>,
    report: Option<Request>,
    observed: Option<Timestamp>,
    decision: Option<(Timestamp, Timestamp)>,
    decisions: usize,
    claim_sent: Option<Timestamp>,
    claim: Option<Request>,
    taint_sent: Option<Timestamp>,
    taint: Option<Request>,
}

impl Steps {
    /// Backwards from the taint: what led to it is the last of each kind before.
    fn find(fault: &Fault<'_>, logs: &Logs) -> Self {
        let requests = requests(&logs.audit);
        let last = |what: What, before: Timestamp| {
            let is_it = |r: &&Request| r.is_of(fault, what) && r.is_ok();
            let mut meanwhile = requests.iter().filter(|r| r.received >= fault.began && r.received <= before);
            meanwhile.rfind(is_it).cloned()
        };
        let operator: Vec<Line<'_>> = lines(&logs.operator).collect();
        let sent = |key: String, before: Timestamp| {
            let is_it = |l: &&Line<'_>| l.text.contains(WRITE_IS_SENT) && l.text.contains(&key);
            let mut meanwhile = operator.iter().filter(|l| l.at >= fault.began && l.at <= before);
            meanwhile.rfind(is_it).map(|l| l.at)
        };
        let taint = last(What::Taint, fault.tainted);
        let before_taint = taint.as_ref().map_or(fault.tainted, |r| r.received);
        let claim = last(What::Claim, before_taint);
        let before_claim = claim.as_ref().map_or(before_taint, |r| r.received);
        let claim_sent = sent(format!("key=NodeHealthPolicy {} ", fault.policy), before_claim);
        let observed = operator.iter().find(|l| {
            l.at >= fault.began
                && l.text.contains(FAILURE_OBSERVED)
                && l.ends_with(&format!("NodeHealth {}", fault.node))
        });
        let observed = observed.map(|l| l.at);
        let since = observed.unwrap_or(fault.began);
        let until = claim_sent.unwrap_or(before_claim);
        let decisions: Vec<_> = operator.iter().filter_map(Line::decision).filter(|(_, end)| *end <= until).collect();
        let report = last(What::Report, observed.unwrap_or(before_claim));
        let before_report = report.as_ref().map_or(until, |r| r.received);
        let report_sent = lines(&logs.agent).filter(|l| l.text.contains(REPORT_IS_SENT));
        Self {
            report_sent: report_sent.filter(|l| l.at >= fault.began && l.at <= before_report).last().map(|l| l.at),
            report,
            observed,
            decision: decisions.last().copied(),
            decisions: decisions.iter().filter(|(_, end)| *end >= since).count(),
            claim_sent,
            claim,
            taint_sent: sent(format!("key=Node {} act=\"patch taints\"", fault.node), before_taint),
            taint,
        }
    }

    /// Each stage with the step that ends it.
    fn in_order(&self) -> [(&'static str, Option<Timestamp>); 12] {
        let received = |request: &Option<Request>| request.as_ref().map(|r| r.received);
        let answered = |request: &Option<Request>| request.as_ref().map(|r| r.answered);
        [
            ("agent", self.report_sent),
            ("report on its way", received(&self.report)),
            ("report request", answered(&self.report)),
            ("watch of the operator", self.observed),
            ("operator queue", self.decision.map(|(begin, _)| begin)),
            ("decide", self.decision.map(|(_, end)| end)),
            ("claim in the write queue", self.claim_sent),
            ("claim on its way", received(&self.claim)),
            ("claim request", answered(&self.claim)),
            ("taint in the write queue", self.taint_sent),
            ("taint on its way", received(&self.taint)),
            ("taint request", answered(&self.taint)),
        ]
    }
}

/// The times between the steps. A step that seems to end before the one that it follows took no time: a client may read
/// an answer before the server notes that it has sent it.
fn stages(fault: &Fault<'_>, steps: &[(&'static str, Option<Timestamp>)]) -> Vec<(String, Duration)> {
    let mut stages = Vec::new();
    let mut before = fault.began;
    let mut unknown: Vec<&str> = Vec::new();
    for (name, end) in steps.iter().copied().chain([("watch of the bench", Some(fault.tainted))]) {
        unknown.push(name);
        let Some(end) = end else { continue };
        let end = end.clamp(before, fault.tainted.max(before));
        stages.push((unknown.join(" and "), between(before, end)));
        unknown.clear();
        before = end;
    }
    stages
}

fn between(begin: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(begin)).unwrap_or_default()
}

/// What a request is to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Report,
    Claim,
    Taint,
}

impl What {
    const ALL: [Self; 3] = [Self::Report, Self::Claim, Self::Taint];

    const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Claim => "claim",
            Self::Taint => "taint",
        }
    }
}

/// A request of agent or operator, from an event of the API server's audit log.
#[derive(Debug, Clone, PartialEq)]
struct Request {
    manager: String,
    name: String,
    code: u64,
    received: Timestamp,
    answered: Timestamp,
}

impl Request {
    fn parse(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok()?;
        let text = |pointer: &str| event.pointer(pointer)?.as_str();
        if text("/verb")? != "patch" {
            return None;
        }
        let uri = text("/requestURI")?;
        let manager = uri.split(['?', '&']).find_map(|part| part.strip_prefix("fieldManager="))?;
        Some(Self {
            manager: manager.to_owned(),
            name: text("/objectRef/name")?.to_owned(),
            code: event.pointer("/responseStatus/code")?.as_u64()?,
            received: text("/requestReceivedTimestamp")?.parse().ok()?,
            answered: text("/stageTimestamp")?.parse().ok()?,
        })
    }

    fn is_ok(&self) -> bool {
        (200..300).contains(&self.code)
    }

    fn is_of(&self, fault: &Fault<'_>, what: What) -> bool {
        let (manager, name) = match what {
            What::Report => (crds::names::MANAGER_REPORT, fault.node),
            What::Claim => (crds::names::MANAGER_STATUS, fault.policy),
            What::Taint => (crds::names::MANAGER_NODE_TAINTS, fault.node),
        };
        self.manager == manager && self.name == name
    }
}

/// The patches in an audit log, in the order in which they were received.
fn requests(audit: &str) -> Vec<Request> {
    let mut requests: Vec<_> = audit.lines().filter(|l| l.contains("gpu-health")).filter_map(Request::parse).collect();
    requests.sort_by_key(|request| request.received);
    requests
}

/// How much later than the fault the last event of an audit log must be: events are written when requests are answered,
/// and a watcher sees a change a little before that.
const LATER: Duration = Duration::from_millis(200);

/// Whether the audit log holds all that belongs to the fault.
pub(in crate::bench) fn is_complete(fault: &Fault<'_>, audit: &str) -> bool {
    let time = |line: &str| -> Option<Timestamp> {
        let event: Value = serde_json::from_str(line).ok()?;
        event.pointer("/stageTimestamp")?.as_str()?.parse().ok()
    };
    audit.lines().rev().find_map(time).is_some_and(|last| last >= fault.tainted + LATER)
}

fn refused(fault: &Fault<'_>, requests: &[Request]) -> Vec<String> {
    let meanwhile = requests.iter().filter(|r| r.received >= fault.began && r.received <= fault.tainted && !r.is_ok());
    let named = meanwhile.filter_map(|request| {
        let what = What::ALL.into_iter().find(|what| request.is_of(fault, *what))?;
        Some(format!("{} {}", what.name(), request.code))
    });
    named.collect()
}

/// A line of one of our logs.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    at: Timestamp,
    text: &'a str,
}

impl Line<'_> {
    fn ends_with(&self, end: &str) -> bool {
        self.text.trim_end().ends_with(end)
    }

    /// Begin and end of the decision that this line is about.
    fn decision(&self) -> Option<(Timestamp, Timestamp)> {
        if !self.text.contains(DECIDED) {
            return None;
        }
        let took = self.text.split_whitespace().find_map(|word| word.strip_prefix("took="))?;
        Some((self.at - duration(took)?, self.at))
    }
}

fn lines(log: &str) -> impl Iterator<Item = Line<'_>> {
    log.lines().filter_map(|text| {
        let at = text.split_whitespace().next()?.parse().ok()?;
        Some(Line { at, text })
    })
}

#[cfg(test)]
mod tests;
