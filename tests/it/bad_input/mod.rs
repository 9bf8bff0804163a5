//! Wrong input from either side: arguments that cannot be sent, and responses that are broken, too large or hostile.

mod arguments;
mod bodies;
mod configuration;
mod connections;
mod credentials;
mod records;
mod statuses;

use std::io::Write as _;

use actionlog::Error;
use flate2::Compression;
use flate2::write::GzEncoder;
use wiremock::Respond;

use crate::support::{client, first_error, received, serve};

pub(crate) const EMPTY: &str = r#"{"actionSetEvents":[]}"#;

/// The bytes of a response with a status, headers, a `Content-Length` and a body.
pub(crate) fn wire(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    out.extend(body);
    out
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

/// The error of a request whose response has a success status.
pub(crate) async fn made_of(response: impl Respond + 'static) -> Error {
    let server = serve(response).await;
    let error = first_error(&client(server.uri())).await;
    assert!(error.attempts() > 0);
    assert!(!received(&server).await.is_empty());
    error
}
