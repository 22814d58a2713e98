//! What happens to healthy nodes, scene by scene.

use super::machine::{Driver, Machine};
use super::models::{A100_PCIE, H100, L4, Model, T4};
use super::newer;
use super::noise::noise;
use super::world::{HOUR, MINUTE, World};
use crds::node_hardware_profile::{ExpectedGpus, ExpectedNetwork, ExpectedPcie, ExpectedPort};
use crds::node_health::{Expected, NodeHealthSpec};

/// A scene: its name, how it begins, and what happens in one round; `chance` is another random number in each round.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) begin: fn(interval: i64) -> World,
    pub(crate) round: fn(&mut World, chance: u64),
    /// Hours of one round.
    pub(crate) hours: u64,
}

pub(crate) static SCENES: &[Scene] = &[
    Scene { name: "work and rest", begin: h100, round: work_and_rest, hours: 24 },
    Scene { name: "idle clocks", begin: h100, round: |world, _| world.pass(24 * HOUR), hours: 24 },
    Scene { name: "boot", begin: h100, round: boot, hours: 12 },
    Scene { name: "slow first boot", begin: slow_first_boot, round: slow_boot, hours: 12 },
    Scene { name: "driver upgrade (ten nodes)", begin: h100, round: driver_upgrade, hours: 24 },
    Scene { name: "x8 slots (L4)", begin: l4, round: work_and_rest, hours: 24 },
    Scene { name: "x8 slot (T4, retired pages)", begin: t4, round: work_and_rest, hours: 24 },
    Scene { name: "PCIe cards without bridge", begin: a100_pcie, round: work_and_rest, hours: 24 },
    Scene { name: "MIG changes", begin: h100, round: mig_changes, hours: 12 },
    Scene { name: "lost device access", begin: h100, round: lost_device_access, hours: 12 },
    Scene { name: "application Xids", begin: h100, round: application_xids, hours: 12 },
    Scene { name: "board swaps", begin: h100, round: board_swap, hours: 48 },
    Scene { name: "agent restarts and clocks that are set", begin: h100, round: restarts, hours: 12 },
    Scene { name: "the clock is set while the node boots", begin: slow_first_boot, round: clock_at_boot, hours: 12 },
    Scene { name: "the odd replay and a port that blinks", begin: h100, round: small_faults, hours: 24 },
    Scene { name: "a driver that is slow to come back", begin: h100, round: silence, hours: 12 },
    Scene { name: "one GPU in a machine", begin: single, round: work_and_rest, hours: 24 },
    Scene { name: "driver upgrade under a running agent", begin: h100, round: upgrade_under_the_agent, hours: 24 },
    Scene { name: "driver upgrade that waits for a reboot", begin: h100, round: upgrade_that_waits, hours: 24 },
    Scene { name: "slow start of the library", begin: slow_start, round: restarts, hours: 12 },
    Scene { name: "a hang that does not repeat", begin: h100, round: one_hang, hours: 24 },
    Scene { name: "passthrough", begin: h100, round: passthrough, hours: 24 },
    Scene { name: "partly visible devices", begin: h100, round: partly_visible, hours: 24 },
    Scene { name: "no accelerator", begin: bare, round: |world, _| world.pass(24 * HOUR), hours: 24 },
    Scene { name: "first install on a long-running node", begin: h100, round: first_install, hours: 12 },
    Scene { name: "first install, driver before R565", begin: h100_before_r565, round: first_install, hours: 12 },
    Scene { name: "tenants that forge lines of the driver", begin: h100, round: forgeries, hours: 12 },
    Scene { name: "H200", begin: newer::h200, round: work_and_rest, hours: 24 },
    Scene { name: "B200, links that sleep", begin: newer::b200, round: newer::sleep_and_noise, hours: 24 },
    Scene { name: "GB200 tray, partitions", begin: newer::tray, round: newer::partitions, hours: 24 },
    Scene { name: "GB300 tray, R620", begin: newer::new_tray, round: newer::sleep_and_noise, hours: 24 },
    Scene {
        name: "GB300 tray, R620, reboots and upgrades",
        begin: newer::new_tray,
        round: newer::reboots_and_upgrades,
        hours: 36,
    },
    Scene { name: "no partition active, no profile", begin: undeclared, round: newer::no_active_partition, hours: 24 },
    Scene { name: "noise of the kernel", begin: h100, round: noise, hours: 12 },
    Scene { name: "no profile", begin: undeclared, round: work_and_rest, hours: 24 },
];

