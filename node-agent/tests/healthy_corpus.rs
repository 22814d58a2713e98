//! The healthy corpus: in over a million hours of simulated healthy nodes, no finding takes a node out of use.
//!
//! The real core (`step` and `judge`) runs; only the machine is simulated. Most nodes are sampled twice a day, some every
//! hour or ten minutes, some at the default interval of a minute, so that the whole ends in minutes. An ordinary run
//! simulates as many lives as fit into its share of time, but at least one of each kind: more than a hundred thousand
//! hours. `cargo xtask explore` simulates all of them. The last line says how many hours were simulated, and how.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod healthy;

use explore::Share;
use healthy::boards;
use healthy::scenes::{self, Scene};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Instant;

/// Interval in seconds, and the hours simulated with it over all scenes.
const LIVES: &[(i64, u64)] = &[(60, 800), (600, 6_000), (3_600, 40_000), (43_200, 955_000)];
/// The hours of a scene at one interval are divided among this many lives, each of a node of its own ...
const LIVES_OF_A_KIND: u64 = 10;
/// ... unless their lives would be shorter than this.
const SHORTEST_LIFE: u64 = 24;
/// The time that this test may take, in shares of an ordinary property; see the crate `explore`.
const SHARES: u32 = 5;
/// Hours that are simulated even on the slowest machine.
const LEAST_HOURS: u64 = 100_000;
/// Scenes of several nodes at the same time: each of them gets a life.
const NODES: &[(&str, u64)] = &[("driver upgrade (ten nodes)", 10)];

/// The warnings that a scene may raise, and why. It may raise no others.
const WORTH_A_LOOK: &[(&str, &str)] = &[
    // Faults of programs are reported so that people can see why a job ended; no node is taken out of use.
    ("application Xids", "xid EngineException"),
    ("boards that change slots", "xid ChannelResetVerification"),
    // PCI and the driver are read one after the other, and a board comes in between: for one reading they differ.
    ("boards that are plugged in and out", "inventory NotInDriver"),
    ("boards that are plugged in and out", "inventory NotOnPci"),
    ("boards that are plugged in and out", "topology TopologyDiffers"),
    // Nobody can tell whether these faults of months ago were cured: no reset left a line, and the driver has no
    // recovery action to report.
    ("first install, driver before R565", "xid FallenOffTheBus"),
    // The driver reads the GPUs all the same.
    ("noise of the kernel", "kernelLog GspSilent"),
    ("noise of the kernel", "kernelLog TasksStuck"),
    ("noise of the kernel", "kernelLog AdapterInitFailed"),
    ("noise of the kernel", "kernelLog PcieLoss"),
    // The administrator has begun an upgrade that a reboot completes.
    ("driver upgrade that waits for a reboot", "driver LibRmVersionMismatch"),
    // A setting of the fabric that a tenant's job would notice.
    ("GB200 tray, partitions", "fabric FabricNoPartition"),
];

/// Every scene.
fn all_scenes() -> impl Iterator<Item = &'static Scene> {
    scenes::SCENES.iter().chain(boards::SCENES)
}

/// A small generator (splitmix64): the same numbers in every run.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One node in one scene.
#[derive(Clone, Copy)]
struct Life {
    scene: &'static Scene,
    interval: i64,
    hours: u64,
    number: u64,
}

/// The result of one life, or of many.
#[derive(Debug, Default)]
struct Lived {
    hours: u64,
    steps: u64,
    condemned: BTreeSet<String>,
    warned: BTreeSet<String>,
}

impl Life {
    fn live(self) -> Lived {
        let mut world = (self.scene.begin)(self.interval);
        let mut seed = self.scene.hours ^ self.interval.unsigned_abs() ^ (self.number << 32);
        let mut hours = 0;
        while hours < self.hours && world.condemned.is_empty() {
            (self.scene.round)(&mut world, next(&mut seed));
            hours += self.scene.hours;
        }
        let Self { scene, interval, .. } = self;
        let named = |what: &String| format!("{}, life {}, sampled every {interval} s: {what}", scene.name, self.number);
        let (condemned, warned) = (world.condemned.iter().map(named).collect(), world.warned);
        Lived { hours, steps: world.steps, condemned, warned }
    }
}

