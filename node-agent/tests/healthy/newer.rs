//! Machines of newer GPUs and drivers, and what happens to them.

use super::machine::Machine;
use super::models::{B200, GB200, GB300, H200};
use super::scenes::{all, boot, declared, driver_upgrade, work_and_rest};
use super::world::{HOUR, World};

pub(super) fn h200(interval: i64) -> World {
    World::boot(Machine::new(H200, 8, "W"), interval, declared(H200, 8, 2))
}

/// The NVLink domain of the trays.
const RACK: Option<(&str, u32)> = Some(("51015d00000000000000000000000001", 32_766));

pub(super) fn b200(interval: i64) -> World {
    let mut machine = Machine::new(B200, 8, "B");
    machine.links_sleep = true;
    World::boot(machine, interval, declared(B200, 8, 2))
}

pub(super) fn tray(interval: i64) -> World {
    let mut machine = Machine::new(GB200, 4, "G");
    (machine.is_tray, machine.domain) = (true, RACK);
    World::boot(machine, interval, declared(GB200, 4, 2))
}

pub(super) fn new_tray(interval: i64) -> World {
    let mut machine = Machine::new(GB300, 4, "K");
    (machine.is_tray, machine.links_sleep, machine.is_new_driver) = (true, true, true);
    machine.domain = RACK;
    machine.version = "620.12.01".into();
    World::boot(machine, interval, declared(GB300, 4, 2))
}

/// Work and rest; meanwhile the links correct errors all the time, as they do.
pub(super) fn sleep_and_noise(world: &mut World, chance: u64) {
    for board in &mut world.machine.boards {
        board.symbol_errors += 1_000_000 + chance % 1_000_000;
    }
    work_and_rest(world, chance);
}

/// Tenants come and go: between them the GPUs belong to no partition, and their links carry no traffic.
pub(super) fn partitions(world: &mut World, chance: u64) {
    world.machine.has_partition = false;
    world.pass(HOUR + chance % (8 * HOUR));
    world.machine.has_partition = true;
    all(world, true);
    world.pass(23 * HOUR - chance % (8 * HOUR));
    all(world, false);
}

/// The uptime begins anew, and nothing was wrong before.
pub(super) fn reboots_and_upgrades(world: &mut World, chance: u64) {
    boot(world, chance);
    driver_upgrade(world, chance);
    world.machine.version = "620.12.01".into();
}

/// A fabric manager that sets up a partition for each tenant: until then the GPUs are in progress.
pub(super) fn no_active_partition(world: &mut World, chance: u64) {
    world.machine.fabric_ready = false;
    world.pass(HOUR + chance % (12 * HOUR));
    world.machine.fabric_ready = true;
    world.pass(23 * HOUR - chance % (12 * HOUR));
}
