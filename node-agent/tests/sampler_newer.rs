//! What newer drivers and GPUs answer, through the real sampler: margins, states of links, repairs, uptime; and what the same
//! sampler makes of a driver that has none of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;
mod sampler_support;

use node_agent::readings::sample::{ErrorRate, GpuReadings, LinkState, MarginLimits, Sample, Section};
use probe_support::Simulated;
use sampler_support::Talking;
use serde_json::{Value, json};

async fn sample_of(state: &Value) -> Sample {
    let simulated = Simulated::new(state);
    Talking::with(&simulated).await.sample(Section::ALL).await
}

async fn first_gpu(state: &Value) -> GpuReadings {
    let mut sample = sample_of(state).await;
    assert!(sample.view.errors.is_empty(), "{:?}", sample.view.errors);
    sample.gpus.remove(0)
}

#[tokio::test]
async fn a_gpu_that_answers_no_thresholds_is_read_by_its_margins() {
    let state = json!({"model": "B200", "gpus": [{"pci": "0000:18:00.0", "temperature": {"gpu": 90}}]});
    let thermal = first_gpu(&state).await.thermal.unwrap();
    assert_eq!((thermal.slowdown_celsius, thermal.shutdown_celsius), (None, None));
    assert_eq!(thermal.margin_celsius, Some(-3));
    let limits = MarginLimits { shutdown: Some(-8), slowdown: Some(-2), memory_max: Some(0), gpu_max: Some(0) };
    assert_eq!(thermal.margin_limits, limits);
}

#[tokio::test]
async fn thirty_six_links_are_read_with_the_state_that_the_field_tells() {
    let links = json!({"0": {"state": 0}, "1": {"state": 2}, "35": {"state": 3}});
    let state = json!({"model": "GB300", "gpus": [{"pci": "0000:18:00.0", "nvlink": {"count": 36, "links": links}}]});
    let nvlink = first_gpu(&state).await.nvlink.unwrap();
    let states: Vec<LinkState> = nvlink.links.iter().map(|link| link.state).collect();
    assert_eq!((states.len(), nvlink.unread), (36, 0));
    assert_eq!([states[0], states[1], states[2]], [LinkState::Inactive, LinkState::Asleep, LinkState::Active]);
    assert_eq!(states[35], LinkState::NoTraffic);
    assert_eq!(states.iter().filter(|state| state.is_up()).count(), 34);
    assert!(nvlink.links[0].remote.is_none() && nvlink.links[1].remote.is_some());
}

#[tokio::test]
async fn sixteen_gpus_with_thirty_six_links_and_long_counters_fit_into_one_answer() {
    const LONG: u64 = 9_007_199_254_740_991;
    let link = json!({"recovery_successes": LONG, "receive_errors": LONG, "effective_errors": LONG, "symbol_errors": LONG,
        "buffer_overruns": LONG, "send_discards": LONG, "integrity_errors": LONG, "recovery_failures": 4_000_000_000_u64});
    let links: Vec<Value> = (0..36).map(|_| link.clone()).collect();
    let gpu = |bus: u32| json!({"pci": format!("0009:{bus:02x}:00.0"), "nvlink": {"count": 36, "links": links}});
    let gpus: Vec<Value> = (1..17).map(gpu).collect();
    let sample = sample_of(&json!({"driver": "620.12.01", "model": "GB300", "gpus": gpus})).await;
    assert_eq!(sample.gpus.len(), 16);
    for gpu in &sample.gpus {
        assert_eq!(gpu.nvlink.as_ref().unwrap().links[35].newer.symbol_errors, Some(LONG));
        assert_eq!(gpu.topology.as_ref().unwrap().ancestors.len(), 15);
    }
}

#[tokio::test]
async fn a_driver_without_the_field_is_asked_by_the_call_that_says_yes_or_no() {
    let nvlink = json!({"links": {"3": {"up": false}, "5": {"state": 3}}});
    let state = json!({"gpus": [{"pci": "0000:18:00.0", "nvlink": nvlink, "fields": {"165": null}}]});
    let links = first_gpu(&state).await.nvlink.unwrap().links;
    assert_eq!((links.len(), links[3].state, links[5].state), (18, LinkState::Inactive, LinkState::Active));
    // A state that no header names is none.
    let state = json!({"gpus": [{"pci": "0000:18:00.0", "fields": {"165:4": 9}}]});
    assert_eq!(first_gpu(&state).await.nvlink.unwrap().links[4].state, LinkState::Active);
}

