//! `/metrics`, `/healthz` and `/readyz`.

use super::{error::Error, metrics::Metrics};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// The brain beats at least every 5 s. After six missed beats it is not alive.
const BEAT_WITHIN: Duration = Duration::from_secs(30);

/// The brain's last sign of life, shared with `/healthz` and `/readyz`.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Mutex<Beat>>);

#[derive(Debug)]
struct Beat {
    at: Instant,
    waits_for: Vec<&'static str>,
}

impl Pulse {
    /// A first beat, before anything is listed.
    pub fn start(now: Instant) -> Self {
        let waits_for = vec!["its first decision"];
        Self(Arc::new(Mutex::new(Beat { at: now, waits_for })))
    }

    /// The brain is alive and waiting for the first lists of these kinds.
    pub fn beat(&self, now: Instant, waits_for: Vec<&'static str>) {
        let mut beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *beat = Beat { at: now, waits_for };
    }

    fn alive(&self, now: Instant) -> Result<(), String> {
        let beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_duration_since(beat.at);
        if age <= BEAT_WITHIN {
            return Ok(());
        }
        Err(format!("the decision loop has not run for {} s", age.as_secs()))
    }

    fn ready(&self) -> Result<(), String> {
        let beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if beat.waits_for.is_empty() {
            return Ok(());
        }
        Err(format!("waiting for {}", beat.waits_for.join(", ")))
    }
}

/// Listens, and prints the address on standard output: it tells the port to whoever asked for port 0.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    println!("listening on {bound}");
    Ok(listener)
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, metrics: Metrics, pulse: Pulse) -> std::io::Result<()> {
    let pulse_of = |verdict: Result<(), String>| match verdict {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    };
    let health = move |State(pulse): State<Pulse>| async move { pulse_of(pulse.alive(Instant::now())) };
    let ready = move |State(pulse): State<Pulse>| async move { pulse_of(pulse.ready()) };
    let text = move || async move {
        let failed = |e: prometheus::Error| (StatusCode::INTERNAL_SERVER_ERROR, e.to_string());
        metrics.text().map_err(failed)
    };
    let routes = Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
        .with_state(pulse);
    axum::serve(listener, routes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brain_that_does_not_beat_is_not_alive() {
        let start = Instant::now();
        let pulse = Pulse::start(start);
        assert!(pulse.alive(start + BEAT_WITHIN).is_ok());
        let late = pulse.alive(start + BEAT_WITHIN * 2).unwrap_err();
        assert_eq!(late, "the decision loop has not run for 60 s");
    }

    #[test]
    fn it_is_ready_when_everything_is_listed() {
        let now = Instant::now();
        let pulse = Pulse::start(now);
        pulse.beat(now, vec!["Node", "Lease"]);
        assert_eq!(pulse.ready().unwrap_err(), "waiting for Node, Lease");
        pulse.beat(now, Vec::new());
        assert!(pulse.ready().is_ok());
    }
}
