//! Sixty kills (`kill -9`), spread over agents, operator, and API server with etcd, and over the phases of a run: every
//! run ends with every target accounted for, the marks are right, and nothing happens twice.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::{HealthCheckRun, NodeHealthPolicy, Outcome, State, health_check_run::TargetState};
use gpu_health_tests::{
    cluster::Options,
    product::{Scene, seen::unhealthy_taints},
};
use kube::Api;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
};

const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// Has a fault from start to end.
const BAD: &str = "n3";
const KILLS_OF_EACH: usize = 20;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Agent,
    Operator,
    ApiServerAndEtcd,
}

/// How far a run is when the kill comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Created,
    Assigned,
    Running,
    PartlyDone,
    Complete,
}

const MOMENTS: [Moment; 5] = [Moment::Created, Moment::Assigned, Moment::Running, Moment::PartlyDone, Moment::Complete];

impl Moment {
    fn is_reached(self, run: &HealthCheckRun) -> bool {
        let Some(status) = &run.status else { return self == Self::Created };
        let any = |states: &[TargetState]| status.targets.iter().any(|t| states.contains(&t.state));
        match self {
            Self::Created => true,
            Self::Assigned => any(&[TargetState::Assigned, TargetState::Running, TargetState::Done]),
            Self::Running => any(&[TargetState::Running, TargetState::Done]),
            Self::PartlyDone => any(&[TargetState::Done]),
            Self::Complete => status.phase.is_final(),
        }
    }

    /// The nodes whose programs wait until the kill has come, so that the moment lasts until then on any machine. Two
    /// nodes work at once: while one waits, the other two finish one after the other.
    const fn waiting(self) -> &'static [&'static str] {
        match self {
            Self::Created | Self::Complete => &[],
            Self::Assigned | Self::Running => &NODES,
            Self::PartlyDone => &["n2"],
        }
    }
}

/// The state of a run at the kill, for the table.
fn seen(run: &HealthCheckRun) -> String {
    let Some(status) = &run.status else { return "not started".into() };
    if status.phase.is_final() {
        return "ended".into();
    }
    let words: BTreeSet<_> = status.targets.iter().map(|t| t.state.to_string()).collect();
    words.into_iter().collect::<Vec<_>>().join("+")
}

/// xorshift64: the same kills in the same order on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// The program that the runs start: it records that it ran, waits while its folder says so, and passes.
fn write_program(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let (ledger, wait) = (folder.join("ledger"), folder.join(WAIT));
    fs::write(&ledger, "").unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$CHECK_RUN\" >> {}\nwhile [ -e {} ]; do sleep 0.05; done\necho HEALTH_CHECK_RESULT:host:Passed:none:fine\n",
        ledger.display(),
        wait.display()
    );
    let program = folder.join("slow");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// While a node's folder of programs holds this file, its program waits.
const WAIT: &str = "wait";

fn set_waiting(scene: &Scene, waiting: &[&str]) {
    for name in NODES {
        let wait = scene.nodes[name].folder().join("custom").join(WAIT);
        if waiting.contains(&name) {
            fs::write(&wait, "").unwrap();
        } else if wait.exists() {
            fs::remove_file(&wait).unwrap();
        }
    }
}

fn run_yaml(name: &str) -> String {
    format!(
        "apiVersion: gpuhealth.dev/v1alpha1\nkind: HealthCheckRun\nmetadata: {{name: {name}}}\nspec:\n  targets: {{nodeNames: [n1, n2, n3]}}\n  maxConcurrent: 2\n  deadlineSeconds: 300\n  checks: [{{name: slow, custom: {{program: slow, env: {{CHECK_RUN: {name}}}}}}}]\n"
    )
}

const POLICY: &str = "
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHealthPolicy
metadata: {name: kills}
spec: {mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 1}}
";

/// Each agent has a directory of programs of its own, and in it a ledger.
async fn start_agent(scene: &mut Scene, node: &str) {
    let folder = scene.nodes[node].folder().join("custom");
    scene.agent_args = vec!["--custom-directory".into(), folder.into(), "--custom-same-user".into()];
    scene.start_agent(node).await.unwrap();
}

