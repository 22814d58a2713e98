//! Virtual time: whatever is due next happens to the server, the watches and the requests, then the engine turns.

use super::{
    laws::Laws,
    server::{Fault, Server},
    watches::Watch,
};
use crate::{
    decide::model::{Model, fixtures, generate::Dice},
    engine::{Engine, Errand, Outcome, Wrote},
    key::{Key, Kind},
    plan::Plan,
    queue::Start,
    stores::observation::{Answer, Object, Observation},
    wire::{act::act, refusal::Class},
};
use crds::Time;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How often an agent renews its Lease, and how soon it tries again where that failed.
const RENEWS_EVERY: Duration = Duration::from_secs(60);
const RENEWS_AGAIN: Duration = Duration::from_secs(10);
/// How often the watch of Leases is proven alive while nothing happens.
const BOOKMARK_EVERY: Duration = Duration::from_secs(20);

/// The most turns at one moment: whatever needs more is a loop that takes a whole core.
const MOST_TURNS: u32 = 1_000;

/// A mend taken out: what is done to what the engine sees and wants.
pub(super) trait Relapse {
    /// After an observation.
    fn observed(&mut self, _engine: &mut Engine, _observation: &Observation, _at: Instant) {}
    /// Before each turn, with the wall clock's time.
    fn turns(&mut self, _engine: &mut Engine, _wall: SystemTime) {}
    /// Before a plan is admitted.
    fn decided(&mut self, _engine: &mut Engine, _plan: &mut Plan) {}
    /// After an answer.
    fn answered(&mut self, _engine: &mut Engine, _key: &Key, _answer: &Reply, _at: Instant) {}
    /// Whether an observation is kept from the engine.
    fn hides(&self, _observation: &Observation) -> bool {
        false
    }
}

/// No mend is taken out.
pub(super) struct Sound;

impl Relapse for Sound {}

/// The answer to a request.
#[derive(Debug)]
pub(super) enum Reply {
    Wrote(Result<Answer, Class>),
    Looked(Result<Option<Object>, Class>),
}

#[derive(Debug)]
enum Asked {
    Write { start: Box<Start>, before: Option<String> },
    Look(Key),
}

/// A request under way.
#[derive(Debug)]
struct Sent {
    asked: Asked,
    arrives: Instant,
    answers: Instant,
    transient: Option<Fault>,
    reply: Option<Reply>,
    /// Which process sent it.
    process: u32,
}

/// Everything, and the two clocks.
pub(super) struct Drive<'a> {
    pub(super) server: Server,
    pub(super) engine: Engine,
    pub(super) watches: BTreeMap<Kind, Watch>,
    pub(super) laws: Laws,
    /// Chances of requests; when it is used up each ends well after [`Self::latency`].
    pub(super) dice: Dice<'a>,
    /// Whether requests end badly by chance.
    pub(super) is_rough: bool,
    /// How long a request takes that nothing happens to.
    pub(super) latency: Duration,
    /// How long a decision takes.
    pub(super) decides_in: Duration,
    pub(super) at: Instant,
    began: Instant,
    /// By how much the wall clock is wrong, in seconds.
    pub(super) clock_error: i64,
    /// Until when the process stands still.
    stands_until: Option<Instant>,
    /// Until when nobody reaches the server.
    pub(super) gone_until: Option<Instant>,
    bookmark_at: Instant,
    renewals: BTreeMap<String, Instant>,
    sent: Vec<Sent>,
    process: u32,
    relapse: &'a mut dyn Relapse,
    /// How many writes were sent.
    pub(super) writes_sent: usize,
    /// The writes that were sent, most recent last, if they are recorded.
    pub(super) record: Option<Vec<(Instant, Key, &'static str)>>,
}

impl<'a> Drive<'a> {
    pub(super) fn new(model: Model, dice: Dice<'a>, relapse: &'a mut dyn Relapse) -> Self {
        let at = Instant::now();
        let server = Server::new(model);
        Self {
            laws: Laws::new(&server),
            server,
            engine: Engine::new(false),
            watches: Kind::ALL.map(|kind| (kind, Watch::new(kind, at))).into(),
            dice,
            is_rough: false,
            latency: Duration::from_millis(5),
            decides_in: Duration::ZERO,
            at,
            began: at,
            clock_error: 0,
            stands_until: None,
            gone_until: None,
            bookmark_at: at + BOOKMARK_EVERY,
            renewals: BTreeMap::new(),
            sent: Vec::new(),
            process: 0,
            relapse,
            writes_sent: 0,
            record: None,
        }
    }

