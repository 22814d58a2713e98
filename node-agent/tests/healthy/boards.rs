//! Boards that move, come and go; cards that are no accelerators; virtual functions; NVLink domains.

use super::machine::{Driver, Machine};
use super::models::H100;
use super::scenes::{Scene, declared};
use super::world::{HOUR, MINUTE, World};

/// The scenes of this file.
pub(crate) static SCENES: &[Scene] = &[
    Scene { name: "boards that change slots", begin: h100, round: moved_boards, hours: 24 },
    Scene { name: "boards that are plugged in and out", begin: spare_board, round: hot_plug, hours: 24 },
    Scene { name: "a display card next to the boards", begin: display_card, round: driver_reload, hours: 12 },
    Scene { name: "virtual functions that come and go", begin: h100, round: virtual_functions, hours: 12 },
    Scene { name: "an NVLink domain that is set up anew", begin: in_domain, round: new_domain, hours: 12 },
];

fn h100(interval: i64) -> World {
    World::boot(Machine::new(H100, 8, "M"), interval, declared(H100, 8, 2))
}

/// A node with a board more than its profile declares.
fn spare_board(interval: i64) -> World {
    World::boot(Machine::new(H100, 9, "P"), interval, declared(H100, 8, 2))
}

fn display_card(interval: i64) -> World {
    let mut machine = Machine::new(H100, 8, "C");
    machine.display_card = true;
    World::boot(machine, interval, declared(H100, 8, 2))
}

fn in_domain(interval: i64) -> World {
    let mut machine = Machine::new(H100, 8, "D");
    machine.domain = Some(("5c1f0d7a2b3e4f60817293a4b5c6d7e8", 7));
    World::boot(machine, interval, declared(H100, 8, 2))
}

fn pick(chance: u64, count: usize) -> usize {
    usize::try_from(chance % 1_000).unwrap_or(0) % count
}

/// Two boards change places while the node is off, and one is put into a slot that was empty; before that, a program had
/// trouble on one of them.
fn moved_boards(world: &mut World, chance: u64) {
    let (one, other) = (pick(chance, 8), pick(chance / 7, 8));
    let address = Machine::of_slot(world.machine.slots[one]);
    let address = address.trim_end_matches(".0");
    world.kernel_says(&format!("NVRM: Xid (PCI:{address}): 43, pid=1818990, name=python3, Ch 00000008"));
    world.pass(12 * HOUR);
    world.machine.slots.swap(one, other);
    let free = (0..16).find(|slot| !world.machine.slots.contains(slot)).unwrap_or(8);
    world.machine.slots[pick(chance / 49, 8)] = free;
    world.reboot();
    world.pass(12 * HOUR);
}

/// A board that nobody needs is taken out while the node runs, and comes back in another slot.
fn hot_plug(world: &mut World, chance: u64) {
    let at = pick(chance, 9);
    let board = world.machine.boards.remove(at);
    let slot = world.machine.slots.remove(at);
    world.pass(10 * HOUR);
    world.machine.boards.push(board);
    world.machine.slots.push(if slot < 10 { slot + 5 } else { slot - 5 });
    if world.machine.slots[..8].contains(&world.machine.slots[8]) {
        world.machine.slots[8] = slot;
    }
    world.pass(14 * HOUR);
}

/// The driver is reloaded: for a while nothing tells the display card from the boards.
fn driver_reload(world: &mut World, _: u64) {
    world.pass(5 * HOUR);
    world.maintenance(Some("driver-upgrade"));
    world.machine.driver = Driver::NotLoaded;
    world.pass(10 * MINUTE);
    world.machine.driver = Driver::Answers;
    world.pass(2 * MINUTE);
    world.maintenance(None);
    world.pass(7 * HOUR - 12 * MINUTE);
}

fn virtual_functions(world: &mut World, chance: u64) {
    world.machine.virtual_ports = u32::try_from(chance % 40).unwrap_or(0);
    world.pass(6 * HOUR);
    world.machine.virtual_ports = 0;
    world.pass(6 * HOUR);
}

/// The fabric manager divides its GPUs otherwise: each GPU has its new clique at once.
fn new_domain(world: &mut World, chance: u64) {
    world.pass(6 * HOUR);
    world.machine.domain = Some(("5c1f0d7a2b3e4f60817293a4b5c6d7e8", u32::try_from(chance % 5).unwrap_or(0)));
    world.pass(6 * HOUR);
}
