//! A driver library that hangs, crashes, or comes and goes under the sampler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;
mod sampler_support;

use node_agent::probe::driver::SYMBOLS;
use node_agent::readings::sample::Section;
use node_agent::readings::talk::Said;
use node_agent::runner::protocol::End;
use probe_support::{Simulated, allocated_kib, is_alive, wait_until_dead};
use sampler_support::Talking;
use serde_json::json;

#[tokio::test]
async fn a_hung_call_is_reported_with_its_name_and_gpu_and_the_sampler_can_be_replaced() {
    let simulated = Simulated::new(&json!({"gpus": [
        {"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0", "calls": {"nvmlDeviceGetPowerUsage": "hang"}},
    ]}));
    let mut talking = Talking::with(&simulated).await;
    talking.ask(&[Section::Power]);
    let Said::Hung(hung) = talking.said().await else { panic!("not reported") };
    assert_eq!(
        (hung.call.as_str(), hung.index, hung.pci.as_deref()),
        ("nvmlDeviceGetPowerUsage", Some(1), Some("0000:2a:00.0"))
    );
    assert!((1_000..20_000).contains(&hung.for_ms), "{hung:?}");
    talking.probe.stop();
    assert_eq!(talking.end().await.end, End::Stopped);

    simulated.becomes(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    talking.again().await;
    assert_eq!(talking.sample(&[Section::Power]).await.gpus.len(), 1);
}

/// A machine on which the sampler calls `symbol`: some are called only if a newer function is missing, or at the end.
fn where_it_hangs(symbol: &str) -> serde_json::Value {
    let missing = match symbol {
        "nvmlDeviceGetGpuFabricInfo" => vec!["nvmlDeviceGetGpuFabricInfoV"],
        "nvmlDeviceGetRetiredPages" => vec!["nvmlDeviceGetRetiredPages_v2"],
        "nvmlDeviceGetCurrentClocksThrottleReasons" => vec!["nvmlDeviceGetCurrentClocksEventReasons"],
        _ => vec![],
    };
    // The state of a link is a field, where the driver knows it.
    let fields = if symbol == "nvmlDeviceGetNvLinkState" { json!({"165": null}) } else { json!({}) };
    let gpus = json!([{"pci": "0000:18:00.0", "fields": fields}, {"pci": "0000:2a:00.0"}]);
    json!({"gpus": gpus, "missing": missing, "calls": {symbol: "hang"}})
}

async fn reported_call(symbol: &str) -> String {
    let simulated = Simulated::new(&where_it_hangs(symbol));
    let mut talking = Talking::with(&simulated).await;
    if ["nvmlShutdown", "nvmlEventSetFree"].contains(&symbol) {
        talking.sample(Section::ALL).await;
        simulated.becomes(&json!({"calls": {symbol: "hang", "nvmlDeviceGetCount_v2": {"return": 9}}}));
    }
    talking.ask(Section::ALL);
    loop {
        match talking.said().await {
            Said::Hung(hung) => return hung.call,
            // Waiting for events is no part of a sample.
            Said::Sample { .. } => assert_eq!(symbol, "nvmlEventSetWait_v2"),
            Said::Event(event) => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn a_hang_in_each_call_that_the_sampler_makes_is_reported_by_its_name() {
    for symbols in SYMBOLS.chunks(12) {
        let reported = futures::future::join_all(symbols.iter().map(|symbol| reported_call(symbol))).await;
        assert_eq!(reported, symbols);
    }
}

#[tokio::test]
async fn a_crash_in_the_driver_library_ends_the_sampler_and_nothing_else() {
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0", "fault": "segfault"}]}));
    let mut talking = Talking::with(&simulated).await;
    talking.ask(&[]);
    assert_eq!(talking.end().await.end, End::Signaled { signal: 11 });
    simulated.becomes(&json!({"calls": {"nvmlInit_v2": "abort"}}));
    talking.again().await;
    talking.ask(&[]);
    assert_eq!(talking.end().await.end, End::Signaled { signal: 6 });
    simulated.becomes(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    talking.again().await;
    assert_eq!(talking.sample(&[]).await.view.gpus.len(), 1);
}

#[tokio::test]
async fn hundreds_of_switches_between_answers_neither_end_it_nor_make_it_grow() {
    let flip = json!({"flip": ["ok", {"return": 15}, {"return": 16}, {"return": 999}, "garbage", {"return": 3}]});
    let simulated = Simulated::new(&json!({
        "gpus": [{"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0", "calls": {"nvmlDevice*": flip}}],
    }));
    let mut talking = Talking::with(&simulated).await;
    talking.sample(&[]).await;
    let pid = talking.pid();
    let mut settled = 0;
    for ask in 0..400 {
        let sample = talking.sample(Section::ALL).await;
        assert!(sample.view.errors.len() <= 20, "{:?}", sample.view.errors);
        if ask == 100 {
            settled = allocated_kib(pid);
        }
    }
    let grown = allocated_kib(pid).saturating_sub(settled);
    assert!(grown < 1024, "{grown} KiB within 300 samples");
}

#[tokio::test]
async fn a_library_that_comes_and_goes_for_weeks_does_not_make_it_grow() {
    let simulated = Simulated::new(&json!({
        "calls": {"nvmlDeviceGetCount_v2": {"flip": ["ok", {"return": 999}]}},
        "gpus": [{"pci": "0000:18:00.0"}],
    }));
    let mut talking = Talking::with(&simulated).await;
    talking.sample(&[]).await;
    let pid = talking.pid();
    let (mut settled, mut answered) = (0, 0);
    for ask in 0..400 {
        answered += u32::from(talking.sample(&[]).await.view.status == "Ok");
        if ask == 100 {
            settled = allocated_kib(pid);
        }
    }
    assert!(answered > 150, "it goes on to answer: {answered} of 400");
    let grown = allocated_kib(pid).saturating_sub(settled);
    assert!(grown < 4_096, "{grown} KiB within 300 samples, every other of which lost the library");
    assert_eq!(talking.pid(), pid);
}

#[tokio::test]
async fn letting_go_of_the_sampler_ends_it_even_in_a_call_that_hangs() {
    let simulated = Simulated::new(&json!({"calls": {"nvmlInit_v2": "hang"}}));
    let mut talking = Talking::with(&simulated).await;
    talking.ask(&[]);
    let Said::Hung(hung) = talking.said().await else { panic!("not reported") };
    assert_eq!((hung.call.as_str(), hung.index), ("nvmlInit_v2", None));
    let pid = talking.pid();
    assert!(is_alive(pid));
    drop(talking);
    tokio::task::spawn_blocking(move || wait_until_dead(pid)).await.unwrap();
}
