//! Responses that take long to decode or to read: deadlines, and other tasks.

use std::time::{Duration, Instant};

use actionlog::{
    Body, DecodeError, ErrorKind, HttpClient, HttpError, IntegrationClient, Request, RetryPolicy, WriteOutcome,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;

use crate::floods::{MIB, responding};

/// A request whose response takes this long to decode.
fn slow(takes: Duration) -> Request<()> {
    Request::get("slow", [""; 0]).read(move |_| {
        std::thread::sleep(takes);
        Ok::<_, DecodeError>(())
    })
}

#[tokio::test]
async fn a_deadline_ends_a_call_while_its_response_is_read() {
    let limit = Duration::from_millis(100);
    // A small one is decoded on this thread, and found to be late afterwards. The server applied the request.
    let client = responding(|| "{}".to_owned());
    let error = client.send(slow(3 * limit)).operation_timeout(limit).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Applied));
    assert!(error.is_transient());
    client.send(slow(Duration::from_millis(1))).operation_timeout(Duration::from_secs(20)).await.unwrap();

    // A large one is decoded on another thread. The call doesn't wait for it, so its outcome is unknown.
    let client = responding(|| " ".repeat(MIB));
    let began = Instant::now();
    let error = client.send(slow(Duration::from_secs(3))).operation_timeout(limit).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Unknown));
}

#[tokio::test]
async fn a_large_response_does_not_block_other_tasks() {
    let client = responding(|| " ".repeat(MIB));
    let reading = tokio::spawn(async move { client.send(slow(Duration::from_millis(500))).await });
    let (mut ticks, began) = (0, Instant::now());
    while !reading.is_finished() {
        sleep(Duration::from_millis(1)).await;
        ticks += 1;
    }
    reading.await.unwrap().unwrap();
    assert!(ticks > 50, "{ticks} in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_panic_while_a_large_response_is_decoded_reaches_the_caller() {
    let client = responding(|| " ".repeat(MIB));
    let request = Request::get("slow", [""; 0]).read::<()>(|_| panic!("of the reader"));
    let panicked = tokio::spawn(async move { client.send(request).await }).await.unwrap_err().into_panic();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"of the reader"));
}

/// Responds with a body that is always ready.
#[derive(Debug)]
struct Eager;

#[async_trait]
impl HttpClient for Eager {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let piece = Bytes::from(vec![b' '; 1024]);
        Ok(http::Response::new(Body::new(futures_util::stream::repeat_with(move || {
            std::thread::sleep(Duration::from_micros(20));
            Ok(piece.clone())
        }))))
    }
}

#[tokio::test]
async fn a_body_that_is_always_ready_respects_the_deadline() {
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(Eager);
    let client = client.max_body_bytes(usize::MAX).retry(RetryPolicy::never()).build().unwrap();
    for operation in [true, false] {
        let limit = Duration::from_millis(300);
        let page = client.logs().list(()).page();
        let page = if operation { page.operation_timeout(limit) } else { page.attempt_timeout(limit) };
        let began = Instant::now();
        let error = page.await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Unknown));
        assert!(began.elapsed() < limit + Duration::from_millis(500), "{:?}", began.elapsed());
    }
}