async fn set() -> Scene {
    let mut scene = Scene::set(Options { fsync: true, ..Options::default() }, &NODES).await.unwrap();
    for name in NODES {
        write_program(&scene.nodes[name].folder().join("custom"));
        start_agent(&mut scene, name).await;
    }
    scene.cluster.apply_yaml(POLICY).await.unwrap();
    for name in NODES {
        scene.until_state(name, State::Healthy).await.unwrap();
    }
    scene.nodes[BAD].xid(1, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.").unwrap();
    scene.until_state(BAD, State::Unhealthy).await.unwrap();
    scene
}

async fn kill(scene: &mut Scene, victim: Victim, node: &str) {
    match victim {
        Victim::Agent => {
            scene.agents.remove(node).unwrap().child.kill9().unwrap();
            start_agent(scene, node).await;
        }
        Victim::Operator => {
            scene.operator.take().unwrap().child.kill9().unwrap();
            scene.start_operator().await.unwrap();
        }
        Victim::ApiServerAndEtcd => {
            scene.cluster.kill9_api_server_and_etcd().unwrap();
            scene.cluster.restart_api_server_and_etcd().unwrap();
        }
    }
}

fn check_accounts(run: &HealthCheckRun, victim: Victim, killed: &str) {
    let status = run.status.as_ref().unwrap();
    let counts = &status.counts;
    let ended = counts.passed + counts.warned + counts.failed + counts.inconclusive + counts.skipped;
    assert_eq!((counts.total, ended), (3, 3), "{status:?}");
    for target in &status.targets {
        assert_eq!(target.state, TargetState::Done, "{target:?}");
        let interrupted = target.outcome == Some(Outcome::Inconclusive);
        let excused = victim == Victim::Agent && target.node == killed;
        assert!(target.outcome == Some(Outcome::Pass) || (interrupted && excused), "{victim:?} {killed} {target:?}");
    }
}

async fn check_marks(scene: &Scene) {
    for name in NODES {
        let wanted = usize::from(name == BAD);
        let node = scene.until_node(name, "its marks", |n| unhealthy_taints(n).len() == wanted).await.unwrap();
        assert!(unhealthy_taints(&node).iter().all(|t| t.effect == "NoSchedule"), "{name}");
    }
    let policies: Api<NodeHealthPolicy> = Api::all(scene.cluster.admin().unwrap());
    let claims = policies.get("kills").await.unwrap().status.unwrap_or_default().budget.claims;
    let of: Vec<_> = claims.iter().map(|c| c.node.as_str()).collect();
    assert_eq!(of, [BAD]);
}

fn check_ledgers(scene: &Scene) {
    for name in NODES {
        let ledger = fs::read_to_string(scene.nodes[name].folder().join("custom/ledger")).unwrap();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for run in ledger.lines() {
            *times.entry(run).or_default() += 1;
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{name} ran these more than once: {twice:?}");
    }
}

/// All kills in their order: each victim in each moment, shuffled.
fn kills(dice: &mut Dice) -> Vec<(Victim, Moment)> {
    let mut order: Vec<_> = [Victim::Agent, Victim::Operator, Victim::ApiServerAndEtcd]
        .into_iter()
        .flat_map(|victim| (0..KILLS_OF_EACH).map(move |n| (victim, MOMENTS[n % MOMENTS.len()])))
        .collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.below(at + 1));
    }
    order
}

type Table = BTreeMap<(Victim, String), usize>;

/// Carries out these kills on a control plane of their own; returns the state of the run at each kill.
async fn carry_out(kills: Vec<(Victim, Moment)>, mut dice: Dice) -> Table {
    let mut scene = set().await;
    let mut table = Table::new();
    for (number, (victim, moment)) in kills.into_iter().enumerate() {
        let name = format!("kill-{number}");
        let node = NODES[dice.below(NODES.len())];
        set_waiting(&scene, moment.waiting());
        let created = scene.cluster.apply_yaml(&run_yaml(&name)).await.unwrap().pop().unwrap();
        let at = match moment {
            // As the API server answered: a later read might find the run started.
            Moment::Created => created.try_parse::<HealthCheckRun>().unwrap(),
            Moment::Assigned | Moment::Running | Moment::PartlyDone | Moment::Complete => {
                scene.until_run(&name, &format!("{moment:?}"), |run| moment.is_reached(run)).await.unwrap()
            }
        };
        kill(&mut scene, victim, node).await;
        set_waiting(&scene, &[]);
        *table.entry((victim, seen(&at))).or_default() += 1;
        let complete = |run: &HealthCheckRun| run.status.as_ref().is_some_and(|s| s.phase.is_final());
        let ended = scene.until_run(&name, "complete", complete).await.unwrap();
        check_accounts(&ended, victim, node);
        check_marks(&scene).await;
    }
    check_ledgers(&scene);
    table
}

/// On two control planes at once, half of the kills on each: a test of this kind mostly waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_kills_in_every_phase_lose_no_target_and_do_nothing_twice() {
    let mut dice = Dice(SEED);
    let mut one = kills(&mut dice);
    let two = one.split_off(one.len() / 2);
    let halves = [one, two].map(|kills| {
        dice.below(NODES.len());
        tokio::spawn(carry_out(kills, Dice(dice.0)))
    });
    let mut table = Table::new();
    for half in halves {
        for (key, times) in half.await.unwrap() {
            *table.entry(key).or_default() += times;
        }
    }
    println!("kills (seed {SEED:#x}), by victim and by what the run's targets were at that moment:");
    for ((victim, at), times) in &table {
        println!("  {victim:?} while {at}: {times}");
    }
    assert_eq!(table.values().sum::<usize>(), 3 * KILLS_OF_EACH);
    for moment in ["not started", "Running", "ended"] {
        assert!(table.keys().any(|(_, at)| at.contains(moment)), "no kill came while a run was {moment}");
    }
}
