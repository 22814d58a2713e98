//! The loop that owns stores and queue: observes, decides when something has changed, and has the plan carried out.
//!
//! ```text
//! observations ─┐                       ┌▶ write queue ─▶ requests ─┐
//! answers ──────┼▶ Stores ─▶ decide ────┤                           │
//! time ─────────┘                       └▶ Events                   │
//!      ▲                                                            │
//!      └───────────────────── answers ◀─────────────────────────────┘
//! ```
//!
//! Everything here runs in one task, without locks: a decision sees either all of an answer or nothing of it.

mod answers;
mod clock;

use crate::{
    decide::{Memo, decide_again},
    key::{Key, Kind},
    plan::{Plan, Write},
    queue::{StepId, WriteQueue, backoff::Backoffs},
    shell::{
        http::Pulse,
        metrics::Metrics,
        recorder::EventRecorder,
        writer::{Answer, Writer, act},
    },
    stores::{
        Stores,
        observation::{Object, Observation},
        store::Change,
    },
    wire::{content::content, refusal::RequestError},
};
use clock::{Alarm, cpu, now};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// The longest sleep of the loop: liveness depends on it, and the wall clock may have been set meanwhile.
const BEAT: Duration = Duration::from_secs(5);
/// How long the process waits for requests under way before it exits.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How often the gauges about the fleet are set, which takes a walk over all nodes.
const GAUGES_EVERY: Duration = Duration::from_secs(1);
/// The same while nothing but Leases changes.
const GAUGES_AT_REST_EVERY: Duration = Duration::from_secs(30);
/// The most observations taken in before answers are taken in again.
const OBSERVATIONS_AT_ONCE: usize = 512;
/// The most GETs under way at once: after an outage thousands of objects may be in doubt.
const LOOKS_AT_ONCE: usize = 8;

/// A request has ended.
enum Back {
    Wrote {
        id: StepId,
        key: Key,
        write: Box<Write>,
        /// The version that the world showed when the request was sent. The watch may show our write before the answer.
        before: Option<String>,
        took: Duration,
        answer: Result<Answer, RequestError>,
    },
    Looked {
        key: Key,
        answer: Result<Option<Object>, RequestError>,
    },
}

/// The loop's state.
pub struct Brain {
    stores: Stores,
    queue: WriteQueue,
    backoffs: Backoffs,
    alarm: Alarm,
    under_way: FuturesUnordered<BoxFuture<'static, Back>>,
    to_look: Vec<Key>,
    looking: usize,
    writer: Writer,
    recorder: EventRecorder,
    metrics: Metrics,
    pulse: Pulse,
    gauges_at: Option<Instant>,
    /// What the last decision left.
    memo: Memo,
    /// Whether something has changed since.
    gauges_are_old: bool,
}

impl Brain {
    /// A brain with empty stores.
    pub fn new(writer: Writer, recorder: EventRecorder, metrics: Metrics, pulse: Pulse, hold_everything: bool) -> Self {
        Self {
            stores: Stores::new(hold_everything),
            queue: WriteQueue::default(),
            backoffs: Backoffs::default(),
            alarm: Alarm::default(),
            under_way: FuturesUnordered::new(),
            to_look: Vec::new(),
            looking: 0,
            writer,
            recorder,
            metrics,
            pulse,
            gauges_at: None,
            memo: Memo::default(),
            gauges_are_old: true,
        }
    }

    /// Runs until `stop` is done or the watches end, which they never do by themselves. Then waits for requests under way.
    pub async fn run(mut self, mut observations: mpsc::Receiver<Observation>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let wake_at = self.next_wake(Instant::now());
            tokio::select! {
                () = &mut stop => break,
                Some(back) = self.under_way.next(), if !self.under_way.is_empty() => self.returned(back),
                observation = observations.recv() => match observation {
                    Some(observation) => self.observe(observation),
                    None => break,
                },
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            self.take_in_what_has_arrived(&mut observations);
            self.think();
        }
        self.stop().await;
    }