pub(super) fn declared(model: Model, count: i64, ports: usize) -> NodeHealthSpec {
    let pcie = ExpectedPcie { generation: Some(model.generation.into()), width: Some(model.width.into()) };
    let gpus = ExpectedGpus {
        vendor: Some("nvidia".into()),
        count: Some(count),
        models: vec![model.name.into()],
        nvlink_links: (model.links > 0).then_some(model.links.into()),
        pcie: Some(pcie),
        ecc_required: Some(true),
        ..ExpectedGpus::default()
    };
    let network = ExpectedNetwork {
        rdma_devices: i64::try_from(ports).ok(),
        ports: (0..ports).map(|port| ExpectedPort { name: format!("mlx5_{port}/1"), rate_gbps: Some(400) }).collect(),
        ..ExpectedNetwork::default()
    };
    let expected = Expected { gpus: Some(gpus), network: Some(network), ..Expected::default() };
    NodeHealthSpec { expected: Some(expected.into()), ..NodeHealthSpec::default() }
}

fn h100(interval: i64) -> World {
    World::boot(Machine::new(H100, 8, "H"), interval, declared(H100, 8, 2))
}

fn h100_before_r565(interval: i64) -> World {
    let mut machine = Machine::new(H100, 8, "Q");
    machine.reports_recovery = false;
    World::boot(machine, interval, declared(H100, 8, 2))
}

fn l4(interval: i64) -> World {
    World::boot(Machine::new(L4, 8, "L"), interval, declared(L4, 8, 2))
}

fn t4(interval: i64) -> World {
    World::boot(Machine::new(T4, 1, "T"), interval, NodeHealthSpec::default())
}

fn a100_pcie(interval: i64) -> World {
    World::boot(Machine::new(A100_PCIE, 4, "A"), interval, declared(A100_PCIE, 4, 2))
}

fn undeclared(interval: i64) -> World {
    World::boot(Machine::new(H100, 8, "U"), interval, NodeHealthSpec::default())
}

fn single(interval: i64) -> World {
    World::boot(Machine::new(A100_PCIE, 1, "O"), interval, declared(A100_PCIE, 1, 2))
}

fn bare(interval: i64) -> World {
    let mut machine = Machine::new(T4, 0, "N");
    machine.driver = Driver::NotLoaded;
    World::boot(machine, interval, NodeHealthSpec::default())
}

/// Eight GPUs without persistence mode, and a limit of a billion open files.
fn slow_start(interval: i64) -> World {
    let mut world = h100(interval);
    world.start_ms = 30_000;
    world.restart_agent();
    world
}

fn slow_first_boot(interval: i64) -> World {
    let mut machine = Machine::new(H100, 8, "S");
    machine.driver = Driver::NotLoaded;
    machine.fabric_ready = false;
    let mut world = World::boot(machine, interval, declared(H100, 8, 2));
    come_up(&mut world);
    world
}

/// The driver after 5 minutes, the fabric after 9: within the boot grace of 10.
fn come_up(world: &mut World) {
    world.pass(5 * MINUTE);
    world.machine.driver = Driver::Answers;
    world.pass(4 * MINUTE);
    world.machine.fabric_ready = true;
    world.pass(HOUR - 9 * MINUTE);
}

