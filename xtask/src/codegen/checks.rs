//! `docs/checks/*.md`: an index, and one page per judged check, generated from the tables that the agent judges by.

mod xid;

use super::Error;
use crds::check::{Check, Class};
use node_agent::judge::{DEFAULT_INTERVAL_SECONDS, Page, Rule, drift, registry};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEADER: &str = "<!-- Written by `cargo xtask codegen`. Edits are overwritten. -->\n";

/// Text before the table of the index.
const INDEX: &str = "# Checks\n\n\
One page per check: what a finding means, how it is measured, what the check can find, and what to do. The pages\n\
are generated from the tables that the agent judges by.\n\n";

/// Text after the table: what applies to all checks.
const COMMON: &str = "\n## Outcomes\n\n\
| outcome | means | marks |\n|---|---|---|\n\
| Pass | no fault found on the targets in `covered` | lifts findings of these targets |\n\
| Warn | worth a look; the node is Suspect | none |\n\
| Fail | a fault; the node is Unhealthy if the severity is Reset or above | as the policy says |\n\
| Inconclusive | could not be judged: a tool, a permission or a reply is missing | none; neither quarantines nor lifts |\n\
| Skipped | not applicable, or not run because of maintenance or a recent boot | none; neither quarantines nor lifts |\n\n\
## Severities\n\n\
| severity | what to do |\n|---|---|\n\
| Monitor | watch |\n| Reset | reset the GPU |\n| Reboot | reboot the node |\n| Isolate | replace the board or the node |\n\n\
## Reasons that any check can report instead of a verdict\n\n\
| reason | outcome | when | what to do |\n|---|---|---|---|\n\
| NeverJudged | Inconclusive | no measurement since the agent started | wait one interval |\n\
| Maintenance | Skipped | the node is under maintenance | end the maintenance; the first measurement afterwards is the new baseline |\n\
| BootGrace | Skipped | the node booted less than `bootGraceSeconds` ago | wait |\n\
| NoAccelerator | Skipped | the node has no device that the check covers | nothing; `inventory` reports missing devices |\n\
| AgentLostDeviceAccess | Inconclusive | the device nodes exist but deny access: `systemctl daemon-reload` removes devices from running containers | restart the agent's pod; the node is not at fault |\n\
| DriverLibraryMissing | Inconclusive | the driver's library cannot be loaded | install the driver, or set the path of the library with `--nvml-library` |\n\
| AgentLibraryStale | Inconclusive | the driver was upgraded under the agent: the kernel module is newer than the library that the agent loaded | the runner's container starts anew by itself; if it stays, check what mounts the library into it |\n\
| CodeUnclear | Inconclusive | the driver's library answered with a code that says nothing about the GPU | read the message: it names the call and the code |\n\
| OtherKernelDriver | Skipped | all GPUs are bound to another kernel driver, for example vfio-pci | nothing; set `gpus.kernelDriver` in the profile if they should be bound to `nvidia` |\n\
| CallUnanswered | Inconclusive | a call into the driver has not returned once; a second process makes it again | wait |\n\
| CallHung | Inconclusive | a call into the driver did not return | see [driver](driver.md) |\n\
| RunnerSilent | Inconclusive | the agent's runner or sampler stands still: stopped, frozen, or without CPU | nothing if it passes; else read the agent's log and look at the CPU that its pod gets; the node is not at fault |\n\
| Overdue | Inconclusive | the last measurement is older than three intervals | read the agent's log |\n\
| NotImplemented | Inconclusive | this version has no monitor of that name | remove it from the policy, or update the agent |\n\n\
`kubectl get nodehealth NODE -o jsonpath='{.status.report.checks}'` shows the result of each check, and `.status.report.findings`\n\
the faults. Checks compare with the numbers in the node's [NodeHardwareProfile](../../deploy/profiles/README.md); numbers that the\n\
profile does not declare are not judged. Intervals are `spec.monitors[].intervalSeconds` of the policy.\n";

/// All pages by path.
pub(super) fn files() -> Result<BTreeMap<String, String>, Error> {
    let mut all: Vec<&Page> = registry::pages().chain([&drift::PAGE]).collect();
    all.sort_by_key(|page| Check::ALL.iter().position(|check| *check == page.check));
    all.iter().try_for_each(|page| whole(page))?;
    let mut files: BTreeMap<String, String> = all.iter().map(|page| (path(page), written(page))).collect();
    files.insert("docs/checks/README.md".to_owned(), index(&all));
    Ok(files)
}

fn path(page: &Page) -> String {
    format!("docs/checks/{}.md", page.check.name())
}

/// Rejects a page with an empty text.
fn whole(page: &Page) -> Result<(), Error> {
    let mut texts = vec![("means", page.means), ("measured", page.measured)];
    let of_rule = |rule: &Rule| {
        [
            ("reason", rule.reason),
            ("when", rule.when),
            ("lifts", rule.lifts),
            ("act", rule.act),
            ("source", rule.source),
        ]
    };
    texts.extend(page.rules.iter().flat_map(of_rule));
    let empty = texts.into_iter().find(|(_, text)| text.trim().is_empty()).map(|(name, _)| name);
    // The page of xid has the rows of the catalogue instead.
    let missing = (page.rules.is_empty() && page.check != Check::Xid).then_some("rules");
    empty.or(missing).map_or(Ok(()), |text| Err(Error::EmptyPage { check: page.check.name(), text }))
}

