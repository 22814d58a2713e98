//! Waiting for what another process does, always with an end.

use std::time::Duration;

use super::Error;

/// Between two looks. A look at a loopback API server costs about a millisecond.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks again and again until `look` yields a value. Its error is the description of what was seen instead.
pub async fn until<T, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, String>>,
{
    let mut last = "nothing".to_owned();
    let watch = async {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match look().await {
                Ok(value) => return value,
                Err(seen) => last = seen,
            }
        }
    };
    let outcome = tokio::time::timeout(within, watch).await;
    outcome.map_err(|_| Error::Overdue { what: what.to_owned(), within, last })
}

/// Runs a future to its end on a runtime of its own, from synchronous code that may itself run inside another runtime.
pub(super) fn run_apart<T: Send>(future: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
    let failed = |source| Error::System { act: "start a runtime", source };
    std::thread::scope(|scope| {
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
            runtime.block_on(future)
        };
        let panicked = |_| failed(std::io::Error::other("it panicked"));
        scope.spawn(run).join().map_err(panicked)?
    })
}
