//! Connections: how long they are kept, and which certificates they trust.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[cfg(feature = "rustls")]
use actionlog::{ErrorKind, RetryPolicy};
use actionlog::{IntegrationClient, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

fn probe() -> Request<()> {
    Request::get("probe", [""; 0])
}

/// The crate's own HTTP client, and one with a builder that says something else.
fn clients(url: &str) -> [IntegrationClient; 2] {
    let long = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(60));
    let builder = || IntegrationClient::builder(url).api_key("key");
    [builder().build().unwrap(), builder().reqwest(long).build().unwrap()]
}

/// (All of it at once: it takes ten seconds.)
#[tokio::test]
async fn a_connection_idle_for_ten_seconds_is_not_used_again_and_is_closed_within_twenty() {
    tokio::join!(reconnects(0), reconnects(1), closes(0), closes(1));
}

async fn reconnects(which: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = clients(&format!("http://{}", listener.local_addr().unwrap()))[which].clone();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Relaxed);
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).await.is_ok_and(|it| it > 0) {
                    stream.write_all(RESPONSE).await.unwrap();
                }
            });
        }
    });
    client.send(probe()).await.unwrap();
    client.send(probe()).await.unwrap();
    assert_eq!(accepted.load(Relaxed), 1);
    // Node closes connections that are idle for a little less than 15 s, others after 60: a request that coincides
    // with that gets no response.
    tokio::time::sleep(Duration::from_millis(10_200)).await;
    client.send(probe()).await.unwrap();
    assert_eq!(accepted.load(Relaxed), 2);
}

async fn closes(which: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = clients(&format!("http://{}", listener.local_addr().unwrap()))[which].clone();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 4096];
        assert!(stream.read(&mut bytes).await.unwrap() > 0);
        stream.write_all(RESPONSE).await.unwrap();
        let idle = Instant::now();
        // Keep the connection until the client closes it.
        while stream.read(&mut bytes).await.is_ok_and(|it| it > 0) {}
        idle.elapsed()
    });
    client.send(probe()).await.unwrap();
    let kept = tokio::time::timeout(Duration::from_secs(60), server).await.expect("it is closed").unwrap();
    // The pool looks every ten seconds. A busy machine may wake it late.
    assert!(kept >= Duration::from_secs(9) && kept < Duration::from_secs(30), "{kept:?}");
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_custom_authority_is_trusted_if_it_was_named() {
    use crate::support::{acceptor, pem};

    let key = rcgen::KeyPair::generate().unwrap();
    let signed = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let acceptor = acceptor(&signed, &key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(RESPONSE).await;
            let _ = stream.shutdown().await;
        }
    });
    let builder = || IntegrationClient::builder(&*url).api_key("key").retry(RetryPolicy::never());
    let named = builder().root_certificates(pem("CERTIFICATE", signed.der())).build().unwrap();
    named.send(probe()).await.unwrap();
    let error = builder().build().unwrap().send(probe()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);

    let coded = pem("CERTIFICATE", signed.der());
    for junk in [String::new(), "junk".to_owned(), pem("PRIVATE KEY", &key.serialize_der()), coded[..80].to_owned()] {
        let error = builder().root_certificates(junk).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
    // For a custom HTTP client they would have no effect.
    let own = builder().root_certificates(coded).http_client(actionlog::ReqwestClient::new(None).unwrap());
    assert_eq!(own.build().unwrap_err().kind(), ErrorKind::Configuration);
}
