use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    // Quotes, control characters, dashes and non-ASCII: what breaks framing and command lines.
    proptest::collection::vec(prop_oneof![Just('-'), Just('"'), Just('\n'), Just('='), Just('é'), any::<char>()], 0..24)
        .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        text().prop_map(Into::into),
        proptest::collection::vec(text(), 0..4).prop_map(Into::into),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    proptest::collection::btree_map(text(), value(), 0..6).prop_map(|entries| entries.into_iter().collect())
}

fn request() -> impl Strategy<Value = Request> {
    let start = (any::<u64>(), text(), parameters(), 1..=MAX_DEADLINE_MS, 1..=MAX_OUTPUT_CAP_BYTES).prop_map(
        |(id, probe, parameters, deadline_ms, output_cap_bytes)| {
            Request::Start(Start { id, probe, parameters, deadline_ms, output_cap_bytes })
        },
    );
    let say = (any::<u64>(), text()).prop_map(|(id, line)| Request::Say { id, line: line.replace('\n', " ") });
    prop_oneof![start, say, any::<u64>().prop_map(|id| Request::Stop { id })]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<i32>().prop_map(|code| End::Exited { code }),
        any::<i32>().prop_map(|signal| End::Signaled { signal }),
        Just(End::DeadlineExceeded),
        Just(End::Stopped),
        Just(End::OutputTooLong),
        text().prop_map(|reason| End::CouldNotStart { reason }),
        any::<u32>().prop_map(|pid| End::Unkillable { pid }),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let finished =
        (any::<u64>(), end(), text(), text(), any::<u64>()).prop_map(|(id, end, stdout, stderr_tail, duration_ms)| {
            Reply::Finished(Finished { id, end, stdout, stderr_tail, duration_ms })
        });
    prop_oneof![
        (any::<u64>(), any::<u32>()).prop_map(|(id, pid)| Reply::Started { id, pid }),
        finished,
        (any::<u64>(), text()).prop_map(|(id, line)| Reply::Line { id, line }),
        (any::<u64>(), text()).prop_map(|(id, reason)| Reply::Refused { id, reason }),
        text().prop_map(|reason| Reply::BadFrame { reason }),
    ]
}

proptest! {
    #[test]
    fn a_request_survives_the_wire_on_one_line(request in request()) {
        let line = encode_request(&request).unwrap();
        prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        prop_assert_eq!(decode_request(&line).unwrap(), request);
    }

    #[test]
    fn a_reply_survives_the_wire_on_one_line(reply in reply()) {
        let line = encode_reply(&reply).unwrap();
        prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        prop_assert_eq!(decode_reply(&line).unwrap(), reply);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let request = decode_request(&bytes);
        prop_assert!(request.is_err(), "{request:?}");
        let reply = decode_reply(&bytes);
        prop_assert!(reply.is_err(), "{reply:?}");
    }

    #[test]
    fn a_damaged_frame_is_never_a_panic(request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = encode_request(&request).unwrap();
        let at = at.index(line.len());
        line[at] = byte;
        if let Ok(read) = decode_request(&line) {
            prop_assert!(encode_request(&read).is_ok());
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let start = |deadline_ms, output_cap_bytes| {
        let (probe, parameters) = ("tree".to_owned(), Parameters::new());
        line_of(&Request::Start(Start { id: 1, probe, parameters, deadline_ms, output_cap_bytes })).unwrap()
    };
    let refused = |line: &[u8]| decode_request(line).unwrap_err().to_string();
    assert_eq!(refused(&start(0, 1)), "deadlineMs is 0; it must be 1 to 86400000");
    assert_eq!(refused(&start(86_400_001, 1)), "deadlineMs is 86400001; it must be 1 to 86400000");
    assert_eq!(refused(&start(1, 0)), "outputCapBytes is 0; it must be 1 to 131072");
    assert!(decode_request(&start(1, 131_072)).is_ok());
}

#[test]
fn what_is_said_to_a_probe_is_one_line() {
    let refused = |line: &[u8]| decode_request(line).unwrap_err().to_string();
    assert!(refused(br#"{"say":{"id":1,"line":"a\nb"}}"#).contains("say one line at a time"));
}

#[test]
fn an_unknown_field_is_refused_rather_than_ignored() {
    let error = decode_request(br#"{"stop":{"id":1,"force":true}}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `force`"), "{error}");
}

#[test]
fn output_that_escapes_blow_up_becomes_output_too_long() {
    let stdout = "\u{1}".repeat(MAX_OUTPUT_CAP_BYTES as usize);
    let finished = Finished { id: 7, end: End::Exited { code: 0 }, stdout, stderr_tail: "tail".into(), duration_ms: 5 };
    let line = encode_reply(&Reply::Finished(finished)).unwrap();
    assert!(line.len() <= MAX_REPLY_BYTES);
    let Reply::Finished(read) = decode_reply(&line).unwrap() else { unreachable!() };
    assert_eq!((read.id, read.end, read.stderr_tail.as_str()), (7, End::OutputTooLong, "tail"));
}

#[test]
fn a_line_beyond_the_bound_is_refused_with_the_bound() {
    let error = decode_request(&vec![b' '; MAX_REQUEST_BYTES + 1]).unwrap_err().to_string();
    assert!(error.contains("longer than 65536 bytes"), "{error}");
}
