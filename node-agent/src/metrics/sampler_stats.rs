//! Metrics of the sampler.

use super::made::Made;
use crate::agent::Event;
use crate::readings::Said;
use prometheus::{Histogram, IntCounter, IntCounterVec};
use std::time::Duration;

/// The metrics of the sampler.
#[derive(Clone, Debug)]
pub struct SamplerMetrics {
    /// How often the sampler was started.
    pub starts: IntCounter,
    samples: IntCounter,
    seconds: Histogram,
    hung: IntCounterVec,
    events: IntCounter,
}

impl SamplerMetrics {
    pub(super) fn new(new: &Made) -> Result<Self, prometheus::Error> {
        Ok(Self {
            starts: new.counter("gpu_health_sampler_starts_total", "Starts of the sampler.")?,
            samples: new.counter("gpu_health_sampler_samples_total", "Samples taken by the sampler.")?,
            seconds: new.histogram(
                "gpu_health_sampler_seconds",
                "Total duration of the driver calls of one sample, in seconds.",
            )?,
            hung: new.counters(
                "gpu_health_sampler_hung_calls_total",
                "Calls into the driver's library that did not return, by function.",
                &["call"],
            )?,
            events: new.counter("gpu_health_sampler_events_total", "Events reported by the driver.")?,
        })
    }

    /// Counts the event. Returns whether the readings may have changed.
    pub fn note(&self, event: &Event) -> bool {
        match event {
            Event::SamplerSaid { said: Said::Sample { sample, .. }, .. } => {
                self.samples.inc();
                self.seconds.observe(Duration::from_millis(sample.took_ms).as_secs_f64());
                true
            }
            Event::SamplerSaid { said: Said::Hung(hung), .. } => {
                self.hung.with_label_values(&[function(&hung.call)]).inc();
                true
            }
            Event::SamplerSaid { said: Said::Event(_), .. } => {
                self.events.inc();
                false
            }
            Event::ProbeFinished { .. } => true,
            _ => false,
        }
    }
}

/// The label is one of the sampler's own symbols, so their number is bounded.
fn function(call: &str) -> &str {
    if crate::probe::driver::SYMBOLS.contains(&call) { call } else { "other" }
}
