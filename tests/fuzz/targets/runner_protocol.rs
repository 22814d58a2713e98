//! Arbitrary data from the socket of the runner, or from the pipe of the sampler.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node_agent::runner::protocol::{decode_reply, decode_request, encode_request};
use node_agent::readings::{Ask, Said};

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = decode_request(data) {
        let line = encode_request(&request).expect("what was read can be written");
        assert_eq!(decode_request(&line).expect("and read again"), request);
    }
    let _ = decode_reply(data);
    if let Ok(said) = serde_json::from_slice::<Said>(data) {
        let line = serde_json::to_vec(&said).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<Said>(&line).expect("and read again"), said);
    }
    let _ = serde_json::from_slice::<Ask>(data);
});