pub(super) fn all(world: &mut World, busy: bool) {
    for board in &mut world.machine.boards {
        board.busy = busy;
    }
}

/// A job takes all GPUs or some; now and then a corrected ECC or AER error, a replay, a short temperature peak.
pub(super) fn work_and_rest(world: &mut World, chance: u64) {
    all(world, true);
    if chance.is_multiple_of(3) {
        world.machine.boards[0].busy = false;
    }
    world.pass(15 * HOUR);
    let gpus = world.machine.boards.len();
    let odd = usize::try_from(chance % 97).unwrap_or(0) % gpus;
    let board = &mut world.machine.boards[odd];
    board.corrected += chance % 2;
    board.replays += chance % 3;
    board.sw_thermal_ns += 20_000_000 * (chance % 5);
    world.machine.aer_correctable += chance % 4;
    world.pass(3 * HOUR);
    all(world, false);
    world.pass(6 * HOUR);
}

pub(super) fn boot(world: &mut World, _: u64) {
    world.reboot();
    world.pass(12 * HOUR);
}

fn slow_boot(world: &mut World, _: u64) {
    world.machine.driver = Driver::NotLoaded;
    world.machine.fabric_ready = false;
    world.reboot();
    come_up(world);
    world.pass(11 * HOUR);
}

/// As the GPU operator does it: announce, unload, change the version, load.
pub(super) fn driver_upgrade(world: &mut World, chance: u64) {
    world.maintenance(Some("driver-upgrade"));
    world.pass(2 * MINUTE);
    world.machine.driver = Driver::Mismatch;
    world.pass(3 * MINUTE);
    world.machine.driver = Driver::NotLoaded;
    world.pass(10 * MINUTE);
    world.machine.version = format!("570.{}.15", 86 + chance % 50);
    world.machine.uptime_s = 0;
    world.machine.driver = Driver::Answers;
    for board in &mut world.machine.boards {
        board.replays = 0;
        board.sw_thermal_ns = 0;
        board.link_replays = 0;
    }
    world.pass(2 * MINUTE);
    world.maintenance(None);
    world.pass(24 * HOUR - 17 * MINUTE);
}

/// Somebody else unloads the old driver and loads the new one, without a word: our container keeps the old library until
/// it is started anew.
fn upgrade_under_the_agent(world: &mut World, chance: u64) {
    world.pass(6 * HOUR);
    let newer = format!("580.{}.06", 65 + chance % 50);
    world.machine.module = Some(newer.clone());
    world.machine.driver = Driver::Mismatch;
    world.pass(HOUR + chance % (5 * HOUR));
    world.machine.version = newer;
    world.machine.module = None;
    world.machine.driver = Driver::Answers;
    world.pass(12 * HOUR - chance % (5 * HOUR));
    world.machine.version = "570.86.15".into();
    world.restart_agent();
    world.pass(5 * HOUR);
}

/// A package update replaces the library on the host; the module stays until the next reboot.
fn upgrade_that_waits(world: &mut World, chance: u64) {
    world.pass(6 * HOUR);
    world.machine.module = Some(world.machine.version.clone());
    world.machine.version = format!("580.{}.06", 65 + chance % 50);
    world.machine.driver = Driver::Mismatch;
    world.pass(12 * HOUR);
    world.machine.module = None;
    world.machine.driver = Driver::Answers;
    world.machine.version = "570.86.15".into();
    world.reboot();
    world.pass(6 * HOUR);
}

/// A call under an error storm of another GPU takes longer than its deadline, once every few hours.
fn one_hang(world: &mut World, chance: u64) {
    const CALLS: [&str; 3] = ["nvmlInit_v2", "nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetFieldValues"];
    for hours in [5, 7, 12] {
        world.hangs = Some(CALLS[usize::try_from(chance % 3).unwrap_or(0)]);
        world.pass(hours * HOUR - 10 * MINUTE);
        // A second sampler makes the call, and it returns.
        world.hangs = None;
        world.pass(10 * MINUTE);
    }
}

