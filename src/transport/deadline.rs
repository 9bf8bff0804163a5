//! Waiting up to a deadline.

use tokio::time::{Instant, timeout_at};

/// The deadline passed first.
pub(super) struct Elapsed;

pub(super) async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Result<F::Output, Elapsed> {
    match deadline {
        // Don't poll the future at all.
        Some(deadline) if deadline <= Instant::now() => Err(Elapsed),
        Some(deadline) => timeout_at(deadline, future).await.map_err(|_| Elapsed),
        None => Ok(future.await),
    }
}
