//! The loop around a follower, written.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use crate::error::Error;
use crate::follow::batch::{Batch, StartFrom};
use crate::follow::store::{CheckpointStore, StoreError};
use crate::follow::stream::Follow;
use crate::page::Paginate;

/// Why [`Follow::run`] ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The follower ended with an error that isn't transient.
    Follow(Error),
    /// The handler failed. Its batch comes again in the next run.
    Handler(E),
    /// The checkpoint can't be loaded or saved. The batches since the last checkpoint come again in the next run.
    Store(StoreError),
}

impl<E> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Follow(_) => "the log can't be followed any further",
            Self::Handler(_) => "a batch of changes wasn't taken",
            Self::Store(_) => "the checkpoint of a follower can't be loaded or saved",
        })
    }
}

impl<E: StdError + 'static> StdError for RunError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match self {
            Self::Follow(error) => error,
            Self::Handler(error) => error,
            Self::Store(error) => error,
        })
    }
}

impl<E> From<StoreError> for RunError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<Q: Paginate> Follow<Q> {
    /// Follows for ever: starts from the checkpoint of the store, if there is one, passes each batch to the handler,
    /// and saves its checkpoint once the handler has returned `Ok`.
    ///
    /// So a batch is delivered at least once: a crash between the handler and the save delivers it again. Where the
    /// changes go to a database, write the loop yourself and store the checkpoint in the same transaction: see
    /// [`keeping_in_step`](crate::keeping_in_step).
    ///
    /// A transient error of the follower is logged as a `tracing` event of level `WARN`, and the follower goes on. The
    /// handler also gets the batches without changes, for their [progress](Batch::progress).
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use actionlog::follow::MemoryCheckpoints;
    /// use actionlog::{IntegrationClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.integration().add_sample_logs(250);
    /// let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    ///
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let (mut stop, mut seen) = (Some(stop), 0);
    /// let follow = client.logs().list(()).follow().shutdown_on(async { drop(stopped.await) });
    /// follow
    ///     .run(&MemoryCheckpoints::new(), |batch| {
    ///         seen += batch.changes.len();
    ///         if batch.progress.caught_up {
    ///             stop.take();
    ///         }
    ///         async { Ok::<_, std::convert::Infallible>(()) }
    ///     })
    ///     .await?;
    /// assert_eq!(seen, 250);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    ///
    /// Returns `Ok` once [`shutdown_on`](Self::shutdown_on) has ended the stream.
    ///
    /// # Errors
    ///
    /// [`RunError`]: the error of the handler or the store, or one of the follower that isn't transient.
    pub async fn run<S, H, F, E>(self, store: &S, mut handler: H) -> Result<(), RunError<E>>
    where
        S: CheckpointStore + ?Sized,
        H: FnMut(Batch<Q::Item>) -> F,
        F: Future<Output = Result<(), E>>,
    {
        let stored = store.load().await?;
        let mut version = stored.as_ref().map(|it| it.1);
        let mut last = stored.map(|it| it.0);
        let mut follow = match &last {
            Some(checkpoint) => self.start_from(StartFrom::Checkpoint(checkpoint.clone())),
            None => self,
        };
        while let Some(batch) = follow.next().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) if error.is_transient() => {
                    tracing::warn!(target: "actionlog", error = &error as &dyn StdError, "a follower's poll failed");
                    continue;
                }
                Err(error) => return Err(RunError::Follow(error)),
            };
            let checkpoint = batch.checkpoint.clone();
            handler(batch).await.map_err(RunError::Handler)?;
            if last.as_ref() != Some(&checkpoint) {
                version = Some(store.save(&checkpoint, version).await?);
                last = Some(checkpoint);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn why_a_loop_ended_is_said_by_the_source_of_its_error() {
        type Handled = RunError<std::io::Error>;
        for (error, source) in [
            (Handled::Follow(Error::new(ErrorKind::Unauthorized, "no such key")), "no such key"),
            (Handled::Handler(std::io::Error::other("no such table")), "no such table"),
            (Handled::from(StoreError::other("no such file")), "no such file"),
        ] {
            let shown = error.source().map(|it| format!("{it} {:?}", it.source())).unwrap_or_default();
            assert!(shown.contains(source), "{error}: {shown}");
            assert!(!error.to_string().contains(source), "{error}: said twice");
        }
    }
}
