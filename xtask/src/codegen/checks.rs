//! `docs/checks/*.md`: one page per check that is judged, from the rows that judge, and an index.

mod xid;

use super::Error;
use crds::check::{Check, Class};
use node_agent::judge::{DEFAULT_INTERVAL_SECONDS, Page, Rule, drift, registry};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEADER: &str = "<!-- Written by `cargo xtask codegen`. Edits are overwritten. -->\n";

/// What stands before the table of the index.
const INDEX: &str = "# Checks\n\n\
One page per check: what a finding means, how it is measured, what can be found, and what to do. The tables are those that\n\
the agent judges by.\n\n";

/// What stands behind it: what holds for all checks.
const COMMON: &str = "\n## Outcomes\n\n\
| outcome | means | marks |\n|---|---|---|\n\
| Pass | judged; no fault found in what `covered` names | lifts findings of what it covered |\n\
| Warn | should be looked at; the node is Suspect | none |\n\
| Fail | a fault; at severity Reset and above the node is Quarantined | by the policy |\n\
| Inconclusive | could not be judged: a tool, a permission or an answer is missing | none; neither raises nor lifts a finding |\n\
| Skipped | does not apply, or was refused under maintenance | none; neither raises nor lifts a finding |\n\n\
## Severities\n\n\
| severity | cure |\n|---|---|\n\
| Monitor | watch |\n| Reset | reset the GPU |\n| Reboot | reboot the node |\n| Isolate | replace the board or the node |\n\n\
## What every check may answer instead of a verdict\n\n\
| reason | outcome | when | what to do |\n|---|---|---|---|\n\
| NeverJudged | Inconclusive | nothing has been measured since the agent started | wait one interval |\n\
| Maintenance | Skipped | the node is under maintenance | end it; the first measurement after it is a new baseline |\n\
| BootGrace | Skipped | the node booted less than `bootGraceSeconds` ago | wait |\n\
| NoAccelerator | Skipped | the node has no hardware that this check covers | nothing; `inventory` reports missing hardware |\n\
| AgentLostDeviceAccess | Inconclusive | the device nodes exist but deny access: `systemctl daemon-reload` takes devices from running containers | restart the agent's pod; the node is healthy |\n\
| DriverLibraryMissing | Inconclusive | the driver's library cannot be loaded | install the driver, or set `--nvml-library` |\n\
| CallHung | Inconclusive | a call into the driver did not return | see [driver](driver.md) |\n\
| Overdue | Inconclusive | the last measurement is older than three intervals | look at the agent's log |\n\
| NotImplemented | Inconclusive | this version has no monitor with that name | remove it from the policy, or update the agent |\n\n\
`kubectl get nodehealth NODE -o jsonpath='{.status.report.checks}'` shows the rows, `.status.report.findings` the findings.\n\
Numbers that a check compares with come from the [HardwareProfile](../../deploy/profiles/README.md) of the node; what it\n\
does not declare is not judged. Intervals are `spec.monitors[].intervalSeconds` of the policy.\n";

/// Every page by its path, in the order of the documentation.
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

/// A page that leaves a question open is not written.
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
    // The rows of xid are the catalogue's.
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
        let _ = writeln!(text, "| looks | with every decision of the operator |");
    } else {
        let _ = writeln!(
            text,
            "| looks every | {DEFAULT_INTERVAL_SECONDS} s, unless the policy's `spec.monitors[].intervalSeconds` says otherwise |"
        );
    }
    let profile = if page.profile.is_empty() { "nothing".to_owned() } else { code(page.profile) };
    let _ = writeln!(text, "| compares with, of the HardwareProfile | {profile} |");
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
    text.push_str("\nWhat else a row of this check may say: [all checks](README.md#what-every-check-may-answer-instead-of-a-verdict).\n");
    text
}

fn findings(rules: &[Rule]) -> String {
    let mut text =
        "\n## What it can find\n\n| reason | outcome | severity | when | lifts |\n|---|---|---|---|---|\n".to_owned();
    for rule in rules {
        let verdict = format!("{} | {}", word(&rule.outcome), word(&rule.severity));
        let _ = writeln!(text, "| {} | {verdict} | {} | {} |", cell(rule.reason), cell(rule.when), cell(rule.lifts));
    }
    text.push_str("\n## What to do\n\n| reason | what to do | source of the rule |\n|---|---|---|\n");
    let mut rows: Vec<String> = Vec::new();
    for rule in rules {
        let row = format!("| {} | {} | {} |\n", cell(rule.reason), cell(rule.act), cell(rule.source));
        // Two rows of one reason (at first sight, and confirmed) may ask for the same.
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
        Class::Passive => "passive: reads state, always allowed",
        Class::Light => "light: short, beside work if the policy says so",
        Class::Exclusive => "exclusive: the node is reserved first",
        Class::Group => "group: several nodes at once",
        Class::Declared => "as declared",
    }
}

/// The class as one word.
fn short(of: Class) -> &'static str {
    class(of).split(':').next().unwrap_or_default()
}

/// The word of the API.
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
            "| compares with, of the HardwareProfile | `gpus.count` |",
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
