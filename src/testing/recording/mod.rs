//! Records what a real server sends into a file without credentials, and plays it back in tests.
//!
//! A [`Recorder`] wraps an [`HttpClient`](crate::HttpClient). It passes each request on, and keeps the request and the
//! response; [`save`](Recorder::save) writes them. A [`Playback`] is an `HttpClient` that sends nothing: it responds
//! from such a file. Commit the file to your repository as a fixture, after you have read it.
//!
//! ```
//! use actionlog::IntegrationClient;
//! use actionlog::testing::recording::{Playback, Recorder};
//! # use actionlog::testing::FakeServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("actionlog-recording-{}.jsonl", std::process::id()));
//! # let real = FakeServer::new();
//! # real.integration().add_sample_logs(70);
//! # let real = real.http_client();
//! // Once, against the real server. There, `real` is `ReqwestClient::new(Some(Duration::from_secs(5)))?`.
//! let recorder = Recorder::new(real, &path);
//! let client = IntegrationClient::builder("https://logs.example.com").bearer("4f1d9c0ab7e2");
//! let client = client.http_client(recorder.clone()).build()?;
//! let recorded = client.logs().list(()).prefetch(1).collect().await.complete()?;
//! println!("{}", recorder.save()?);
//!
//! // In the tests.
//! let playback = Playback::open(&path)?;
//! let client = IntegrationClient::builder("https://logs.example.com").bearer("any").http_client(playback.clone());
//! let played = client.build()?.logs().list(()).prefetch(1).collect().await.complete()?;
//! assert_eq!(played.len(), recorded.len());
//! playback.finish()?;
//! # std::fs::remove_file(&path)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What isn't written
//!
//! - The headers of requests, and the host. Of the headers of responses, only [those allowed](Recorder::keep_header):
//!   never a cookie.
//! - The client's credentials, in any form that the client recognises in a [server's
//!   messages](crate::auth#what-is-shown-of-credentials): in the URL, in bodies, in parts, or encoded. Those of all
//!   recorded requests count, and those that were named by
//!   [`ClientBuilder::redact`](crate::ClientBuilder::redact) or [`Recorder::secret`].
//! - Values in JSON bodies whose name or form is that of a secret, also one of somebody else: `password`, `apiKey`,
//!   `access_token`, `Bearer ..`, a JSON Web Token, a private key. A time stays, and so does what
//!   [`keep_field`](Recorder::keep_field) names.
//! - What you name: fields by [`scrub_field`](Recorder::scrub_field), all else by [`scrub_with`](Recorder::scrub_with).
//!
//! Each is replaced by [`SCRUBBED`], or a number by 0, so that a record still decodes. All else of a body stays byte
//! for byte. Before the file is written, it is searched for the client's credentials again; if one is left,
//! [`save`](Recorder::save) fails and writes nothing.
//!
//! Whatever else identifies a person or a customer stays, unless you name it: names, addresses, payloads.
//!
//! # The format
//!
//! A text file in UTF-8 with a JSON object in each line. The first has the version and the number of exchanges, and
//! each other line is an exchange, in the order in which the requests were sent:
//!
//! ```text
//! {"actionlog_recording":1,"exchanges":2}
//! {"request":{"method":"GET","target":"/logs?limit=50"},"response":{"status":200,"headers":[["etag","1"]],"json":{}}}
//! ```
//!
//! `target` is the path and the query. A body is in `json` as it came, if it is an object or a list of JSON in one
//! line; else in `text`; or in `base64`, if it isn't UTF-8. An empty body has none of these.

mod body;
mod error;
mod file;
mod json;
mod playback;
mod recorder;
mod scrub;

use bytes::Bytes;
use http::{Method, StatusCode};

pub use error::{RecordingError, UnrecordedRequest};
pub use playback::Playback;
pub use recorder::{Recorder, Saved};

/// Replaces what isn't written. A [`Playback`] accepts any value in its place.
pub const SCRUBBED: &str = "[scrubbed]";

/// The version of the format: the one that is written, and the only one that is read.
const VERSION: u64 = 1;

/// A request and its response, as they are in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// The method of the request.
    pub method: Method,
    /// The path and the query of the request, percent-encoded.
    pub target: String,
    /// The body of the request. Empty if it has none.
    pub request_body: Bytes,
    /// The status of the response.
    pub status: StatusCode,
    /// The names and values of the response's headers that are kept.
    pub headers: Vec<(String, String)>,
    /// The body of the response, decompressed.
    pub body: Bytes,
}

impl Exchange {
    /// The request's method and target, for messages.
    fn name(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}
