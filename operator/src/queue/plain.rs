//! The definition of the write queue in plain terms: every question walks over all steps. The property test compares the
//! queue with it.

use super::{Admission, Ended, Start, StepId, WriteQueue, may_replace, rank};
use crate::{
    key::{Key, Kind},
    plan::{Step, Write},
    world::Taint,
};
use crds::names;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
struct Waiting {
    id: u64,
    plan: u64,
    key: Key,
    write: Write,
    /// These must have succeeded.
    after: BTreeSet<u64>,
    version: Option<String>,
    is_running: bool,
}

fn rank_of(step: &Waiting) -> u8 {
    rank(&step.write)
}

/// All steps that have not ended, in the order of their admission.
#[derive(Debug, Default)]
struct Plain {
    steps: Vec<Waiting>,
    next_step: u64,
    next_plan: u64,
}

impl Plain {
    fn is_ready(&self, step: &Waiting) -> bool {
        let is_behind =
            self.steps.iter().any(|other| other.key == step.key && other.plan == step.plan && other.id < step.id);
        !step.is_running && step.after.is_empty() && !is_behind
    }

    fn is_busy(&self, key: &Key) -> bool {
        let mut on_object = self.steps.iter().filter(|step| step.key == *key);
        on_object.any(|step| key.kind != Kind::Policy || step.is_running || self.is_ready(step))
    }

    /// Drops these and all that come after them.
    fn drop_all(&mut self, mut ids: BTreeSet<u64>) -> usize {
        let before = self.steps.len();
        loop {
            let more = self.steps.iter().filter(|step| !step.after.is_disjoint(&ids)).map(|step| step.id);
            let more: BTreeSet<u64> = more.chain(ids.iter().copied()).collect();
            if more == ids {
                break;
            }
            ids = more;
        }
        self.steps.retain(|step| !ids.contains(&step.id));
        before - self.steps.len()
    }

    fn admit(&mut self, steps: &[Step], must_wait: impl Fn(&Key) -> bool) -> Admission {
        self.next_plan += 1;
        let plan = self.next_plan;
        let mut ids: Vec<Option<u64>> = Vec::new();
        let mut admission = Admission::default();
        for Step { write, after } in steps {
            let key = Key::of(write);
            let after: Option<BTreeSet<u64>> = after.iter().map(|index| ids[*index]).collect();
            ids.push(None);
            let Some(after) = after.filter(|_| !must_wait(&key)) else { continue };
            let is_own = self.steps.iter().any(|step| step.key == key && step.plan == plan);
            if !is_own && self.is_busy(&key) {
                let others: Vec<&Waiting> = self.steps.iter().filter(|step| step.key == key).collect();
                if !may_replace(write) || others.iter().any(|step| step.is_running || rank(&step.write) <= rank(write))
                {
                    continue;
                }
                let others = others.iter().map(|step| step.id).collect();
                admission.replaced += self.drop_all(others);
            }
            let id = self.next_step;
            self.next_step += 1;
            self.steps.push(Waiting { id, plan, key, write: write.clone(), after, version: None, is_running: false });
            *ids.last_mut().unwrap() = Some(id);
        }
        let exists = |id: &&Option<u64>| id.is_some_and(|id| self.steps.iter().any(|step| step.id == id));
        admission.admitted = ids.iter().filter(exists).count();
        admission.dropped = steps.len() - admission.admitted;
        admission
    }

    fn start(&mut self) -> Vec<(u64, Option<String>)> {
        let mut ready: Vec<(u8, u64)> =
            self.steps.iter().filter(|step| self.is_ready(step)).map(|step| (rank(&step.write), step.id)).collect();
        ready.sort_unstable();
        let mut starts = Vec::new();
        for (rank, id) in ready {
            let running: Vec<&Waiting> = self.steps.iter().filter(|step| step.is_running).collect();
            let (urgent, ordinary): (Vec<&Waiting>, Vec<&Waiting>) =
                running.iter().partition(|step| rank_of(step) == 0);
            let urgent_waits = self.steps.iter().any(|step| self.is_ready(step) && rank_of(step) == 0);
            let most = if urgent_waits || !urgent.is_empty() { 1 } else { 4 };
            let has_room = if rank == 0 { urgent.len() < 24 } else { ordinary.len() < most };
            let step = self.steps.iter().find(|step| step.id == id).unwrap();
            if has_room && running.iter().all(|running| running.key != step.key) {
                starts.push((id, step.version.clone()));
                self.steps.iter_mut().find(|step| step.id == id).unwrap().is_running = true;
            }
        }
        starts
    }

