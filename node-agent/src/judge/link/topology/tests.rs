use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Sample, Scene, Table, address, h200, sample};
use crate::readings::inventory::{Accelerator, ConfigSpace, Vendor};

const DGX: &str = "NVIDIA/DCGM issue 149: topo -m of a DGX A100, pairs of GPUs below one switch complex, SYS else";
const SXM4: &str = "NVIDIA/nccl issue 1617: four H100, each on its own NUMA node, SYS to all";
const NOTHING: &str = "NVIDIA/go-dcgm issue 46: N/A for every pair of four healthy GPUs";

pub(crate) static TABLE: Table = Table { page: &PAGE, judge, samples: SAMPLES };

#[rustfmt::skip]
static SAMPLES: &[Sample] = &[
    sample(reason::TOPOLOGY_INCOMPLETE, Fires, Derived, DGX, || dgx().later(600, cut(0)).later(600, |_| {})),
    sample(reason::TOPOLOGY_INCOMPLETE, NearMiss, Recorded, NOTHING, || Scene::of(h200(4)).later(600, |sample| sample.gpus.iter_mut().for_each(no_pairs)).later(600, |_| {})),
    sample(reason::TOPOLOGY_INCOMPLETE, NearMiss, Invented, "once only", || dgx().later(600, cut(0))),
    sample(reason::TOPOLOGY_INCOMPLETE, NearMiss, Invented, "two are cut off: the library does not tell", || dgx().later(600, |sample| { cut(0)(sample); cut(1)(sample); }).later(600, |_| {})),
    sample(reason::TOPOLOGY_INCOMPLETE, NearMiss, Derived, DGX, || dgx().later(600, |_| {})),
    sample(reason::TOPOLOGY_INCOMPLETE, Lifts, Derived, DGX, || settled(dgx().later(600, cut(0)).later(600, |_| {})).later(600, |sample| *sample = dgx().sample)),
    sample(reason::TOPOLOGY_DIFFERS, Fires, Derived, "the four H100 of NVIDIA/nccl issue 1617 and four more, one in another's slot", || Scene::of(h200(8)).later(600, |sample| level(&mut sample.gpus[0], 40))),
    sample(reason::TOPOLOGY_DIFFERS, Fires, Invented, "one more bridge above one of eight", || Scene::of(h200(8)).tree(tree(|index| if index == 3 { 5 } else { 4 }))),
    sample(reason::TOPOLOGY_DIFFERS, NearMiss, Derived, DGX, dgx),
    sample(reason::TOPOLOGY_DIFFERS, NearMiss, Recorded, SXM4, || Scene::of(h200(4)).later(600, |_| {})),
    sample(reason::TOPOLOGY_DIFFERS, NearMiss, Invented, "one of four: a board may carry three and one", || Scene::of(h200(4)).later(600, |sample| level(&mut sample.gpus[0], 40))),
    sample(reason::TOPOLOGY_DIFFERS, NearMiss, Invented, "two halves of a board", || Scene::of(h200(8)).tree(tree(|index| if index < 4 { 5 } else { 4 }))),
    sample(reason::TOPOLOGY_DIFFERS, Lifts, Invented, "moved back", || settled(Scene::of(h200(8)).tree(tree(|index| if index == 3 { 5 } else { 4 }))).then(|_| {}).tree(tree(|_| 4))),
];

/// Eight GPUs in pairs, as a DGX A100 has them.
fn dgx() -> Scene {
    let mut sample = h200(8);
    for (index, gpu) in (0..).zip(&mut sample.gpus) {
        let partner = address(index ^ 1);
        for (other, level) in &mut gpu.topology.get_or_insert_default().ancestors {
            *level = if *other == partner { 20 } else { 50 };
        }
    }
    Scene::of(sample)
}

fn settled(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge)
}

fn no_pairs(gpu: &mut GpuReadings) {
    gpu.topology.get_or_insert_default().ancestors.clear();
}

fn level(gpu: &mut GpuReadings, to: u32) {
    gpu.topology.get_or_insert_default().ancestors.iter_mut().for_each(|(_, level)| *level = to);
}

/// The library reports no pair with this GPU.
fn cut(index: u32) -> impl Fn(&mut crate::readings::Sample) {
    move |sample| {
        for gpu in &mut sample.gpus {
            let is_it = gpu.pci == address(index);
            gpu.topology.get_or_insert_default().ancestors.retain(|(other, _)| !is_it && *other != address(index));
        }
    }
}

/// Eight accelerators, each below this many bridges.
fn tree(bridges: impl Fn(u32) -> usize) -> TreeReport {
    let gpu = |index| Accelerator {
        address: address(index),
        vendor: Vendor::Nvidia,
        device: 0x2335,
        class: 0x0302,
        numa_node: Some(0),
        driver: Some("nvidia".to_owned()),
        slot: None,
        config_space: ConfigSpace::Answers,
    };
    let above = |index| (address(index), vec!["0000:00:01.0".to_owned(); bridges(index)]);
    TreeReport { pci: (0..8).map(gpu).collect(), bridges: (0..8).map(above).collect(), ..TreeReport::default() }
}

#[test]
fn every_row_has_samples_that_fire_that_almost_do_and_that_lift() {
    TABLE.prove();
}

#[test]
fn a_gpu_that_is_cut_off_is_the_only_one_that_is_covered_until_the_others_have_all_their_pairs() {
    let scene = dgx().later(600, cut(0)).later(600, |_| {});
    let judged = scene.judge(judge);
    assert_eq!(judged.covered, [GPU]);
    assert_eq!(scene.found(judge), [(GPU.to_owned(), reason::TOPOLOGY_INCOMPLETE.to_owned())]);
}

#[test]
fn accelerators_without_a_driver_library_are_compared_by_the_tree() {
    let mut scene = Scene::of(h200(0)).tree(tree(|index| if index == 3 { 5 } else { 4 }));
    scene.readings.view = scene
        .readings
        .view
        .map(|view| crate::readings::inventory::NvmlView { status: "LibraryNotFound".to_owned(), ..view });
    if let Some((tree, _)) = &mut scene.readings.tree {
        tree.pci.iter_mut().for_each(|gpu| gpu.vendor = Vendor::Amd);
    }
    assert_eq!(scene.found(judge), [(address(3), reason::TOPOLOGY_DIFFERS.to_owned())]);
}

#[test]
fn one_gpu_has_no_topology() {
    assert_eq!(Scene::of(h200(1)).judge(judge).reason.as_deref(), Some(reason::NOT_APPLICABLE));
}
