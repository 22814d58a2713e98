use super::*;

const NODE: &str = "node-0003";
const POLICY: &str = "bench";
const AGENT: &str = "gpu-health-agent";

/// So many milliseconds after the fault began.
fn at(milliseconds: f64) -> Timestamp {
    let began: Timestamp = "2026-11-27T10:41:40.100000Z".parse().unwrap();
    began + jiff::SignedDuration::from_secs_f64(milliseconds / 1000.0)
}

fn fault(tainted: f64) -> Fault<'static> {
    Fault { node: NODE, policy: POLICY, began: at(0.0), tainted: at(tainted) }
}

/// An event as the API server writes it, without what is not read.
fn request(manager: &str, resource: &str, name: &str, code: u16, received: f64, answered: f64) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete","requestURI":"/apis/gpuhealth.dev/v1alpha1/{resource}/{name}?&fieldManager={manager}&force=true","verb":"patch","user":{{"username":"system:serviceaccount:gpu-health:x"}},"objectRef":{{"resource":"{resource}","name":"{name}"}},"responseStatus":{{"metadata":{{}},"code":{code}}},"requestReceivedTimestamp":"{}","stageTimestamp":"{}"}}"#,
        at(received),
        at(answered)
    ) + "\n"
}

fn report(code: u16, received: f64, answered: f64) -> String {
    request(AGENT, "nodehealths", NODE, code, received, answered)
}

fn claim(code: u16, received: f64, answered: f64) -> String {
    request("gpu-health-operator-status", "nodehealthpolicies", POLICY, code, received, answered)
}

fn taint(code: u16, received: f64, answered: f64) -> String {
    request("gpu-health-operator-taints", "nodes", NODE, code, received, answered)
}

fn report_sent(when: f64) -> String {
    format!("{} DEBUG node_agent::shell: {REPORT_IS_SENT} milliseconds=1\n", at(when))
}

fn observed(when: f64, node: &str) -> String {
    format!("{} DEBUG operator::shell::brain: {FAILURE_OBSERVED} key=NodeHealth {node}\n", at(when))
}

fn decided(when: f64, took: &str) -> String {
    format!("{} DEBUG operator::shell::brain:{DECIDED}cause=\"urgent\" took={took} steps=5 dropped=0\n", at(when))
}

fn write_sent(when: f64, key: &str, act: &str) -> String {
    format!("{} DEBUG operator::shell::brain: {WRITE_IS_SENT} key={key} act=\"{act}\"\n", at(when))
}

fn claim_sent(when: f64) -> String {
    write_sent(when, "NodeHealthPolicy bench", "apply policy status")
}

fn taint_sent(when: f64) -> String {
    write_sent(when, "Node node-0003", "patch taints")
}

/// A fault on a quiet machine.
fn quick() -> Logs {
    Logs {
        agent: report_sent(0.5),
        operator: [observed(9.0, NODE), decided(11.0, "1.5ms"), claim_sent(11.0), taint_sent(15.0)].concat(),
        audit: [report(200, 1.0, 8.0), claim(200, 11.5, 14.0), taint(200, 15.5, 19.0)].concat(),
    }
}

fn took(breakdown: &Breakdown) -> Vec<(&str, f64)> {
    breakdown.stages.iter().map(|(name, took)| (name.as_str(), milliseconds(*took))).collect()
}

fn total(breakdown: &Breakdown) -> f64 {
    milliseconds(breakdown.stages.iter().map(|(_, took)| *took).sum())
}

#[test]
fn the_stages_follow_one_another_and_add_up_to_the_whole() {
    let breakdown = Breakdown::of(&fault(20.0), &quick());
    assert_eq!(
        took(&breakdown),
        [
            ("agent", 0.5),
            ("report on its way", 0.5),
            ("report request", 7.0),
            ("watch of the operator", 1.0),
            ("operator queue", 0.5),
            ("decide", 1.5),
            ("claim in the write queue", 0.0),
            ("claim on its way", 0.5),
            ("claim request", 2.5),
            ("taint in the write queue", 1.0),
            ("taint on its way", 0.5),
            ("taint request", 3.5),
            ("watch of the bench", 1.0),
        ]
    );
    assert!((total(&breakdown) - 20.0).abs() < f64::EPSILON);
    assert_eq!((breakdown.decisions, breakdown.refused.len()), (1, 0));
}

#[test]
fn the_sentence_begins_with_the_longest_stage() {
    let logs = Logs {
        agent: report_sent(0.5),
        operator: [observed(2311.0, NODE), decided(2313.0, "1.5ms"), claim_sent(2313.0), taint_sent(2317.0)].concat(),
        audit: [report(200, 1.0, 2310.0), claim(200, 2313.5, 2316.0), taint(200, 2317.5, 2320.0)].concat(),
    };
    let sentence = Breakdown::of(&fault(2321.0), &logs).sentence();
    assert!(sentence.starts_with("report request took 2309 of 2321 ms (agent 0.5, "), "{sentence}");
    assert!(!sentence.contains("decisions") && !sentence.contains("failed"), "{sentence}");
}

#[test]
fn a_taint_that_was_refused_once_is_named_and_its_time_is_spent_in_the_write_queue() {
    let logs = Logs {
        operator: [
            quick().operator,
            decided(40.0, "987µs"),
            write_sent(41.0, "Node node-0003", "apply marks"),
            taint_sent(1000.0),
        ]
        .concat(),
        audit: [report(200, 1.0, 8.0), claim(200, 11.5, 14.0), taint(409, 15.5, 19.0), taint(200, 1000.5, 1004.0)]
            .concat(),
        ..quick()
    };
    let sentence = Breakdown::of(&fault(1005.0), &logs).sentence();
    assert!(sentence.starts_with("taint in the write queue took 986 of 1005 ms"), "{sentence}");
    assert!(sentence.ends_with("failed requests: taint 409"), "{sentence}");
}

