//! `/metrics`, `/healthz` and `/readyz`.

use crate::error::AgentError;
use crate::metrics::Metrics;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, response::Response};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// What the endpoints serve.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The metrics.
    pub(super) metrics: Metrics,
    /// Whether the agent has reached the API server once and knows whether it has a NodeHealth.
    pub(super) ready: Arc<AtomicBool>,
}

/// Listens and serves as a task of its own. Prints `listening on ADDRESS:PORT`, so that port 0 is of use.
pub(super) async fn serve(address: SocketAddr, told: Told) -> Result<SocketAddr, AgentError> {
    let failed = |source| AgentError::Listen { address: address.to_string(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    // The parent process may have closed stdout.
    let _ = writeln!(std::io::stdout(), "listening on {bound}");
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(told);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the HTTP server stopped");
        }
    });
    Ok(bound)
}

async fn metrics(State(told): State<Told>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], told.metrics.text()).into_response()
}

async fn ready(State(told): State<Told>) -> Response {
    if told.ready.load(Ordering::Relaxed) {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the API server has not been reached yet\n").into_response()
    }
}