    fn finished(&mut self, id: u64, ended: &Ended) {
        let Some(done) = self.steps.iter().find(|step| step.id == id).cloned() else { return };
        match ended {
            Ended::Written(version) => {
                self.steps.retain(|step| step.id != id);
                for step in self.steps.iter_mut().filter(|step| step.plan == done.plan) {
                    step.after.remove(&id);
                    if step.key == done.key {
                        step.version.clone_from(version);
                    }
                }
            }
            Ended::Refused => drop(self.drop_all([id].into())),
            Ended::Stale => {
                let same = self.steps.iter().filter(|step| step.key == done.key).map(|step| step.id).collect();
                self.drop_all(same);
            }
        }
    }
}

/// One thing that happens: a plan, or the end of the oldest running step.
#[derive(Clone, Debug)]
enum Happening {
    Plan(Vec<(u8, u8, Vec<u8>)>, u8),
    End(u8, u8),
}

fn write(kind: u8, node: u8) -> Write {
    let (node, uid, resource_version) = (format!("n{}", node % 4), "u".to_owned(), "1".to_owned());
    let ours = Taint { key: names::TAINT_UNHEALTHY.into(), effect: "NoSchedule".into(), ..Taint::default() };
    match kind % 5 {
        0 => {
            let taints = if kind == 0 { vec![ours] } else { Vec::new() };
            Write::NodeTaints { node, uid, resource_version, taints }
        }
        1 => Write::NodeMarks {
            node,
            uid,
            resource_version,
            labels: BTreeMap::new(),
            summary: None,
            drop_labels: Vec::new(),
        },
        2 => Write::NodeCondition { node, uid, resource_version, condition: None },
        3 => Write::DeleteRun { run: node, uid },
        _ => Write::PolicyStatus {
            policy: if *node < *"n2" { "p".into() } else { "q".into() },
            uid,
            resource_version,
            status: Box::default(),
        },
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let step = (0_u8..10, 0_u8..4, prop::collection::vec(0_u8..8, 0..3));
    let plan = (prop::collection::vec(step, 0..9), 0_u8..12).prop_map(|(steps, waits)| Happening::Plan(steps, waits));
    let end = (any::<u8>(), 0_u8..8).prop_map(|(which, how)| Happening::End(which, how));
    prop::collection::vec(prop_oneof![plan, end.clone(), end], 1..40)
}

fn steps(shape: &[(u8, u8, Vec<u8>)]) -> Vec<Step> {
    let of = |(index, (kind, node, after)): (usize, &(u8, u8, Vec<u8>))| {
        let after: BTreeSet<usize> = after.iter().map(|a| usize::from(*a)).filter(|a| *a < index).collect();
        Step { write: write(*kind, *node), after: after.into_iter().collect() }
    };
    shape.iter().enumerate().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_queue_does_what_its_plain_definition_says(happenings in happenings()) {
        let (mut queue, mut plain) = (WriteQueue::default(), Plain::default());
        let mut running: Vec<u64> = Vec::new();
        for happening in happenings {
            match happening {
                Happening::Plan(shape, waits) => {
                    let must_wait = |key: &Key| key.name == format!("n{waits}");
                    let admission = queue.admit(steps(&shape), Vec::new(), |key, _| must_wait(key));
                    prop_assert_eq!(admission, plain.admit(&steps(&shape), must_wait));
                }
                Happening::End(which, how) if !running.is_empty() => {
                    let id = running.remove(usize::from(which) % running.len());
                    let ended = match how {
                        0 => Ended::Refused,
                        1 => Ended::Stale,
                        _ => Ended::Written(Some(how.to_string())),
                    };
                    queue.finished(StepId(id), &ended);
                    plain.finished(id, &ended);
                }
                Happening::End(..) => {}
            }
            let started: Vec<_> = queue.start().into_iter().map(|Start { id, version, .. }| (id.0, version)).collect();
            prop_assert_eq!(&started, &plain.start());
            running.extend(started.into_iter().map(|(id, _)| id));
            prop_assert_eq!(queue.len(), plain.steps.len());
            for step in &plain.steps {
                prop_assert_eq!(queue.is_busy(&step.key), plain.is_busy(&step.key));
            }
        }
    }
}
