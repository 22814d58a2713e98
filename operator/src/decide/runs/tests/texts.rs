use super::*;
use crate::key::{Key, Kind};
use crds::{
    health_check_run::Phase,
    node_health::{Finding, Report},
};

/// Whatever an agent writes here comes from whoever controls it.
const HOSTILE: [&str; 6] =
    ["", " ", "a b", "\u{85}", "Fail:", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"];

/// `metav1.Condition`: what the API server takes as a reason.
fn is_word(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || "_,:".contains(c))
        && !text.ends_with([',', ':'])
}

fn report(stage: &mut Stage, edit: impl FnOnce(&mut Report)) {
    stage.edit_health("n0", |h| edit(h.status.get_or_insert_default().report.get_or_insert_default()));
}

fn one_node() -> Stage {
    let mut stage = Stage::with_nodes(1);
    stage.add_run("r", counting());
    stage.go();
    stage
}

#[test]
fn the_reasons_of_a_run_are_words_whatever_an_agent_says() {
    for text in HOSTILE {
        let mut stage = one_node();
        stage.ends("n0", "uid-r/1", Outcome::Fail, text);
        stage.go();
        let status = stage.status("r");
        assert_eq!(status.phase, Phase::Failed, "{text:?}");
        let reasons = status.conditions.iter().map(|c| c.reason.as_str());
        let all: Vec<&str> = reasons.chain(status.worst.iter().map(|w| w.reason.as_str())).collect();
        assert!(all.iter().all(|reason| is_word(reason)), "{text:?}: {all:?}");
    }
}

#[test]
fn a_status_that_was_refused_is_written_without_texts_of_agents_and_cancel_ends_the_run() {
    let mut stage = one_node();
    report(&mut stage, |report| {
        report.findings.push(Finding {
            check: "inventory".into(),
            target: "\u{202e}".into(),
            outcome: Outcome::Unrecognized("y".repeat(999)),
            severity: Severity::Unrecognized("z".repeat(999)),
            message: "refuse me".into(),
            ..Finding::default()
        });
    });
    stage.ends("n0", "uid-r/1", Outcome::Fail, "GpuMissing");
    let (full, _) = stage.decide();
    let text = |plan: &Plan| format!("{plan:?}");
    assert!(text(&full).contains("refuse me"));
    assert!(!text(&full).contains("yyy") && !text(&full).contains("zzz"), "no bound is passed by an unknown word");
    stage.world.refused_texts.insert(Key::new(Kind::Run, "r"));
    stage.cancel("r");
    let (plan, _) = stage.go();
    assert!(!text(&plan).contains("refuse me") && !text(&plan).contains('\u{202e}'), "{plan:?}");
    let status = stage.status("r");
    assert_eq!((status.phase.clone(), status.worst.len()), (Phase::Failed, 1));
    assert!(stage.decide().0.is_empty(), "the plain status stays as it is");
}
