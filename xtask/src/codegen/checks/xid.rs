//! The tables of the page `xid`: the catalogue, and the rules for codes whose severity depends on more than the code.

use super::cell;
use node_agent::judge::xid::{CONSEQUENCES, ECHOES, Kind, MONITOR_SECONDS, Place, ROOTS, SIGNS};
use node_agent::xid::catalogue::{Concern, EVERY_GPU, ROWS, XidRow};
use node_agent::xid::link_down::REASONS;
use node_agent::xid::nvlink5::{Action, By, UNITS, Unit};
use node_agent::xid::recovery::ACTIONS;
use node_agent::xid::repair::TEXTS;
use node_agent::xid::{LINK_SIGNS, NVLINK_PEER_FAULT, XidEvent, nvlink_registers, sxid};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// All tables.
pub(super) fn tables() -> String {
    let mut text = lifting();
    text.push_str(&roots());
    text.push_str(&catalogue());
    text.push_str(&recovery());
    text.push_str(&repairs());
    text.push_str(&registers());
    text.push_str(&decode());
    text.push_str(&link_down());
    text.push_str(&switches());
    text
}

fn lifting() -> String {
    let signs: Vec<String> =
        SIGNS.iter().map(|sign| format!("| {} | {} | {} |", sign.seen, sign.weight, sign.source)).collect();
    let signs = signs.join("\n");
    format!(
        "\n## What lifts a finding\n\n\
         | severity | outcome | lifted by |\n|---|---|---|\n\
         | Monitor | Warn | {MONITOR_SECONDS} s without another occurrence |\n\
         | Reset, Reboot | Fail | a new boot id, or a driver report that no recovery is needed any longer (Xid 154 to None, field 230), or an override with action Acknowledge; never by silence alone |\n\
         | Isolate | Fail | a new boot id, or an override with action Acknowledge |\n\
         | Reset, Reboot | Warn | as above, or a driver report that no recovery is needed, whatever it was before |\n\n\
         A driver before R565 reports no recovery action. There a finding of Reset or Reboot is also lifted once the GPU answers \
         without an uncorrected error and was initialised after the fault: the log says that the kernel module was loaded, or \
         counters of the GPU went back to zero (one of weight 2, or two of weight 1):\n\n\
         | sign | weight | source |\n|---|---|---|\n\
         {signs}\n\n\
         ## Lines that need a second witness\n\n\
         The kernel quotes names that programs choose, and a line feed in such a name begins what looks like a line of the driver. \
         So a line is proven only where it begins a record, or a line known to begin one, with the driver's prefix, at level 4 or \
         more severe. Any other line is the warning XidNotProven at most: it condemns only if the driver's own event, its recovery \
         action, NVML or PCI says the same about that GPU within ten minutes, and it lifts nothing.\n\n\
         Lines that were printed before the agent first ran on this boot are history. A fault among them condemns only if the \
         recovery action, NVML or PCI confirms it; a recovery action of None refutes it; otherwise it is a warning with its age, \
         until a reset, a boot or an override with action Acknowledge. `spec.condemnOldLog: true` in the policy makes it condemn.\n\n\
         ## What to do\n\n\
         | severity | what to do |\n|---|---|\n\
         | Monitor | Leave the node in service. If the code concerns programs, look at the job that was running. If the same board fails for several users, suspect the hardware. |\n\
         | Reset | Drain the node, reset the GPU (`nvidia-smi --gpu-reset`), and test it. If the fault returns on the same board, replace the board; but not for NvLinkPeerFault, which is the fault of the other end, nor where links of several GPUs went down together: look at the fabric. |\n\
         | Reboot | Drain the node, reboot it, and test it. |\n\
         | Isolate | Keep the node out of service and replace the board. |\n"
    )
}

