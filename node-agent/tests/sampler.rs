//! The sampler as a probe of a real runner, with the simulated driver library.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;
mod sampler_support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use node_agent::readings::sample::{DeviceAccess, LinkState, Sample, Section};
use node_agent::readings::talk::Said;
use probe_support::{AGENT, Simulated};
use sampler_support::Talking;
use serde_json::json;

fn kinds(sample: &Sample) -> Vec<(Option<u32>, Option<&str>, &str, &str)> {
    let errors = sample.view.errors.iter();
    errors.map(|error| (error.index, error.pci.as_deref(), error.call.as_str(), error.kind.as_str())).collect()
}

#[tokio::test]
async fn identity_and_memory_of_each_gpu_are_in_every_answer() {
    let simulated = Simulated::new(&json!({"driver": "570.86.15", "gpus": [
        {"pci": "0000:18:00.0"},
        {"pci": "10000:db:00.0", "name": "NVIDIA H200", "memory_mib": 143_771, "serial": "SIM0000000042"},
    ]}));
    let mut talking = Talking::with(&simulated).await;
    let sample = talking.sample(&[]).await;
    let view = &sample.view;
    assert_eq!((view.status.as_str(), view.driver.as_deref(), view.count), ("Ok", Some("570.86.15"), Some(2)));
    assert_eq!(sample.library_version.as_deref(), Some("12.570.86.15"));
    assert!(view.errors.is_empty(), "{view:?}");
    let [first, second] = view.gpus.as_slice() else { panic!("{view:?}") };
    assert_eq!((first.index, first.pci.as_deref()), (0, Some("0000:18:00.0")));
    assert_eq!(first.uuid.as_deref(), Some("GPU-simulated-0000-0000-0000-000000000001"));
    assert_eq!((first.serial.as_deref(), first.vbios.as_deref()), (Some("SIM0000000001"), Some("96.00.74.00.01")));
    assert_eq!((first.name.as_deref(), first.memory_mib), (Some("NVIDIA H100 80GB HBM3"), Some(81_559)));
    assert_eq!((second.index, second.pci.as_deref()), (1, Some("10000:db:00.0")));
    assert_eq!((second.serial.as_deref(), second.memory_mib), (Some("SIM0000000042"), Some(143_771)));
    assert_eq!(sample.gpus.iter().map(|gpu| gpu.pci.as_str()).collect::<Vec<_>>(), ["0000:18:00.0", "10000:db:00.0"]);
    assert!(sample.gpus.iter().all(|gpu| gpu.ecc.is_none() && gpu.nvlink.is_none()));
    assert!(sample.slowest.is_some() && sample.device_access.is_none());
}

#[tokio::test]
async fn every_section_that_is_asked_for_is_answered_by_a_healthy_h100() {
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0"}]}));
    let mut talking = Talking::with(&simulated).await;
    let sample = talking.sample(Section::ALL).await;
    assert_eq!(sample.sections, Section::ALL);
    assert!(sample.view.errors.is_empty(), "{:?}", sample.view.errors);
    assert_eq!(sample.gpus.len(), 2);
    for gpu in &sample.gpus {
        let text = format!("{gpu:#?}");
        assert_eq!(gpu.driver.as_ref().unwrap().persistence, Some(true), "{text}");
        assert_eq!(gpu.driver.as_ref().unwrap().processes, Some(0), "{text}");
        assert_eq!(gpu.recovery_action.as_ref().unwrap().action, Some(0), "{text}");
        let ecc = gpu.ecc.as_ref().unwrap();
        assert_eq!(
            (ecc.enabled, ecc.volatile_uncorrected, ecc.dram_uncorrected),
            (Some(true), Some(0), Some(0)),
            "{text}"
        );
        assert_eq!((ecc.sram_uncorrected, ecc.sram_threshold_exceeded), (Some(0), Some(false)), "{text}");
        let remap = gpu.row_remap.as_ref().unwrap();
        assert_eq!((remap.uncorrectable, remap.pending, remap.failure), (Some(0), Some(false), Some(false)), "{text}");
        assert_eq!(remap.banks.unwrap().max, 2560, "{text}");
        let clocks = gpu.clocks.as_ref().unwrap();
        assert!(clocks.reasons.is_some() && clocks.sm_mhz.is_some() && clocks.max_sm_mhz.is_some(), "{text}");
        assert_eq!(
            (clocks.sw_thermal_ns, clocks.hw_thermal_ns, clocks.power_brake_ns),
            (Some(0), Some(0), Some(0)),
            "{text}"
        );
        let thermal = gpu.thermal.as_ref().unwrap();
        assert!(thermal.gpu_celsius.is_some() && thermal.memory_celsius.is_some(), "{text}");
        assert!(thermal.slowdown_celsius.is_some() && thermal.shutdown_celsius.is_some(), "{text}");
        assert!(gpu.power.as_ref().unwrap().enforced_milliwatts.is_some(), "{text}");
        assert_eq!(gpu.pcie.as_ref().unwrap().max_width, Some(16), "{text}");
        let links = &gpu.nvlink.as_ref().unwrap().links;
        assert_eq!(links.len(), 18, "{text}");
        assert!(
            links
                .iter()
                .all(|link| link.state == LinkState::Active && link.replays == Some(0) && link.remote.is_some()),
            "{text}"
        );
        let fabric = gpu.fabric.as_ref().unwrap();
        assert_eq!((fabric.state, fabric.status), (Some(3), Some(0)), "{text}");
        assert!(fabric.cluster_uuid.as_ref().is_some_and(|uuid| uuid.len() == 32), "{text}");
        assert_eq!(gpu.topology.as_ref().unwrap().ancestors.len(), 1, "{text}");
    }
    assert_eq!(sample.gpus[0].topology.as_ref().unwrap().ancestors[0].0, "0000:2a:00.0");
}

