//! The loop that owns stores and schedule: observes, decides when something changed, and has the plan carried out.
//!
//! ```text
//! observations ─┐                       ┌▶ schedule ─▶ writes under way ─┐
//! answers ──────┼▶ Stores ─▶ decide ────┤                                │
//! time ─────────┘                       └▶ Events                        │
//!      ▲                                                                 │
//!      └───────────────────── answers ◀──────────────────────────────────┘
//! ```
//!
//! Everything here runs in one task: no lock, and a decision sees either all of an answer or nothing of it.

mod answers;
mod clock;

use crate::{
    apply::{
        Answer, Writer, act,
        holds::Holds,
        refusal::Error,
        schedule::{Schedule, StepId},
    },
    decide::decide,
    events::Teller,
    http::Pulse,
    metrics::Metrics,
    plan::Plan,
    stores::{
        Object, Observation, Stores,
        kind::{Key, Kind},
        projection::Projection,
        store::{Change, Seen},
    },
};
use clock::{Alarm, now};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// The brain beats at least this often, and looks at the clock, which may have been set.
const BEAT: Duration = Duration::from_secs(5);
/// How long writes under way may take at the end of the process.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Gauges about the fleet cost a walk over all nodes.
const GAUGES_EVERY: Duration = Duration::from_secs(1);
/// Observations taken in before the brain looks at its answers again.
const AT_ONCE: usize = 512;
/// GETs that settle doubts at once: after an outage there may be thousands.
const LOOKS_AT_ONCE: usize = 8;

/// What came back.
enum Back {
    Wrote {
        id: StepId,
        key: Key,
        act: &'static str,
        /// The version that the world showed when the request left. The watch may show our write before the answer comes.
        before: Option<String>,
        took: Duration,
        answer: Result<Answer, Error>,
    },
    Looked {
        key: Key,
        answer: Result<Option<Object>, Error>,
    },
}

/// The loop's state.
pub struct Brain {
    stores: Stores,
    schedule: Schedule,
    holds: Holds,
    alarm: Alarm,
    under_way: FuturesUnordered<BoxFuture<'static, Back>>,
    to_look: Vec<Key>,
    looking: usize,
    writer: Writer,
    teller: Teller,
    metrics: Metrics,
    pulse: Pulse,
    gauges_at: Option<Instant>,
}

impl Brain {
    /// A brain that knows nothing yet.
    pub fn new(writer: Writer, teller: Teller, metrics: Metrics, pulse: Pulse, hold_everything: bool) -> Self {
        Self {
            stores: Stores::new(hold_everything, now()),
            schedule: Schedule::default(),
            holds: Holds::default(),
            alarm: Alarm::default(),
            under_way: FuturesUnordered::new(),
            to_look: Vec::new(),
            looking: 0,
            writer,
            teller,
            metrics,
            pulse,
            gauges_at: None,
        }
    }