fn roots() -> String {
    let mut text = format!(
        "\n## Roots and echoes\n\n\
         A GPU that is lost makes switches print fatal SXids and other GPUs print Xids. While such a root stands, what it explains \
         carries `causedBy` with the check and target of the root, and is a Warn at Monitor, whichever of the two was printed first; \
         the message says what it would be alone. It marks no node. A root is a finding that condemns by itself: a line that needs \
         a second witness is none, and neither is an echo. An echo is at most {} s from its root ({} s for a link that went down), \
         and ends with it. The same line long after, or after the root has been lifted, is judged by itself; so is an Xid 74 \
         with a sign of ECC, parity or a marginal signal. Faults of memory are never echoes.\n\n\
         | root: check | reason | explains | source |\n|---|---|---|---|\n",
        Kind::Lost.seconds(),
        Kind::LinkDown.seconds()
    );
    let kind = |kind: Kind| match kind {
        Kind::Lost => "a lost GPU",
        Kind::LinkDown => "a link that went down",
    };
    for root in ROOTS {
        let _ = writeln!(
            text,
            "| {} | {} | as {} | {} |",
            root.check.name(),
            root.reason,
            kind(root.kind),
            cell(root.source)
        );
    }
    text.push_str("\n| echo | of | where | why |\n|---|---|---|---|\n");
    for echo in ECHOES {
        let code = match echo.event {
            XidEvent::Xid(code) => format!("Xid {code}"),
            XidEvent::SXid(code) => format!("SXid {code}"),
            XidEvent::FallenOffTheBus => "GPU has fallen off the bus".to_owned(),
        };
        let reasons = if echo.reasons.is_empty() { String::new() } else { format!(" ({})", echo.reasons.join(", ")) };
        let place = match echo.place {
            Place::Anywhere => "any GPU",
            Place::Elsewhere => "another GPU or a switch",
        };
        let _ = writeln!(text, "| {code}{reasons} | {} | {place} | {} |", kind(echo.kind), cell(echo.why));
    }
    text.push_str(
        "\nOne GPU has one finding. Of two codes of the same incident it names the root, in whatever order they are printed:\n\n\
         | root | consequence | source |\n|---|---|---|\n",
    );
    for (root, code, source) in CONSEQUENCES {
        let _ = writeln!(text, "| Xid {root} | Xid {code} | {} |", cell(source));
    }
    text.push_str(
        "\nAn Xid 45 may end with `caused by previous Xid N`. Where the row of N alone condemns, N is judged by its row even if its own \
         line is missing; that line, if it was read within ten minutes, decides. 74, 144 to 150 and 154 need the detail of their own \
         line: there the Xid 45 only names them.\n",
    );
    text
}

fn catalogue() -> String {
    let mut text = "\n## Xid\n\n\
         Codes, meanings and NVIDIA's actions: NVIDIA's Xid catalogue (docs.nvidia.com/deploy/xid-errors); 173 to 182 from\n\
         open-gpu-kernel-modules 615.71.09. Severities are ours; the note says where and why they differ from other published\n\
         mappings. A code that is not listed is UnknownXid at Monitor. The column of GPUs is NVIDIA's and for information only: no\n\
         severity depends on it.\n\n\
         | Xid | meaning | GPUs | concerns | severity | reason | NVIDIA: at once | NVIDIA: then | note |\n|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut rows: Vec<&XidRow> = ROWS.iter().collect();
    rows.sort_by_key(|row| row.reason == "UnusedXid");
    for row in rows {
        let concern = match row.concern {
            Concern::Application => "the program",
            Concern::Software => "driver or firmware",
            Concern::Hardware => "hardware",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {concern} | {} | {} | {} | {} | {} |",
            codes(row.codes),
            cell(row.meaning),
            if row.applies == EVERY_GPU { "all".to_owned() } else { row.applies.join(", ") },
            row.severity,
            row.reason,
            cell(row.immediate),
            cell(row.investigate),
            cell(row.note)
        );
    }
    text
}

fn recovery() -> String {
    let mut text = "\n## Xid 154: the recovery action\n\n\
         | value | the driver's name | severity | reason | note |\n|---|---|---|---|---|\n"
        .to_owned();
    for action in ACTIONS {
        let note = cell(action.note);
        let _ =
            writeln!(text, "| {} | {} | {} | {} | {note} |", action.value, action.name, action.severity, action.reason);
    }
    text
}

fn repairs() -> String {
    let mut text = "\n## Xid 64: the text\n\n\
         A text that is not listed, such as an internal error, and a line without one are RowRemapFailed at Reset; the check rowRemap\n\
         isolates the board if its state reads failure. Source: open-gpu-kernel-modules 615.71.09, gpud, AWS pull request 1190.\n\n\
         | text | severity | reason | means |\n|---|---|---|---|\n"
        .to_owned();
    for row in TEXTS {
        let _ = writeln!(text, "| {} | {} | {} | {} |", cell(row.says), row.severity, row.reason, row.means);
    }
    text
}