#[tokio::test]
async fn the_remote_end_of_a_link_is_read_once_until_the_link_goes_down_or_the_library_is_loaded_anew() {
    const CALL: &str = "nvmlDeviceGetNvLinkRemotePciInfo_v2";
    let machine = |link: serde_json::Value, fault: serde_json::Value| {
        let gpu = json!({"pci": "0000:18:00.0", "nvlink": {"links": {"3": link}}});
        json!({"gpus": [gpu], "calls": {CALL: fault}})
    };
    let (here, there) = (json!({"remote": "0000:05:00.0"}), json!({"remote": "0000:06:00.0"}));
    // Where the call is not to be made, it would fail and be told as an error.
    let (ok, unknown) = (json!("ok"), json!({"return": 999}));
    let simulated = Simulated::new(&machine(here, ok.clone()));
    let mut talking = Talking::with(&simulated).await;
    let first = talking.sample(&[Section::Nvlink]).await;
    simulated.becomes(&machine(there.clone(), unknown.clone()));
    let second = talking.sample(&[Section::Nvlink]).await;
    assert!(second.view.errors.is_empty(), "{:?}", second.view.errors);
    assert_eq!(first.gpus, second.gpus);
    let remote = |sample: &Sample| sample.gpus[0].nvlink.as_ref().unwrap().links[3].remote.clone();
    assert_eq!(remote(&second).as_deref(), Some("0000:05:00.0"));

    simulated.becomes(&machine(json!({"up": false}), unknown));
    assert_eq!(remote(&talking.sample(&[Section::Nvlink]).await), None);
    simulated.becomes(&machine(there, ok.clone()));
    assert_eq!(remote(&talking.sample(&[Section::Nvlink]).await).as_deref(), Some("0000:06:00.0"));

    simulated.becomes(&json!({"calls": {"nvmlDeviceGetCount_v2": {"return": 1}}}));
    talking.sample(&[Section::Nvlink]).await;
    simulated.becomes(&machine(json!({"remote": "0000:07:00.0"}), ok));
    assert_eq!(remote(&talking.sample(&[Section::Nvlink]).await).as_deref(), Some("0000:07:00.0"));
}

#[tokio::test]
async fn what_an_old_driver_or_an_old_gpu_does_not_have_is_absent_and_no_error() {
    let simulated = Simulated::new(&json!({"model": "T4", "gpus": [{"pci": "0000:18:00.0"}], "missing": [
        "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetGpuFabricInfoV", "nvmlDeviceGetSramEccErrorStatus",
        "nvmlDeviceGetRetiredPages_v2", "nvmlEventSetCreate",
    ]}));
    let mut talking = Talking::with(&simulated).await;
    let sample = talking.sample(Section::ALL).await;
    assert!(sample.view.errors.is_empty(), "{:?}", sample.view.errors);
    let gpu = &sample.gpus[0];
    assert!(gpu.nvlink.as_ref().unwrap().links.is_empty());
    assert!(gpu.clocks.as_ref().unwrap().reasons.is_some());
    assert_eq!(gpu.ecc.as_ref().unwrap().sram_threshold_exceeded, None);
    assert_eq!(gpu.row_remap.as_ref().unwrap().pending, None);
}