    /// The true time.
    pub(super) fn time(&self) -> Time {
        let passed = self.at.duration_since(self.began).as_secs();
        fixtures::START.plus(5 + i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// What the operator's wall clock shows.
    pub(super) fn now(&self) -> Time {
        self.time().plus(self.clock_error)
    }

    fn wall(&self) -> SystemTime {
        let passed = self.at.duration_since(self.began);
        let began = fixtures::START.plus(5 + self.clock_error).unix();
        UNIX_EPOCH + Duration::from_secs(u64::try_from(began).unwrap_or_default()) + passed
    }

    /// The process stands still for so long.
    pub(super) fn stand_still(&mut self, pause: Duration) {
        self.stands_until = Some(self.at + pause);
    }

    /// The process ends, and another one starts. Requests under way still arrive.
    pub(super) fn restart(&mut self) {
        self.process += 1;
        self.engine = Engine::new(false);
        self.watches = Kind::ALL.map(|kind| (kind, Watch::new(kind, self.at))).into();
        self.laws.forget_attempts();
    }

    /// Nobody reaches the server for so long: every watch breaks.
    pub(super) fn lose_server(&mut self, pause: Duration) {
        self.gone_until = Some(self.at + pause);
        let kinds: Vec<Kind> = self.watches.keys().copied().collect();
        for kind in kinds {
            self.break_watch(kind, pause, false);
        }
    }

    /// This watch breaks.
    pub(super) fn break_watch(&mut self, kind: Kind, pause: Duration, lists: bool) {
        let at = self.at;
        if let Some(broken) = self.watches.get_mut(&kind).map(|watch| watch.fail(at, pause, lists)) {
            self.observe(&broken);
        }
    }

    fn is_gone(&self) -> bool {
        self.gone_until.is_some_and(|until| self.at < until)
    }

    /// Runs for so long.
    pub(super) fn run(&mut self, duration: Duration) -> Result<(), String> {
        let end = self.at + duration;
        let (mut since, mut turns) = (self.at, 0);
        while self.step(end)? {
            if since == self.at {
                turns += 1;
                if turns > MOST_TURNS {
                    return Err("the engine turns without end".to_owned());
                }
            } else {
                (since, turns) = (self.at, 0);
            }
        }
        Ok(())
    }

    /// Goes to what is due next, at `end` the latest. Returns whether that lies before `end`.
    pub(super) fn step(&mut self, end: Instant) -> Result<bool, String> {
        self.at = self.next().max(self.at).min(end);
        self.server.model.now = self.time();
        self.serve()?;
        if self.stands_until.is_some_and(|until| self.at < until) {
            return Ok(self.at < end);
        }
        self.stands_until = None;
        let turns_first = self.dice.chance(25);
        if turns_first {
            self.turn()?;
        }
        self.answer();
        for kind in Kind::ALL {
            let shown = self.watches.get_mut(&kind).map(|watch| watch.show(self.at, self.gone_until, &mut self.server));
            for observation in shown.unwrap_or_default() {
                self.observe(&observation);
            }
        }
        self.turn()?;
        self.laws.silent_agents(&self.engine, &self.server)?;
        Ok(self.at < end)
    }

    fn next(&self) -> Instant {
        let arrivals = self.sent.iter().filter(|sent| sent.reply.is_none()).map(|sent| sent.arrives);
        let outside = arrivals.chain(self.renewals.values().copied()).chain([self.bookmark_at]);
        if let Some(until) = self.stands_until {
            return outside.chain([until]).min().unwrap_or(until);
        }
        let answers = self.sent.iter().filter(|sent| sent.reply.is_some()).map(|sent| sent.answers);
        let watches = self.watches.values().filter_map(Watch::due);
        let turn = self.engine.next_turn(self.at, self.wall());
        outside.chain(answers).chain(watches).chain([turn]).min().unwrap_or(turn)
    }

    /// What happens at the server.
    fn serve(&mut self) -> Result<(), String> {
        for index in 0..self.sent.len() {
            if self.sent[index].reply.is_none() && self.sent[index].arrives <= self.at {
                self.arrive(index)?;
            }
        }
        let watched = self.server.watched();
        self.renewals.retain(|node, _| watched.contains(node));
        for node in watched {
            let due = *self.renewals.entry(node.clone()).or_insert(self.at);
            if due > self.at {
                continue;
            }
            if self.is_gone() {
                self.renewals.insert(node, self.at + RENEWS_AGAIN);
                continue;
            }
            if self.server.is_alive(&node) {
                let renewal = self.server.renew(&node);
                self.laws.renewed(&node, self.at);
                self.tell(vec![renewal]);
            }
            self.renewals.insert(node, self.at + RENEWS_EVERY);
        }
        if self.bookmark_at <= self.at {
            self.bookmark_at = self.at + BOOKMARK_EVERY;
            let version = self.server.model.next_version();
            self.tell(vec![Observation::Lease(crate::stores::observation::Seen::Alive { version })]);
        }
        Ok(())
    }

    /// An agent that was silent is heard again: it renews at once.
    pub(super) fn revive(&mut self) {
        self.renewals.clear();
    }

    /// Others have changed something.
    pub(super) fn happened(&mut self) {
        let events = self.server.events();
        self.tell(events);
    }

    fn tell(&mut self, events: Vec<Observation>) {
        for event in events {
            let kind = event.subject().kind;
            if let Some(watch) = self.watches.get_mut(&kind) {
                watch.push(event, self.at);
            }
        }
    }

    fn arrive(&mut self, index: usize) -> Result<(), String> {
        let transient = if self.is_gone() { Some(Fault::Unavailable) } else { self.sent[index].transient };
        let reply = match &self.sent[index].asked {
            Asked::Write { start, .. } => {
                let before = self.server.model.world.node_healths.get(&start.key.name).cloned();
                let reply = self.server.write(start, transient);
                let after = self.server.model.world.node_healths.get(&start.key.name).cloned();
                self.laws.health_written(before.as_deref(), after.as_deref(), self.at)?;
                Reply::Wrote(reply)
            }
            Asked::Look(_) if transient.is_some() => Reply::Looked(Err(Class::Unknown)),
            Asked::Look(key) => Reply::Looked(Ok(self.server.object(key))),
        };
        self.sent[index].reply = Some(reply);
        self.happened();
        Ok(())
    }

    /// The answers that have come.
    fn answer(&mut self) {
        let at = self.at;
        let (ended, under_way) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|sent: &Sent| sent.reply.is_some() && sent.answers <= at);
        self.sent = under_way;
        for sent in ended {
            let Some(reply) = sent.reply.filter(|_| sent.process == self.process) else { continue };
            match (sent.asked, reply) {
                (Asked::Write { start, before }, Reply::Wrote(answer)) => {
                    let Start { id, key, write, .. } = *start;
                    let (told, reply) = (write.clone(), Reply::Wrote(answer.clone()));
                    let wrote = Wrote { id, key: key.clone(), write, before, answer: answer.clone() };
                    let Outcome { is_futile, .. } = self.engine.wrote(wrote, at);
                    self.laws.ended(&key, &told, answer.err(), is_futile, at);
                    self.relapse.answered(&mut self.engine, &key, &reply, at);
                }
                (Asked::Look(key), Reply::Looked(answer)) => {
                    self.engine.looked(key.clone(), answer.clone(), at);
                    self.relapse.answered(&mut self.engine, &key, &Reply::Looked(answer), at);
                }
                _ => {}
            }
        }
    }

    fn observe(&mut self, observation: &Observation) {
        if self.relapse.hides(observation) {
            return;
        }
        self.engine.observe(observation.clone(), self.at);
        self.relapse.observed(&mut self.engine, observation, self.at);
    }

    fn turn(&mut self) -> Result<(), String> {
        let wall = self.wall();
        self.relapse.turns(&mut self.engine, wall);
        if self.engine.turn(self.at, self.wall()).is_some() {
            let mut plan = self.engine.decide(self.now());
            self.relapse.decided(&mut self.engine, &mut plan);
            self.engine.admit(plan, self.decides_in, self.at);
        }
        for errand in self.engine.start() {
            let asked = match errand {
                Errand::Write { start, before } => {
                    self.laws.sent(&start.key, &start.write, self.at)?;
                    self.writes_sent += 1;
                    if let Some(record) = &mut self.record {
                        record.push((self.at, start.key.clone(), act(&start.write)));
                    }
                    Asked::Write { start, before }
                }
                Errand::Look(key) => Asked::Look(key),
            };
            let (latency, transient) = self.chances();
            let (arrives, answers) = (self.at + latency / 2, self.at + latency);
            self.sent.push(Sent { asked, arrives, answers, transient, reply: None, process: self.process });
        }
        Ok(())
    }

    /// How long a request takes, and how it goes wrong.
    fn chances(&mut self) -> (Duration, Option<Fault>) {
        if !self.is_rough || !self.dice.chance(15) {
            return (self.latency, None);
        }
        match self.dice.below(6) {
            0 => (Duration::from_secs(10), Some(Fault::AnswerLost)),
            1 => (self.latency, Some(Fault::Unavailable)),
            2 => (Duration::from_secs(1), Some(Fault::AnswerLost)),
            3 => (self.latency, Some(Fault::Refused(Class::Conflict))),
            4 => (self.latency, Some(Fault::Refused(Class::Invalid))),
            _ => (Duration::from_secs(2), None),
        }
    }
}