fn link_down() -> String {
    let mut text = format!(
        "\n## Xid 149: why a link went down\n\n\
         The reason in intrInfo[25:20] of NETIR_LINK_DOWN. Where the other end is the source, the reason of the finding is \
         {NVLINK_PEER_FAULT}: this GPU needs a reset, and its board is not at fault. If links of several GPUs go down together, look \
         at the fabric first (switch tray, fabric manager). Source: NVIDIA's Xid catalogue, sheet \"Xid 144-150 Decode\".\n\n\
         | reason | severity | NVIDIA's name | where to look |\n|---|---|---|---|\n"
    );
    for row in REASONS {
        let severity = if row.action == Action::ResetGpu { "Reset" } else { "Monitor" };
        let _ = writeln!(text, "| {} | {severity} | {} | {} |", row.value, row.name, row.look.says());
    }
    text
}

fn registers() -> String {
    let mut text = "\n## Xid 74: the registers\n\n\
         The most severe sign decides. If a bit is set that is not listed here, signs of severity Monitor do not count, and the fault stays at Reset. Source: NVIDIA's Xid catalogue, bucket WORKFLOW_NVLINK_ERR.\n\n\
         | register: bits | severity | reason | means |\n|---|---|---|---|\n"
        .to_owned();
    for (sign, severity, reason, means) in LINK_SIGNS {
        let of_sign = nvlink_registers::SIGNS.iter().filter(|(_, _, known)| known == sign);
        let bits: Vec<String> = of_sign.map(|(register, bits, _)| format!("{register}: {}", list(bits))).collect();
        let _ = writeln!(text, "| {} | {severity} | {reason} | {means} |", bits.join("; "));
    }
    text
}

fn decode() -> String {
    let mut text = "\n## Xid 144 to 150: NVLink5\n\n\
         `intrInfo` and `errorStatus` are the two words in the line's parentheses. Source: NVIDIA's Xid catalogue, sheet \"Xid 144-150 Decode\".\n\n\
         | Xid | unit | sub-code before R575 | from R575 | decided by | reset | the Xid 154 decides | ignore |\n|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for unit in UNITS {
        let by = match unit.by {
            By::StatusBits => "bits of errorStatus",
            By::StatusValue => "value of errorStatus",
            By::LinkDownReason => "reason in intrInfo[25:20]",
            By::Nothing => "nothing",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {by} | {} | {} | {} |",
            unit.xid,
            unit.name,
            unit.v1,
            list(unit.v2),
            resets(unit),
            values(unit.follow),
            values(unit.ignore)
        );
    }
    text
}

fn resets(unit: &Unit) -> String {
    let mut parts: Vec<String> = Vec::new();
    match (unit.by, unit.reset) {
        (By::Nothing, []) => parts.push("always".to_owned()),
        (By::LinkDownReason, []) => parts.push("by the table of Xid 149 below".to_owned()),
        (_, []) => {}
        (_, reset) => parts.push(values(reset)),
    }
    if let Some(bits) = unit.reset_if {
        let (v1, v2, status) = (bits.v1, bits.v2, bits.status);
        parts.push(format!("errorStatus & {status:#x} with intrInfo & {v1:#x} before R575, {v2:#x} from R575"));
    }
    parts.join("; ")
}

fn switches() -> String {
    let mut text = "\n## SXid\n\n\
         The log line itself says Fatal or Non-fatal, which takes precedence over this table. Where a line has neither word and the \
         sources disagree, the milder counts. An SXid that is not listed, and has neither word, is NvSwitchUnknown at Monitor. Sources: \
         gpud; NVIDIA's Fabric Manager User Guide (November 2025, tables 21 to 24) as a public rule table cites it. The switches of \
         B100 and GB200 print no SXids.\n\n\
         | SXid | gpud | guide | severity | reason | what to do if it is fatal | note |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    let listed = |fatal: Option<bool>| fatal.map_or("", |fatal| if fatal { "fatal" } else { "not fatal" });
    for row in sxid::ROWS {
        let (severity, reason) = match (row.is_fatal(), row.scope) {
            (true, sxid::Scope::Host) => ("Reboot", "NvSwitchHostFatal"),
            (true, _) => ("Reset", "NvSwitchFatal"),
            (false, _) => ("Monitor", "NvSwitchNonFatal"),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {severity} | {reason} | {} | {} |",
            codes(row.codes),
            listed(row.gpud),
            listed(row.guide),
            row.scope.says(),
            cell(row.note)
        );
    }
    text
}

fn codes(codes: &[RangeInclusive<u32>]) -> String {
    let one = |range: &RangeInclusive<u32>| {
        if range.start() == range.end() {
            range.start().to_string()
        } else {
            format!("{}-{}", range.start(), range.end())
        }
    };
    codes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn list(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn values(numbers: &[u32]) -> String {
    numbers.iter().map(|number| format!("{number:#x}")).collect::<Vec<_>>().join(", ")
}