#[tokio::test]
async fn the_place_in_the_rack_and_the_units_of_sram_errors_are_read_and_a_placeholder_is_no_serial() {
    let simulated = Simulated::new(&json!({"model": "GB300", "gpus": [
        {"pci": "0000:18:00.0", "serial": "N/A",
            "platform": {"chassis": "1821124190001", "slot": 7, "tray": 3, "host": 1, "peer_type": 1, "module": 2}},
        {"pci": "0000:2a:00.0", "platform": {"chassis": ""}},
    ]}));
    let sample = Talking::with(&simulated).await.sample(&[Section::Driver, Section::Ecc]).await;
    let serials: Vec<_> = sample.view.gpus.iter().map(|gpu| gpu.serial.as_deref()).collect();
    assert_eq!(serials, [None, Some("SIM0000000002")]);
    let platform = |index: usize| sample.gpus[index].driver.as_ref().unwrap().platform.clone().unwrap();
    let place = platform(0);
    assert_eq!(place.chassis_serial.as_deref(), Some("1821124190001"));
    assert_eq!((place.slot, place.tray, place.host, place.peer_type, place.module), (7, 3, 1, 1, 2));
    assert_eq!(platform(1).chassis_serial, None);
    assert!(sample.gpus[0].ecc.as_ref().unwrap().sram_sources.is_some());
}

#[tokio::test]
async fn the_slowdown_counters_are_found_under_both_numbers_that_drivers_gave_them() {
    for driver in ["570.86.15", "590.48.01"] {
        let simulated = Simulated::new(&json!({"driver": driver, "gpus": [{"pci": "0000:18:00.0",
            "clocks": {"sm_mhz": 1980, "memory_mhz": 2619, "video_mhz": 1000, "max_sm_mhz": 1980, "max_memory_mhz": 2619,
                "max_video_mhz": 1500, "sw_thermal_ns": 7, "hw_thermal_ns": 8, "power_brake_ns": 9}}]}));
        let sample = Talking::with(&simulated).await.sample(&[Section::Clocks]).await;
        let clocks = sample.gpus[0].clocks.as_ref().unwrap();
        let times = (clocks.sw_thermal_ns, clocks.hw_thermal_ns, clocks.power_brake_ns);
        assert_eq!(times, (Some(7), Some(8), Some(9)), "{driver}");
    }
}

