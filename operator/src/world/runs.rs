//! HealthCheckRuns, ordered so that a decision looks only at those that it can change: an ended run costs nothing.

use crds::{HealthCheckRun, Outcome, Time, health_check_run::TargetState};
use k8s_openapi::jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::Arc,
};

/// Runs by name (as which they can be read), and which of them a decision can change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs {
    all: BTreeMap<String, Arc<HealthCheckRun>>,
    /// Not ended and not being deleted.
    open: BTreeSet<(Option<Timestamp>, String)>,
    /// Ended, with the time at which they are to be deleted.
    expiring: BTreeSet<(Time, String)>,
    /// Ended, and changed since.
    unobserved: BTreeSet<String>,
    /// By name of a node: the uid that it had, and when a run last came to a verdict on it.
    tested: BTreeMap<String, (String, Time)>,
}

/// Which lists hold a run.
struct Places {
    open: Option<(Option<Timestamp>, String)>,
    expires: Option<(Time, String)>,
    unobserved: Option<String>,
}

impl Places {
    fn of(name: &str, run: &HealthCheckRun) -> Self {
        let (name, metadata) = (|| name.to_owned(), &run.metadata);
        let stays = metadata.deletion_timestamp.is_none();
        let ended = run.status.as_ref().filter(|status| status.phase.is_final());
        // A negative TTL bypassed validation and got the run rejected; the run stays so that people see that.
        let ttl = run.spec.ttl_seconds_after_finished.filter(|ttl| *ttl >= 0);
        let expires = ended.and_then(|status| Some(status.completion_time?.plus(ttl?)));
        let changed = ended.is_some_and(|status| status.observed_generation != metadata.generation);
        Self {
            open: (stays && ended.is_none()).then(|| (metadata.creation_timestamp.as_ref().map(|at| at.0), name())),
            expires: expires.filter(|_| stays).map(|at| (at, name())),
            unobserved: (stays && changed).then(name),
        }
    }
}

impl Deref for Runs {
    type Target = BTreeMap<String, Arc<HealthCheckRun>>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl Runs {
    /// Adds or replaces a run.
    pub fn insert(&mut self, name: String, run: Arc<HealthCheckRun>) {
        self.remove(&name);
        self.note_tested(&run);
        let Places { open, expires, unobserved } = Places::of(&name, &run);
        self.open.extend(open);
        self.expiring.extend(expires);
        self.unobserved.extend(unobserved);
        self.all.insert(name, run);
    }

    /// Removes a run.
    pub fn remove(&mut self, name: &str) -> Option<Arc<HealthCheckRun>> {
        let run = self.all.remove(name)?;
        let Places { open, expires, unobserved } = Places::of(name, &run);
        if let Some(place) = open {
            self.open.remove(&place);
        }
        if let Some(place) = expires {
            self.expiring.remove(&place);
        }
        if let Some(place) = unobserved {
            self.unobserved.remove(&place);
        }
        Some(run)
    }

    /// Changes a run.
    pub fn edit(&mut self, name: &str, edit: impl FnOnce(&mut HealthCheckRun)) {
        if let Some(mut run) = self.remove(name) {
            edit(Arc::make_mut(&mut run));
            self.insert(name.to_owned(), run);
        }
    }

    /// Those that have not ended, the oldest first; by name where two are equally old.
    pub fn open(&self) -> impl Iterator<Item = &HealthCheckRun> {
        self.open.iter().filter_map(|(_, name)| self.all.get(name)).map(AsRef::as_ref)
    }

    /// Those that have ended and are to be deleted, with the time, the first one first.
    pub fn expiring(&self) -> impl Iterator<Item = (Time, &HealthCheckRun)> {
        self.expiring.iter().filter_map(|(at, name)| Some((*at, self.all.get(name)?.as_ref())))
    }

    /// Those that have ended and whose spec was changed afterwards.
    pub fn unobserved(&self) -> impl Iterator<Item = &HealthCheckRun> {
        self.unobserved.iter().filter_map(|name| self.all.get(name)).map(AsRef::as_ref)
    }

    /// Remembers which nodes the run has come to a verdict on. It stays known after the run has gone, until this process
    /// ends; its successor knows what the runs tell that are left.
    pub fn note_tested(&mut self, run: &HealthCheckRun) {
        for target in run.status.iter().flat_map(|status| &status.targets) {
            let is_verdict = match &target.outcome {
                Some(Outcome::Pass | Outcome::Warn | Outcome::Fail) => target.state == TargetState::Done,
                Some(Outcome::Skipped | Outcome::Inconclusive | Outcome::Unrecognized(_)) | None => false,
            };
            let Some(at) = target.since.filter(|_| is_verdict) else { continue };
            let known = self.tested.get(&target.node);
            if known.is_none_or(|(_, known)| *known < at) {
                self.tested.insert(target.node.clone(), (target.uid.clone(), at));
            }
        }
    }

    /// Forgets the tests of nodes that are gone.
    pub fn forget_tests(&mut self, is_there: impl Fn(&str) -> bool) {
        self.tested.retain(|node, _| is_there(node));
    }

    /// When a run last came to a verdict on exactly this Node, as far as is known.
    pub fn tested_at(&self, node: &str, uid: &str) -> Option<Time> {
        self.tested.get(node).filter(|(known, _)| known == uid).map(|(_, at)| *at)
    }
}

/// What is kept of a run that has ended: what its deletion, its conditions and a change of its spec need. The object has the
/// rest.
pub fn thinned(run: &HealthCheckRun) -> HealthCheckRun {
    let mut thin = HealthCheckRun::new(
        run.metadata.name.as_deref().unwrap_or_default(),
        crds::health_check_run::HealthCheckRunSpec::default(),
    );
    thin.metadata.uid.clone_from(&run.metadata.uid);
    thin.metadata.resource_version.clone_from(&run.metadata.resource_version);
    thin.metadata.generation = run.metadata.generation;
    thin.metadata.creation_timestamp.clone_from(&run.metadata.creation_timestamp);
    thin.metadata.deletion_timestamp.clone_from(&run.metadata.deletion_timestamp);
    thin.spec.ttl_seconds_after_finished = run.spec.ttl_seconds_after_finished;
    if let Some(status) = &run.status {
        let kept = thin.status.get_or_insert_default();
        kept.phase = status.phase.clone();
        kept.completion_time = status.completion_time;
        kept.observed_generation = status.observed_generation;
        kept.summary = status.summary.clone();
        kept.conditions.clone_from(&status.conditions);
    }
    thin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::health_check_run::{HealthCheckRunSpec, HealthCheckRunStatus, Phase, Target};

    fn run(name: &str, phase: Phase, second: i64) -> Arc<HealthCheckRun> {
        let mut run = HealthCheckRun::new(name, HealthCheckRunSpec::default());
        run.metadata.generation = Some(2);
        run.metadata.creation_timestamp =
            Timestamp::from_second(second).ok().map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time);
        run.spec.ttl_seconds_after_finished = Some(60);
        let target = |node: &str, outcome, at| Target {
            node: node.into(),
            uid: format!("{node}-uid"),
            state: TargetState::Done,
            outcome: Some(outcome),
            since: Some(Time::from_unix(at)),
            ..Target::default()
        };
        run.status = Some(HealthCheckRunStatus {
            completion_time: phase.is_final().then_some(Time::from_unix(second)),
            phase,
            observed_generation: Some(2),
            targets: vec![target("a", Outcome::Pass, second), target("b", Outcome::Inconclusive, second)],
            ..HealthCheckRunStatus::default()
        });
        Arc::new(run)
    }