fn index(all: &[&Page]) -> String {
    let mut text = format!("{HEADER}{INDEX}| check | class | what a finding means |\n|---|---|---|\n");
    for page in all {
        let name = page.check.name();
        let _ = writeln!(text, "| [{name}]({name}.md) | {} | {} |", short(page.check.class()), cell(page.means));
    }
    text + COMMON
}

fn written(page: &Page) -> String {
    let name = page.check.name();
    let mut text = format!("{HEADER}# {name}\n\n{}\n\n", page.means.trim());
    let _ = writeln!(text, "| | |\n|---|---|\n| class | {} |", class(page.check.class()));
    if page.check == Check::Drift {
        let _ = writeln!(text, "| runs | with every decision of the operator |");
    } else {
        let _ = writeln!(
            text,
            "| interval | {DEFAULT_INTERVAL_SECONDS} s, unless the policy sets `spec.monitors[].intervalSeconds` |"
        );
    }
    let profile = if page.profile.is_empty() { "nothing".to_owned() } else { code(page.profile) };
    let _ = writeln!(text, "| fields of the NodeHardwareProfile | {profile} |");
    if !page.metrics.is_empty() {
        let _ = writeln!(text, "| metrics | {} |", code(page.metrics));
    }
    let _ = write!(text, "\n## How it is measured\n\n{}\n", page.measured.trim());
    if !page.rules.is_empty() {
        text.push_str(&findings(page.rules));
    }
    if page.check == Check::Xid {
        text.push_str(&xid::tables());
    }
    text.push_str("\nOther reasons, common to all checks: [instead of a verdict](README.md#reasons-that-any-check-can-report-instead-of-a-verdict).\n");
    text
}

fn findings(rules: &[Rule]) -> String {
    let mut text =
        "\n## What it can find\n\n| reason | outcome | severity | when | lifted by |\n|---|---|---|---|---|\n"
            .to_owned();
    for rule in rules {
        let verdict = format!("{} | {}", word(&rule.outcome), word(&rule.severity));
        let _ = writeln!(text, "| {} | {verdict} | {} | {} |", cell(rule.reason), cell(rule.when), cell(rule.lifts));
    }
    text.push_str("\n## What to do\n\n| reason | what to do | source of the rule |\n|---|---|---|\n");
    let mut rows: Vec<String> = Vec::new();
    for rule in rules {
        let row = format!("| {} | {} | {} |\n", cell(rule.reason), cell(rule.act), cell(rule.source));
        // Two rows of one reason (first occurrence, and confirmed) may have the same action.
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    text + &rows.concat()
}

fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|").replace('\n', " ")
}

const fn class(class: Class) -> &'static str {
    match class {
        Class::Passive => "passive: only reads state, always allowed",
        Class::Light => "light: short and cheap, may run alongside workloads",
        Class::Exclusive => "exclusive: the node is reserved first",
        Class::Group => "group: several nodes at once",
        Class::Declared => "depends on its parameters",
    }
}

/// The class in one word.
fn short(of: Class) -> &'static str {
    class(of).split(':').next().unwrap_or_default()
}

/// The value as the API spells it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{Outcome, Severity, reason};

    static RULES: &[Rule] = &[Rule {
        reason: reason::GPU_LOST,
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        when: "a|b",
        lifts: "It answers.",
        act: "Boot.",
        source: "nvml.h",
    }];
    static EMPTY: &[Rule] = &[];

    fn page(measured: &'static str, rules: &'static [Rule]) -> Page {
        Page { check: Check::Ecc, means: "It means.", measured, profile: &["gpus.count"], metrics: &["m"], rules }
    }

    #[test]
    fn a_page_has_meaning_measurement_profile_metrics_and_both_tables() {
        let text = written(&page("By looking.", RULES));
        for part in [
            "# ecc\n\nIt means.\n",
            "| fields of the NodeHardwareProfile | `gpus.count` |",
            "| metrics | `m` |",
            "## How it is measured\n\nBy looking.\n",
            "| GpuLost | Fail | Reboot | a\\|b | It answers. |",
            "| GpuLost | Boot. | nvml.h |",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_page_that_leaves_a_question_open_is_refused_by_name() {
        assert!(whole(&page("By looking.", RULES)).is_ok());
        let error = whole(&page(" ", RULES)).unwrap_err().to_string();
        assert!(error.contains("ecc") && error.contains("measured"), "{error}");
        let error = whole(&page("By looking.", EMPTY)).unwrap_err().to_string();
        assert!(error.contains("rules"), "{error}");
    }

    #[test]
    fn every_built_passive_check_has_a_page_and_the_index_leads_to_it() {
        let files = files().unwrap();
        let index = &files["docs/checks/README.md"];
        for check in Check::ALL.iter().filter(|check| check.class() == Class::Passive && check.is_built()) {
            let name = check.name();
            assert!(files.contains_key(&format!("docs/checks/{name}.md")), "{name}");
            assert!(index.contains(&format!("| [{name}]({name}.md) |")), "{name}");
        }
    }

    #[test]
    fn no_page_cites_notes_that_its_reader_does_not_have() {
        for (path, text) in files().unwrap() {
            for notes in ["facts/", "design/", "table of checks"] {
                assert!(!text.contains(notes), "{path} cites {notes}");
            }
        }
    }

    #[test]
    fn the_page_of_xid_has_a_row_for_every_row_of_the_catalogue() {
        let files = files().unwrap();
        let page = &files["docs/checks/xid.md"];
        for row in node_agent::xid::catalogue::ROWS {
            assert!(page.contains(row.meaning) && page.contains(row.reason), "{}", row.reason);
        }
    }
}