    /// Runs until `stop` is done, or the watches end, which they never do by themselves. Writes under way are let end.
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
            self.take_in_what_is_there(&mut observations);
            self.think();
        }
        self.stop().await;
    }

    /// A burst is one decision: whatever has arrived is taken in before.
    fn take_in_what_is_there(&mut self, observations: &mut mpsc::Receiver<Observation>) {
        for _ in 0..AT_ONCE {
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
        let due = [self.alarm.next(now, SystemTime::now()), self.holds.next()];
        let due = due.into_iter().flatten().chain([now + BEAT]);
        due.min().unwrap_or(now)
    }

    fn think(&mut self) {
        let at = Instant::now();
        let due = self.holds.due(at);
        self.to_look.extend(due.look);
        if due.freed {
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
        let began = Instant::now();
        let Plan { steps, events, wake_at } = decide(self.stores.world(), now());
        let took = began.elapsed();
        self.alarm.decided(Instant::now(), took, wake_at);
        self.metrics.decide_seconds.observe(took.as_secs_f64());
        let count = i64::try_from(steps.len()).unwrap_or(i64::MAX);
        self.metrics.plan_steps.set(count);
        let (holds, stores) = (&self.holds, &self.stores);
        let admission =
            self.schedule.admit(steps, events, |key, write| holds.hold(key, act(write)) || stores.is_malformed(key));
        let dropped = u64::try_from(admission.dropped).unwrap_or(u64::MAX);
        self.metrics.steps_dropped.inc_by(dropped);
        debug!(cause, ?took, steps = count, admission.admitted, dropped, "decided");
        for event in admission.events {
            self.teller.tell(event);
        }
    }

    fn start(&mut self) {
        for start in self.schedule.start() {
            debug!(key = %start.key, act = act(&start.write), "a write is sent");
            self.stores.begin(&start.key);
            let before = self.stores.resource_version(&start.key);
            let writer = self.writer.clone();
            self.under_way.push(Box::pin(async move {
                let began = Instant::now();
                let answer = writer.write(&start.write, start.version.as_deref()).await;
                Back::Wrote {
                    id: start.id,
                    key: start.key,
                    act: act(&start.write),
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
        let (kind, name) = subject(&observation);
        let key = name.map(|name| Key::new(kind, name));
        if key.as_ref().is_some_and(|key| self.holds.shown(key)) {
            self.alarm.soon(at, "free");
        }
        if is_broken(&observation) {
            self.metrics.watch_broke(kind);
        }
        let was_complete = self.stores.are_complete();
        let change = self.stores.observe(observation, now());
        if !was_complete && self.stores.are_complete() {
            self.stores.count_silence_from(now());
            info!("every list is complete; deciding begins");
            self.alarm.at_once(at, "start");
        }
        if let (Change::Urgent, Some(key)) = (change, &key) {
            debug!(%key, "a new failure was observed");
        }
        self.wake_for(change, at);
        for key in self.stores.take_doubtful() {
            self.holds.doubt(key, at);
        }
    }

    fn wake_for(&mut self, change: Change, at: Instant) {
        match change {
            Change::None => {}
            Change::Changed => self.alarm.debounced(at, "change"),
            Change::Urgent => self.alarm.at_once(at, "urgent"),
        }
    }

    fn set_gauges(&mut self, at: Instant) {
        let open = i64::try_from(self.schedule.len()).unwrap_or(i64::MAX);
        self.metrics.steps_open.set(open);
        let held = i64::try_from(self.holds.len()).unwrap_or(i64::MAX);
        self.metrics.held_objects.set(held);
        if self.gauges_at.is_none_or(|last| at >= last + GAUGES_EVERY) {
            self.gauges_at = Some(at);
            self.metrics.observe(&self.stores);
        }
    }

    /// No new decision, no new write; those under way are let end.
    async fn stop(mut self) {
        info!(writes = self.under_way.len(), "stopping");
        self.schedule.stop();
        let ended = async {
            while let Some(back) = self.under_way.next().await {
                self.returned(back);
            }
        };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            warn!("writes under way did not end within 5 s; the next start looks at what they did");
        }
    }
}

fn is_broken(observation: &Observation) -> bool {
    matches!(
        observation,
        Observation::Node(Seen::Broken { .. })
            | Observation::NodeHealth(Seen::Broken { .. })
            | Observation::Run(Seen::Broken { .. })
            | Observation::Policy(Seen::Broken { .. })
            | Observation::Profile(Seen::Broken { .. })
            | Observation::Lease(Seen::Broken { .. })
    )
}

/// Which object an observation is about, if about one.
fn subject(observation: &Observation) -> (Kind, Option<String>) {
    fn of<T: Projection>(seen: &Seen<Arc<T>>) -> (Kind, Option<String>) {
        let name = match seen {
            Seen::Listed(o) | Seen::Applied(o) | Seen::Deleted(o) => Some(o.name().to_owned()),
            Seen::Malformed { name, .. } | Seen::MalformedDeleted { name } => Some(name.clone()),
            Seen::ListBegan | Seen::ListEnded | Seen::Broken { .. } => None,
        };
        (T::KIND, name)
    }
    match observation {
        Observation::Node(seen) => of(seen),
        Observation::NodeHealth(seen) => of(seen),
        Observation::Run(seen) => of(seen),
        Observation::Policy(seen) => of(seen),
        Observation::Profile(seen) => of(seen),
        Observation::Lease(_) => (Kind::Lease, None),
    }
}