/// Some GPUs, and now and then all, are given to virtual machines and taken back.
fn passthrough(world: &mut World, chance: u64) {
    world.pass(4 * HOUR);
    world.machine.elsewhere = if chance.is_multiple_of(3) { 8 } else { usize::try_from(chance % 8).unwrap_or(0) };
    world.machine.driver = if world.machine.elsewhere == 8 { Driver::NotLoaded } else { Driver::Answers };
    if chance.is_multiple_of(2) {
        world.restart_agent();
    }
    world.pass(16 * HOUR);
    world.machine.elsewhere = 0;
    world.machine.driver = Driver::Answers;
    world.restart_agent();
    world.pass(4 * HOUR);
}

/// Our container was given, or keeps, only some of the device nodes.
fn partly_visible(world: &mut World, chance: u64) {
    world.machine.hidden = usize::try_from(chance % 8).unwrap_or(0);
    world.pass(18 * HOUR);
    world.machine.hidden = 0;
    world.pass(6 * HOUR);
}

fn mig_changes(world: &mut World, chance: u64) {
    let count = usize::try_from(chance % 9).unwrap_or(0);
    for (index, board) in world.machine.boards.iter_mut().enumerate() {
        board.mig = index < count;
    }
    world.pass(6 * HOUR);
    for board in &mut world.machine.boards {
        board.mig = false;
    }
    world.pass(6 * HOUR);
}

/// `systemctl daemon-reload` strips containers of their devices; a restart of the pod gives them back.
fn lost_device_access(world: &mut World, _: u64) {
    world.machine.driver = Driver::Refuses;
    world.pass(2 * HOUR);
    world.machine.driver = Driver::Answers;
    world.restart_agent();
    world.pass(10 * HOUR);
}

/// Lines that drivers wrote about faulty programs (gpud PR 46, open-gpu-kernel-modules 1030 and 1150).
fn application_xids(world: &mut World, chance: u64) {
    let gpu = usize::try_from(chance).unwrap_or(0) % world.machine.boards.len();
    let address = world.machine.address(gpu);
    let address = address.trim_end_matches(".0");
    for line in [
        "13, pid='<unknown>', name=<unknown>, Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0): Illegal Instruction Parameter",
        "31, pid=13705, name=UnrealEditor, channel 0x0000000c, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 GPCCLIENT_PROP_0 faulted @ 0x0_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ",
        "43, pid=1818990, name=python3, Ch 00000008",
        "45, pid=1818990, name=python3, Ch 00000001",
        "69, pid=1310987, name=train.3, Class Error: ChId 0008, Class 0000cbc0, Offset 00000184, Data ffffffff, ErrorCode 00000004",
    ] {
        world.kernel_says(&format!("NVRM: Xid (PCI:{address}): {line}"));
        world.pass(20 * MINUTE);
    }
    world.pass(12 * HOUR - 100 * MINUTE);
}

/// A board is replaced by another one, whose counters have other values.
fn board_swap(world: &mut World, chance: u64) {
    let gpu = usize::try_from(chance).unwrap_or(0) % world.machine.boards.len();
    world.pass(24 * HOUR);
    let board = &mut world.machine.boards[gpu];
    board.serial = format!("H-new-{chance}");
    board.corrected = (chance % 7) * 100_000;
    world.reboot();
    world.pass(24 * HOUR);
}

fn restarts(world: &mut World, chance: u64) {
    world.pass(2 * HOUR);
    world.restart_agent();
    world.pass(4 * HOUR);
    let seconds = i64::try_from(chance % 7_200).unwrap_or(0) - 3_600;
    world.clock_jumps(seconds);
    world.pass(6 * HOUR);
}