#[test]
fn decisions_that_could_not_write_the_claim_are_counted_as_time_in_the_queue() {
    let operator = [observed(9.0, NODE), decided(11.0, "1ms"), decided(500.0, "2ms"), decided(1500.0, "1ms")];
    let logs = Logs {
        operator: [operator.concat(), claim_sent(1500.0), taint_sent(1505.0)].concat(),
        audit: [report(200, 1.0, 8.0), claim(200, 1500.5, 1504.0), taint(200, 1505.5, 1509.0)].concat(),
        ..quick()
    };
    let breakdown = Breakdown::of(&fault(1510.0), &logs);
    assert_eq!(breakdown.decisions, 3);
    assert!(breakdown.sentence().starts_with("operator queue took 1490 of 1510 ms"), "{}", breakdown.sentence());
}

#[test]
fn an_answer_that_the_client_reads_before_the_server_notes_it_makes_no_negative_stage() {
    let logs = Logs { audit: quick().audit.replace(&at(14.0).to_string(), &at(15.2).to_string()), ..quick() };
    let breakdown = Breakdown::of(&fault(18.5), &logs);
    assert!((total(&breakdown) - 18.5).abs() < f64::EPSILON, "{}", breakdown.sentence());
    assert!(took(&breakdown).contains(&("taint in the write queue", 0.0)));
    assert!(took(&breakdown).contains(&("watch of the bench", 0.0)));
}

#[test]
fn a_step_that_no_log_tells_of_joins_its_stage_to_the_next() {
    let breakdown = Breakdown::of(&fault(20.0), &Logs { agent: String::new(), ..quick() });
    assert_eq!(took(&breakdown)[0], ("agent and report on its way", 1.0));
    assert!((total(&breakdown) - 20.0).abs() < f64::EPSILON);
    let nothing = Breakdown::of(&fault(20.0), &Logs::default());
    assert_eq!((nothing.stages.len(), total(&nothing)), (1, 20.0));
}

#[test]
fn what_belongs_to_another_node_or_an_earlier_fault_is_left_out() {
    let earlier = Logs {
        agent: report_sent(-50.0),
        operator: [observed(-40.0, NODE), observed(2.0, "node-00031"), taint_sent(-10.0)].concat(),
        audit: [taint(200, -9.0, -5.0), report(200, -30.0, -20.0), claim(409, -3.0, -2.0)].concat(),
    };
    let logs = Logs {
        agent: earlier.agent + &quick().agent,
        operator: earlier.operator + &quick().operator,
        audit: earlier.audit + &quick().audit,
    };
    assert_eq!(Breakdown::of(&fault(20.0), &logs), Breakdown::of(&fault(20.0), &quick()));
}

#[test]
fn the_audit_log_is_complete_when_it_has_gone_on_after_the_taint() {
    let early = [report(200, 1.0, 8.0), taint(200, 15.5, 19.0)].concat();
    assert!(!is_complete(&fault(20.0), &early));
    assert!(!is_complete(&fault(20.0), &(early.clone() + r#"{"stageTimestamp":"2026-"#)));
    assert!(is_complete(&fault(20.0), &(early + &report(200, 220.0, 230.0))));
}

#[test]
fn durations_are_read_as_debug_writes_them() {
    for (text, micros) in [("1.5ms", 1_500), ("987µs", 987), ("2s", 2_000_000), ("4000ns", 4)] {
        assert_eq!(duration(text), Some(Duration::from_micros(micros)), "{text}");
    }
    assert_eq!(duration("fast"), None);
}

/// Recorded on a busy machine: the fault came while the operator still labelled 300 nodes. Shortened.
#[test]
fn a_recorded_fault_that_waited_behind_other_writes_of_the_operator_is_explained() {
    let began: Timestamp = "2026-11-27T11:08:55.790113Z".parse().unwrap();
    let tainted = began + Duration::from_micros(1_837_800);
    let logs = Logs {
        agent: include_str!("recorded/agent.log").to_owned(),
        operator: include_str!("recorded/operator.log").to_owned(),
        audit: include_str!("recorded/audit.log").to_owned(),
    };
    let fault = Fault { node: "node-0001", policy: POLICY, began, tainted };
    let breakdown = Breakdown::of(&fault, &logs);
    assert_eq!(
        took(&breakdown),
        [
            ("agent", 0.7),
            ("report on its way", 19.4),
            ("report request", 138.9),
            ("watch of the operator", 12.0),
            ("operator queue", 1645.9),
            ("decide", 3.4),
            ("claim in the write queue", 0.0),
            ("claim on its way", 1.3),
            ("claim request", 5.8),
            ("taint in the write queue", 3.1),
            ("taint on its way", 0.2),
            ("taint request", 7.0),
            ("watch of the bench", 0.0),
        ]
    );
    assert!((total(&breakdown) - 1837.8).abs() < f64::EPSILON);
    let sentence = breakdown.sentence();
    assert!(sentence.starts_with("operator queue took 1645.9 of 1837.8 ms"), "{sentence}");
    assert!(sentence.ends_with("failed requests: claim 409"), "{sentence}");
}