    /// Takes in everything that has arrived, so that a burst leads to one decision.
    fn take_in_what_has_arrived(&mut self, observations: &mut mpsc::Receiver<Observation>) {
        for _ in 0..OBSERVATIONS_AT_ONCE {
            match observations.try_recv() {
                Ok(observation) => self.observe(observation),
                Err(_) => break,
            }
        }
        while let Some(Some(back)) = self.under_way.next().now_or_never() {
            self.returned(back);
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let due = [self.alarm.next(now, SystemTime::now()), self.backoffs.next()];
        let due = due.into_iter().flatten().chain([now + BEAT]);
        due.min().unwrap_or(now)
    }

    fn think(&mut self) {
        let at = Instant::now();
        self.stores.look(at);
        let due = self.backoffs.due(at);
        self.to_look.extend(due.look);
        if due.ended {
            self.alarm.soon(at, "free");
        }
        let waits_for = self.stores.incomplete();
        self.pulse.beat(at, waits_for.iter().map(|k| k.as_str()).collect());
        if waits_for.is_empty()
            && let Some(cause) = self.alarm.take(at, SystemTime::now())
        {
            self.decide(cause);
        }
        self.start();
        self.set_gauges(at);
    }

    fn decide(&mut self, cause: &'static str) {
        self.metrics.wakes.with_label_values(&[cause]).inc();
        let (began, cpu_before) = (Instant::now(), cpu());
        let (plan, memo) = decide_again(self.stores.world(), now(), std::mem::take(&mut self.memo));
        self.memo = memo;
        let Plan { steps, events, wake_at } = plan;
        let (took, cpu) = (began.elapsed(), cpu().saturating_sub(cpu_before));
        self.alarm.decided(Instant::now(), took, wake_at);
        self.metrics.decide_seconds.observe(took.as_secs_f64());
        let count = i64::try_from(steps.len()).unwrap_or(i64::MAX);
        self.metrics.plan_steps.set(count);
        let (backoffs, stores) = (&self.backoffs, &self.stores);
        let at = Instant::now();
        let must_wait = |key: &Key, write: &Write| {
            backoffs.must_wait(key, act(write), at, || content(write)) || stores.is_malformed(key)
        };
        let admission = self.queue.admit(steps, events, must_wait);
        let dropped = u64::try_from(admission.dropped).unwrap_or(u64::MAX);
        self.metrics.steps_dropped.inc_by(dropped);
        debug!(cause, ?took, ?cpu, steps = count, admission.admitted, dropped, admission.replaced, "decided");
        for event in admission.events {
            self.recorder.record(event);
        }
    }

    fn start(&mut self) {
        for start in self.queue.start() {
            debug!(key = %start.key, act = act(&start.write), "a write is sent");
            self.stores.begin(&start.key);
            let before = self.stores.shown(&start.key).map(|object| object.resource_version().to_owned());
            let writer = self.writer.clone();
            self.under_way.push(Box::pin(async move {
                let began = Instant::now();
                let answer = writer.write(&start.write, start.version.as_deref()).await;
                Back::Wrote {
                    id: start.id,
                    key: start.key,
                    write: Box::new(start.write),
                    before,
                    took: began.elapsed(),
                    answer,
                }
            }));
        }
        while self.looking < LOOKS_AT_ONCE
            && let Some(key) = self.to_look.pop()
        {
            self.looking += 1;
            self.stores.begin(&key);
            let writer = self.writer.clone();
            self.under_way.push(Box::pin(async move {
                let answer = writer.look(&key).await;
                Back::Looked { key, answer }
            }));
        }
    }

    fn observe(&mut self, observation: Observation) {
        let at = Instant::now();
        let subject = observation.subject();
        let key = subject.key();
        if key.as_ref().is_some_and(|key| self.backoffs.shown(key)) {
            self.alarm.soon(at, "free");
        }
        if subject.watch_broke {
            self.metrics.watch_broke(subject.kind);
        }
        self.gauges_are_old |= subject.kind != Kind::Lease;
        let was_complete = self.stores.are_complete();
        let change = self.stores.observe(observation, at);
        if !was_complete && self.stores.are_complete() {
            info!("all kinds are listed; starting to decide");
            self.alarm.at_once(at, "start");
        }
        if let (Change::Urgent, Some(key)) = (change, &key) {
            debug!(%key, "a new failure was observed");
        }
        self.wake_for(change, at);
        for key in self.stores.take_doubtful() {
            self.backoffs.doubt(key, at);
        }
    }

    fn wake_for(&mut self, change: Change, at: Instant) {
        self.gauges_are_old |= change != Change::None;
        match change {
            Change::None => {}
            Change::Changed => self.alarm.debounced(at, "change"),
            Change::Urgent => self.alarm.at_once(at, "urgent"),
        }
    }

    fn set_gauges(&mut self, at: Instant) {
        let open = i64::try_from(self.queue.len()).unwrap_or(i64::MAX);
        self.metrics.steps_open.set(open);
        let in_backoff = i64::try_from(self.backoffs.len()).unwrap_or(i64::MAX);
        self.metrics.objects_in_backoff.set(in_backoff);
        let every = if self.gauges_are_old { GAUGES_EVERY } else { GAUGES_AT_REST_EVERY };
        if self.gauges_at.is_none_or(|last| at >= last + every) {
            self.gauges_at = Some(at);
            self.gauges_are_old = false;
            self.metrics.observe(&self.stores);
        }
    }

    /// Starts nothing new and waits for the requests under way.
    async fn stop(mut self) {
        info!(writes = self.under_way.len(), "stopping");
        self.queue.stop();
        let ended = async {
            while let Some(back) = self.under_way.next().await {
                self.returned(back);
            }
        };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            warn!("some requests did not end within 5 s; the next start sees what they did");
        }
    }
}