#[tokio::test]
async fn a_link_whose_state_cannot_be_read_is_counted_and_not_taken_for_one_that_is_down() {
    let state = json!({"gpus": [{"pci": "0000:18:00.0", "fields": {"165:4": {"return": 999}}}]});
    let sample = sample_of(&state).await;
    let nvlink = sample.gpus[0].nvlink.as_ref().unwrap();
    assert_eq!((nvlink.links.len(), nvlink.unread, sample.view.errors.len()), (17, 1, 1));
}

#[tokio::test]
async fn links_of_nvlink_5_are_read_by_their_own_counters_and_older_ones_by_theirs() {
    let link = json!({"recovery_successes": 3, "recovery_failures": 1, "receive_errors": 4, "effective_errors": 5,
        "symbol_errors": 6, "effective_ber": 0x206, "replays": 7, "crc_flit": 8});
    let gpu =
        |model: &str| json!({"model": model, "gpus": [{"pci": "0000:18:00.0", "nvlink": {"links": {"2": link}}}]});
    let newer = first_gpu(&gpu("B200")).await.nvlink.unwrap().links.remove(2);
    assert_eq!((newer.recoveries, newer.replays, newer.crc_flit), (Some(4), None, None));
    let counters = newer.newer;
    assert_eq!((counters.failed_recoveries, counters.receive_errors), (Some(1), Some(4)));
    assert_eq!((counters.effective_errors, counters.symbol_errors), (Some(5), Some(6)));
    assert_eq!(counters.effective_ber, Some(ErrorRate { mantissa: 2, exponent: 6 }));
    let older = first_gpu(&gpu("H100-SXM")).await.nvlink.unwrap().links.remove(2);
    assert_eq!((older.replays, older.crc_flit, older.newer.effective_errors), (Some(7), Some(8), None));
}

#[tokio::test]
async fn a_new_driver_tells_repairs_uptime_and_chip_to_chip_links_and_an_old_one_is_silent_about_them() {
    let gpu = json!({"pci": "0008:01:00.0", "uptime_s": 77, "repair": {"tpc_pending": true}, "unrepairable_memory": true,
        "c2c": {"down": [4]},
        "remap": {"inactive_uncorrectable": 2, "bank": {"inactive": 1, "pending": true, "groups_full": 63}}});
    let state = |driver: &str| json!({"driver": driver, "model": "GB200", "gpus": [gpu]});
    let new = first_gpu(&state("620.12.01")).await;
    assert_eq!(new.driver.as_ref().unwrap().uptime_seconds, Some(77));
    let remap = new.row_remap.unwrap();
    assert_eq!((remap.channel_repair_pending, remap.tpc_repair_pending), (Some(false), Some(true)));
    assert_eq!((remap.unrepairable, remap.uncorrectable_inactive), (Some(true), Some(2)));
    let banks = remap.bank_remaps.unwrap();
    assert_eq!((banks.inactive, banks.pending, banks.groups_full), (Some(1), Some(true), Some(63)));
    let nvlink = new.nvlink.unwrap();
    assert_eq!((nvlink.c2c_links, nvlink.c2c_active), (Some(10), Some(9)));

    let old = first_gpu(&state("570.86.15")).await;
    assert_eq!(old.driver.unwrap().uptime_seconds, None);
    let remap = old.row_remap.unwrap();
    assert_eq!((remap.bank_remaps, remap.unrepairable, remap.channel_repair_pending), (None, None, None));
    assert_eq!((remap.pending, remap.uncorrectable_inactive), (Some(false), None));
}

#[tokio::test]
async fn an_environment_that_asks_for_the_view_of_mps_does_not_reach_the_sampler() {
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    let mut talking = Talking::in_environment(&simulated, &[("NVML_MPS_DEVICE_ENUMERATION", "1")]).await;
    let sample = talking.sample(Section::ALL).await;
    let power = sample.gpus[0].power.as_ref().unwrap();
    assert_eq!((power.draw_milliwatts, power.limit_milliwatts), (Some(77_710), Some(700_000)));
    assert_eq!(sample.view.driver.as_deref(), Some("570.86.15"));
}