#[tokio::test]
async fn a_lost_gpu_is_an_error_of_its_own_with_its_address_and_hides_no_other() {
    let healthy = json!({"gpus": [{"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0"}, {"pci": "0000:3a:00.0"}]});
    let simulated = Simulated::new(&healthy);
    let mut talking = Talking::with(&simulated).await;
    assert!(talking.sample(&[]).await.view.errors.is_empty());
    simulated.becomes(&json!({"gpus": [
        {"pci": "0000:18:00.0"},
        {"pci": "0000:2a:00.0", "fault": {"return": 15}},
        {"pci": "0000:3a:00.0", "calls": {"nvmlDeviceGetUUID": {"return": 16}, "nvmlDeviceGetSerial": {"return": 3}}},
    ]}));
    let sample = talking.sample(&[Section::Power]).await;
    assert_eq!(sample.view.status, "Ok");
    assert_eq!(sample.view.gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!((sample.view.gpus[1].uuid.as_deref(), sample.view.gpus[1].serial.as_deref()), (None, None));
    // The library no longer reports the address of a lost GPU; the sampler remembers it.
    assert_eq!(
        kinds(&sample),
        [
            (Some(1), Some("0000:2a:00.0"), "DeviceGetHandleByIndex", "GpuLost"),
            (Some(2), Some("0000:3a:00.0"), "DeviceGetUUID", "ResetRequired"),
        ]
    );
    assert!(sample.gpus.iter().all(|gpu| gpu.power.as_ref().unwrap().draw_milliwatts.is_some()));
    assert_eq!(sample.device_access, Some(DeviceAccess::Absent));
    simulated.becomes(&healthy);
    assert!(talking.sample(&[]).await.view.errors.is_empty());
}

#[tokio::test]
async fn a_gpu_that_falls_off_in_the_middle_is_asked_no_further() {
    let simulated = Simulated::new(&json!({"gpus": [
        {"pci": "0000:18:00.0", "calls": {"nvmlDeviceGetPowerUsage": {"return": 15}}}, {"pci": "0000:2a:00.0"},
    ]}));
    let sample = Talking::with(&simulated).await.sample(&[Section::Power, Section::Thermal]).await;
    assert_eq!(kinds(&sample), [(Some(0), Some("0000:18:00.0"), "DeviceGetPowerUsage", "GpuLost")]);
    assert_eq!(sample.gpus[0].power.as_ref().unwrap().limit_milliwatts, None);
    assert!(sample.gpus[0].thermal.is_none() && sample.gpus[1].thermal.is_some());
}

#[tokio::test]
async fn holes_in_the_numbering_hide_no_gpu_behind_them() {
    let simulated = Simulated::new(&json!({"gpus": [
        {"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0", "hole": true}, {"pci": "0000:3a:00.0", "hole": true},
        {"pci": "0000:5d:00.0"},
    ]}));
    let sample = Talking::with(&simulated).await.sample(&[]).await;
    assert_eq!(sample.view.count, Some(2));
    let seen: Vec<_> = sample.view.gpus.iter().map(|gpu| (gpu.index, gpu.pci.as_deref().unwrap())).collect();
    assert_eq!(seen, [(0, "0000:18:00.0"), (3, "0000:5d:00.0")]);
    assert_eq!(sample.view.errors.iter().map(|error| error.index).collect::<Vec<_>>(), [Some(1), Some(2)]);
}

#[tokio::test]
async fn two_gpus_with_one_uuid_are_two_gpus() {
    let simulated = Simulated::new(&json!({"gpus": [
        {"pci": "0000:18:00.0", "uuid": "GPU-same"}, {"pci": "0000:2a:00.0", "uuid": "GPU-same"},
    ]}));
    let sample = Talking::with(&simulated).await.sample(&[Section::Power]).await;
    assert_eq!(sample.gpus.iter().map(|gpu| gpu.pci.as_str()).collect::<Vec<_>>(), ["0000:18:00.0", "0000:2a:00.0"]);
}

#[tokio::test]
async fn sixty_four_gpus_fit_into_one_line() {
    let gpus: Vec<_> = (0..64).map(|bus| json!({"pci": format!("0000:{bus:02x}:00.0")})).collect();
    let simulated = Simulated::new(&json!({"gpus": gpus}));
    let sample = Talking::with(&simulated).await.sample(Section::ALL).await;
    assert_eq!((sample.view.gpus.len(), sample.gpus.len()), (64, 64));
    assert!(sample.gpus.iter().all(|gpu| gpu.power.is_some()));
}

#[tokio::test]
async fn garbage_from_a_driver_is_passed_on_as_text_and_crashes_no_process() {
    let simulated =
        Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0", "fault": "garbage"}, {"pci": "0000:2a:00.0"}]}));
    let mut talking = Talking::with(&simulated).await;
    let sample = talking.sample(Section::ALL).await;
    assert_eq!(sample.view.gpus.len(), 2);
    let texts = [&sample.view.gpus[0].uuid, &sample.view.gpus[0].name, &sample.view.gpus[0].pci];
    assert!(texts.into_iter().flatten().all(|text| text.chars().count() <= 96), "{:?}", sample.view.gpus[0]);
    assert!(sample.gpus.iter().any(|gpu| gpu.pci == "0000:2a:00.0" && gpu.power.is_some()));
    simulated.becomes(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    assert!(talking.sample(Section::ALL).await.view.errors.is_empty());
}

#[tokio::test]
async fn a_number_of_all_ones_and_a_flag_that_is_neither_are_not_read() {
    let calls: serde_json::Map<_, _> = [
        "nvmlDeviceGetTotalEccErrors",
        "nvmlDeviceGetSramEccErrorStatus",
        "nvmlDeviceGetRemappedRows",
        "nvmlDeviceGetCurrPcieLinkWidth",
        "nvmlDeviceGetPcieReplayCounter",
        "nvmlDeviceGetNvLinkErrorCounter",
        "nvmlDeviceGetPersistenceMode",
    ]
    .map(|call| (call.to_owned(), json!("garbage")))
    .into_iter()
    .collect();
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0", "calls": calls}]}));
    let sample = Talking::with(&simulated).await.sample(Section::ALL).await;
    let gpu = &sample.gpus[0];
    let (ecc, remap, pcie) = (gpu.ecc.as_ref().unwrap(), gpu.row_remap.as_ref().unwrap(), gpu.pcie.as_ref().unwrap());
    assert_eq!((ecc.volatile_corrected, ecc.sram_threshold_exceeded), (None, None));
    assert_eq!((remap.uncorrectable, remap.pending, remap.failure), (None, None, None));
    assert_eq!((pcie.width, pcie.replays), (None, None));
    assert_eq!(gpu.driver.as_ref().unwrap().persistence, None);
    assert!(gpu.nvlink.as_ref().unwrap().links.iter().all(|link| link.crc_data.is_none()));
}

#[tokio::test]
async fn each_failure_of_the_driver_has_its_own_status_and_a_driver_that_comes_back_is_seen() {
    let simulated = Simulated::new(&json!({"gpus": []}));
    let mut talking = Talking::with(&simulated).await;
    for (code, status) in [
        (9, "DriverNotLoaded"),
        (18, "LibRmVersionMismatch"),
        (4, "NoPermission"),
        (999, "Unknown"),
        (4242, "Unknown(4242)"),
    ] {
        // A library that has answered is reloaded only when it fails.
        simulated.becomes(&json!({"calls": {"nvmlDeviceGetCount_v2": {"return": 1}, "nvmlInit_v2": {"return": code}}}));
        talking.sample(&[]).await;
        let sample = talking.sample(&[]).await;
        assert_eq!((sample.view.status.as_str(), sample.view.count, sample.gpus.len()), (status, None, 0));
        assert!(sample.view.message.is_some() && sample.device_access.is_some());
    }
    simulated.becomes(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    let sample = talking.sample(&[]).await;
    assert_eq!((sample.view.status.as_str(), sample.view.gpus.len()), ("Ok", 1));
    simulated.becomes(&json!({"calls": {"nvmlDeviceGetCount_v2": {"return": 15}}}));
    assert_eq!(talking.sample(&[]).await.view.status, "GpuLost");
}

#[tokio::test]
async fn a_library_that_is_not_there_is_an_answer_too() {
    let mut talking = Talking::start(Path::new("/nonexistent/libnvidia-ml.so.1"), None).await;
    for _ in 0..2 {
        let sample = talking.sample(Section::ALL).await;
        assert_eq!(
            (sample.view.status.as_str(), sample.device_access),
            ("LibraryNotFound", Some(DeviceAccess::Absent))
        );
        assert!(sample.view.message.unwrap().contains("/nonexistent/libnvidia-ml.so.1"));
    }
}

#[tokio::test]
async fn an_event_of_the_driver_is_reported_without_being_asked() {
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0"}]}));
    let mut talking = Talking::with(&simulated).await;
    talking.sample(&[]).await;
    simulated.becomes(&json!({
        "gpus": [{"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0"}],
        "events": [{"seq": 1, "pci": "0000:2a:00.0", "bits": 8, "data": 79}],
    }));
    let Said::Event(event) = talking.said().await else { panic!("no event") };
    assert_eq!((event.pci.as_deref(), event.bits, event.xid), (Some("0000:2a:00.0"), 8, Some(79)));
}

#[tokio::test]
async fn garbage_in_every_answer_at_once_crashes_no_process() {
    let gpus = json!([{"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0"}]);
    let simulated =
        Simulated::new(&json!({"gpus": gpus, "calls": {"nvmlDevice*": "garbage", "nvmlSystem*": "garbage"}}));
    let mut talking = Talking::with(&simulated).await;
    assert!(talking.sample(Section::ALL).await.view.gpus.len() <= 64);
    simulated.becomes(&json!({"gpus": gpus}));
    assert_eq!(talking.sample(Section::ALL).await.view.gpus.len(), 2);
}

#[test]
fn the_end_of_stdin_ends_it_and_what_is_no_question_is_a_fault() {
    let run = |input: &str| {
        let mut child = Command::new(AGENT)
            .args(["probe", "sampler", "--nvml-library=/nonexistent.so"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(""), (Some(0), String::new()));
    let (code, stderr) = run("hello\n");
    assert!(code == Some(1) && stderr.contains("expected value"), "{code:?}: {stderr}");
    let (code, _) = run(&"x".repeat(100_000));
    assert_eq!(code, Some(1));
}
