//! The loop that drives the engine: it feeds what arrives, decides when that is due, and sends what is to be sent.
//!
//! ```text
//! observations ─┐            ┌▶ requests ─┐
//! answers ──────┼▶ Engine ───┤            │
//! time ─────────┘            └▶ Events    │
//!      ▲                                  │
//!      └──────── answers ◀────────────────┘
//! ```
//!
//! Everything here runs in one task, without locks: a decision sees either all of an answer or nothing of it.

mod answers;

use crate::{
    engine::{Engine, Errand, time_of},
    key::{Key, Kind},
    plan::Write,
    queue::StepId,
    shell::{http::Pulse, metrics::Metrics, recorder::EventRecorder, writer::Writer},
    stores::{
        observation::{Answer, Object, Observation},
        store::Change,
    },
    wire::{act::act, refusal::RequestError},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// How long the process waits for requests under way before it exits.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How often the gauges about the fleet are set, which takes a walk over all nodes.
const GAUGES_EVERY: Duration = Duration::from_secs(1);
/// The same while nothing but Leases changes.
const GAUGES_AT_REST_EVERY: Duration = Duration::from_secs(30);
/// The most observations taken in before answers are taken in again.
const OBSERVATIONS_AT_ONCE: usize = 512;
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
    engine: Engine,
    under_way: FuturesUnordered<BoxFuture<'static, Back>>,
    writer: Writer,
    recorder: EventRecorder,
    metrics: Metrics,
    pulse: Pulse,
    gauges_at: Option<Instant>,
    /// Whether something has changed since.
    gauges_are_old: bool,
}

impl Brain {
    /// A brain with empty stores.
    pub fn new(writer: Writer, recorder: EventRecorder, metrics: Metrics, pulse: Pulse, hold_everything: bool) -> Self {
        Self {
            engine: Engine::new(hold_everything),
            under_way: FuturesUnordered::new(),
            writer,
            recorder,
            metrics,
            pulse,
            gauges_at: None,
            gauges_are_old: true,
        }
    }

    /// Runs until `stop` is done or the watches end, which they never do by themselves. Then waits for requests under way.
    pub async fn run(mut self, mut observations: mpsc::Receiver<Observation>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let wake_at = self.engine.next_turn(Instant::now(), SystemTime::now());
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

    fn think(&mut self) {
        let at = Instant::now();
        let cause = self.engine.turn(at, SystemTime::now());
        self.pulse.beat(at, self.engine.waits_for().iter().map(|k| k.as_str()).collect());
        if let Some(cause) = cause {
            self.decide(cause);
        }
        self.start();
        self.set_gauges(at);
    }

    fn decide(&mut self, cause: &'static str) {
        self.metrics.wakes.with_label_values(&[cause]).inc();
        let (began, cpu_before) = (Instant::now(), cpu());
        let plan = self.engine.decide(time_of(SystemTime::now()));
        let (took, cpu) = (began.elapsed(), cpu().saturating_sub(cpu_before));
        self.metrics.decide_seconds.observe(took.as_secs_f64());
        let count = i64::try_from(plan.steps.len()).unwrap_or(i64::MAX);
        self.metrics.plan_steps.set(count);
        let admission = self.engine.admit(plan, took, Instant::now());
        let dropped = u64::try_from(admission.dropped).unwrap_or(u64::MAX);
        self.metrics.steps_dropped.inc_by(dropped);
        debug!(cause, ?took, ?cpu, steps = count, admission.admitted, dropped, admission.replaced, "decided");
        for event in admission.events {
            self.recorder.record(event);
        }
    }

    fn start(&mut self) {
        for errand in self.engine.start() {
            let writer = self.writer.clone();
            match errand {
                Errand::Write { start, before } => {
                    debug!(key = %start.key, act = act(&start.write), "a write is sent");
                    self.under_way.push(Box::pin(async move {
                        let began = Instant::now();
                        let answer = writer.write(&start.write, start.version.as_deref()).await;
                        let write = Box::new(start.write);
                        Back::Wrote { id: start.id, key: start.key, write, before, took: began.elapsed(), answer }
                    }));
                }
                Errand::Look(key) => self.under_way.push(Box::pin(async move {
                    let answer = writer.look(&key).await;
                    Back::Looked { key, answer }
                })),
            }
        }
    }

    fn observe(&mut self, observation: Observation) {
        let subject = observation.subject();
        if subject.watch_broke {
            self.metrics.watch_broke(subject.kind);
        }
        self.gauges_are_old |= subject.kind != Kind::Lease;
        let noted = self.engine.observe(observation, Instant::now());
        if noted.completes {
            info!("all kinds are listed; starting to decide");
        }
        if let (Change::Urgent, Some(key)) = (noted.change, &noted.key) {
            debug!(%key, "a new failure was observed");
        }
        self.gauges_are_old |= noted.change != Change::None;
    }

    fn set_gauges(&mut self, at: Instant) {
        let open = i64::try_from(self.engine.open_steps()).unwrap_or(i64::MAX);
        self.metrics.steps_open.set(open);
        let in_backoff = i64::try_from(self.engine.in_backoff()).unwrap_or(i64::MAX);
        self.metrics.objects_in_backoff.set(in_backoff);
        let every = if self.gauges_are_old { GAUGES_EVERY } else { GAUGES_AT_REST_EVERY };
        if self.gauges_at.is_none_or(|last| at >= last + every) {
            self.gauges_at = Some(at);
            self.gauges_are_old = false;
            self.metrics.observe(self.engine.stores());
        }
    }

    /// Starts nothing new and waits for the requests under way.
    async fn stop(mut self) {
        info!(writes = self.under_way.len(), "stopping");
        self.engine.stop();
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

/// The processor time that this thread has used.
fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap_or_default()
}
