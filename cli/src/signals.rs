//! SIGINT and SIGTERM: the first one ends a command behind its batch, the second one at once.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::output::Output;

/// The exit status of a command that was ended at once.
const AT_ONCE: i32 = 130;

/// Whether the user asked for the end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens to the signals from now on.
    ///
    /// # Errors
    ///
    /// If the system has no more handlers.
    pub fn listen(output: Arc<Output>) -> io::Result<Self> {
        let (asked, stop) = watch::channel(false);
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            signals.next().await;
            output.note("stopping; a second signal stops at once");
            // Nobody may be waiting any more.
            let _ = asked.send(true);
            signals.next().await;
            output.end_progress();
            std::process::exit(AT_ONCE);
        });
        Ok(Self(stop))
    }

    /// Returns whether a signal came.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for a signal.
    pub async fn wait(&self) {
        if self.0.clone().wait_for(|it| *it).await.is_err() {
            // Nothing listens any more, so none comes.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