/// A board clock without battery: years behind until NTP sets it, before the driver is up.
fn clock_at_boot(world: &mut World, chance: u64) {
    world.machine.driver = Driver::NotLoaded;
    world.machine.fabric_ready = false;
    world.reboot();
    world.pass(MINUTE);
    world.clock_jumps(i64::try_from(chance % 100_000_000).unwrap_or(0) - 50_000_000);
    world.pass(4 * MINUTE);
    world.machine.driver = Driver::Answers;
    world.pass(4 * MINUTE);
    world.machine.fabric_ready = true;
    world.pass(12 * HOUR - 9 * MINUTE);
}

/// A link repeats a packet every few hours, a port goes down for a moment every few days, and the agent is updated.
fn small_faults(world: &mut World, chance: u64) {
    all(world, chance.is_multiple_of(2));
    world.pass(5 * HOUR);
    world.machine.boards[3].link_replays += 1;
    world.pass(7 * HOUR);
    world.machine.boards[3].link_replays += chance % 3;
    world.machine.link_downed += u64::from(chance.is_multiple_of(5));
    if chance.is_multiple_of(11) {
        world.restart_agent();
    }
    world.pass(12 * HOUR);
}

/// The library fails for hours (device nodes taken away), and counters have risen meanwhile.
fn silence(world: &mut World, chance: u64) {
    world.machine.driver = Driver::Refuses;
    world.pass(3 * HOUR);
    world.machine.boards[2].link_replays += 1 + chance % 2;
    world.machine.boards[2].replays += 5;
    world.machine.boards[2].corrected += 2;
    world.machine.driver = Driver::Answers;
    world.pass(9 * HOUR);
}

/// Months of history: faults that resets cured long ago, with the line of the driver that says so or without it.
fn first_install(world: &mut World, chance: u64) {
    const DAY: i64 = 86_400;
    let gpu = usize::try_from(chance).unwrap_or(0) % world.machine.boards.len();
    let address = world.machine.address(gpu);
    let address = address.trim_end_matches(".0");
    let xid = |text: &str| format!("NVRM: Xid (PCI:{address}): {text}");
    let mut lines = vec![
        (
            90 * DAY,
            "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024".to_owned(),
        ),
        (
            80 * DAY,
            xid(
                "48, pid='<unknown>', name=<unknown>, An uncorrectable double bit error (DBE) has been detected on GPU",
            ),
        ),
        (
            80 * DAY,
            xid(
                "63, pid='<unknown>', name=<unknown>, Row Remapper: New row (0x0000000018f31d80) marked for remapping, reset gpu to activate.",
            ),
        ),
        (60 * DAY, xid("119, pid=1234, name=nvidia-smi, Timeout after 6s of waiting for RPC response from GPU0 GSP!")),
        (40 * DAY, xid("79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")),
    ];
    if world.machine.reports_recovery {
        lines.push((39 * DAY, xid("154, GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)")));
    }
    lines.push((2 * DAY, xid("95, pid=5171, name=python3, Uncontained: FBHUB. RST: Yes, D-RST: No")));
    world.first_install(&lines);
    world.pass(6 * HOUR);
    world.restart_agent();
    world.pass(6 * HOUR);
}

/// A container executes files whose names hold a fault.
fn forgeries(world: &mut World, chance: u64) {
    let gpu = usize::try_from(chance).unwrap_or(0) % world.machine.boards.len();
    let address = world.machine.address(gpu);
    let address = address.trim_end_matches(".0");
    for text in [
        "79, GPU has fallen off the bus.",
        "48, An uncorrectable double bit error (DBE) has been detected on GPU",
        "154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
        "64, Row Remapper Error: (0x00000002eebc4100) - All reserved rows for bank are remapped",
    ] {
        world.program_forges(&format!("NVRM: Xid (PCI:{address}): {text}"));
        world.pass(HOUR);
    }
    world.program_forges(&format!("NVRM: GPU {address}.0: GPU has fallen off the bus."));
    world.pass(8 * HOUR);
}
