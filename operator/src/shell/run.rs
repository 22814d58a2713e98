//! Puts the operator together, from its arguments, and runs it until a signal arrives.

use super::{
    args::Args,
    brain::Brain,
    error::Error,
    http::{self, Pulse},
    metrics::Metrics,
    recorder::EventRecorder,
    writer::Writer,
};
use crate::stores::watch::watch_everything;
use kube::Client;
use std::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args) -> Result<(), Error> {
    let config = args.client_config().await?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))?;
    let metrics = Metrics::register()?;
    let pulse = Pulse::start(Instant::now());
    let terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;

    let listener = http::listen(args.http).await?;
    info!(version = env!("CARGO_PKG_VERSION"), server, hold = args.hold_everything, "starting");
    let endpoints = tokio::spawn(http::serve(listener, metrics.clone(), pulse.clone()));
    let observations = watch_everything(&client, &args.lease_namespace);
    let brain = Brain::new(
        Writer::new(&client, metrics.clone()),
        EventRecorder::start(client, metrics.clone()),
        metrics,
        pulse,
        args.hold_everything,
    );
    let thinking = brain.run(observations, stopped(terminate, interrupt));
    tokio::select! {
        () = thinking => Ok(()),
        _ = endpoints => Err(Error::Ended("the HTTP server")),
    }
}

async fn stopped(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