    fn names<'a>(runs: impl Iterator<Item = &'a HealthCheckRun>) -> Vec<&'a str> {
        runs.filter_map(|run| run.metadata.name.as_deref()).collect()
    }

    #[test]
    fn a_decision_sees_open_runs_by_age_and_of_the_others_only_what_is_due() {
        let mut runs = Runs::default();
        for (name, phase, second) in
            [("z", Phase::Pending, 5), ("y", Phase::Running, 9), ("x", Phase::Passed, 3), ("w", Phase::Failed, 1)]
        {
            runs.insert(name.into(), run(name, phase, second));
        }
        assert_eq!(names(runs.open()), ["z", "y"]);
        assert_eq!(names(runs.expiring().map(|(_, run)| run)), ["w", "x"]);
        assert_eq!(runs.unobserved().count(), 0);
        runs.edit("w", |run| run.metadata.generation = Some(3));
        runs.edit("z", |run| run.status.as_mut().unwrap().phase = Phase::Cancelled);
        assert_eq!((names(runs.open()), names(runs.unobserved())), (vec!["y"], vec!["w"]));
        for name in ["w", "x", "y", "z"] {
            runs.remove(name);
        }
        assert_eq!((runs.open().count(), runs.expiring().count(), runs.unobserved().count()), (0, 0, 0));
    }

    #[test]
    fn an_ended_run_is_kept_without_its_targets_and_leaves_word_of_the_nodes_that_it_judged() {
        let mut runs = Runs::default();
        let full = run("x", Phase::Passed, 7);
        runs.note_tested(&full);
        runs.insert("x".into(), Arc::new(thinned(&full)));
        assert!(runs["x"].status.as_ref().unwrap().targets.is_empty());
        assert_eq!(runs.tested_at("a", "a-uid"), Some(Time::from_unix(7)));
        assert_eq!(runs.tested_at("a", "another"), None);
        assert_eq!(runs.tested_at("b", "b-uid"), None, "it was not judged");
        assert_eq!(runs.expiring().count(), 1);
    }
}