impl Lived {
    fn add(&mut self, other: Self) {
        let Self { hours, steps, condemned, warned } = other;
        self.hours += hours;
        self.steps += steps;
        self.condemned.extend(condemned);
        self.warned.extend(warned);
    }
}

/// All lives, each with its turn: a turn has one life of each kind.
fn lives() -> Vec<(u64, Life)> {
    let nodes = |scene: &Scene| NODES.iter().find(|(name, _)| *name == scene.name).map_or(1, |(_, nodes)| *nodes);
    let mut lives = Vec::new();
    for (interval, all) in LIVES {
        for scene in all_scenes() {
            let hours = all.div_ceil(all_scenes().count() as u64);
            let of_each = hours.div_ceil(LIVES_OF_A_KIND).max(SHORTEST_LIFE);
            // Nodes that live at the same time share the hours of one life.
            let (of_each, nodes) = (of_each.div_ceil(nodes(scene)), nodes(scene));
            let numbers = 0..hours.div_ceil(of_each * nodes) * nodes;
            let turn = move |number: u64| number / nodes;
            lives.extend(
                numbers.map(|number| (turn(number), Life { scene, interval: *interval, hours: of_each, number })),
            );
        }
    }
    // By turns: the first lives of all kinds, then the second ones, and so on.
    lives.sort_by_key(|(turn, _)| *turn);
    lives
}

fn is_expected(scene: &str, warned: &str) -> bool {
    WORTH_A_LOOK.contains(&(scene, warned))
}

#[test]
fn healthy_nodes_are_never_taken_out_of_use() {
    let (began, share) = (Instant::now(), Share::begin_long(SHARES));
    let corpus = lives();
    let (enough, of_first_turn) = (corpus.len() as u64, corpus.iter().filter(|(turn, _)| *turn == 0).count() as u64);
    let waiting = Mutex::new(corpus.into_iter().zip(0_u64..));
    let lived: Mutex<Vec<(Life, Lived)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(((_, life), done)) = { waiting.lock().unwrap().next() } {
                    if !share.goes_on(done, of_first_turn, enough) {
                        break;
                    }
                    let of_life = life.live();
                    lived.lock().unwrap().push((life, of_life));
                }
            });
        }
    });
    let (mut all, mut unexpected) = (Lived::default(), BTreeSet::new());
    let lived = lived.into_inner().unwrap();
    let mut by_interval: Vec<(i64, u64)> = LIVES.iter().map(|(interval, _)| (*interval, 0)).collect();
    let mut of_scenes: Vec<(&str, Lived)> = all_scenes().map(|scene| (scene.name, Lived::default())).collect();
    for (life, of_life) in lived {
        let at = by_interval.iter_mut().find(|(interval, _)| *interval == life.interval).unwrap();
        at.1 += of_life.hours;
        let odd = of_life.warned.iter().filter(|warned| !is_expected(life.scene.name, warned));
        unexpected.extend(odd.map(|warned| format!("{}, every {} s: {warned}", life.scene.name, life.interval)));
        of_scenes.iter_mut().find(|(name, _)| *name == life.scene.name).unwrap().1.add(of_life);
    }
    for (name, of_scene) in of_scenes {
        let Lived { hours, steps, condemned, warned } = &of_scene;
        println!("{name:<40} {hours:>7} h {steps:>8} steps, {} condemn, worth a look: {warned:?}", condemned.len());
        all.add(of_scene);
    }
    let intervals: Vec<String> =
        by_interval.iter().map(|(interval, hours)| format!("{hours} h every {interval} s")).collect();
    println!(
        "{} simulated node-hours ({}) in {} steps and {} s: {} condemning findings",
        all.hours,
        intervals.join(", "),
        all.steps,
        began.elapsed().as_secs(),
        all.condemned.len()
    );
    assert!(all.condemned.is_empty(), "{:#?}", all.condemned);
    assert!(unexpected.is_empty(), "unexpected warnings: {unexpected:#?}");
    assert!(all.hours >= LEAST_HOURS);
}
