//! Processes of different versions: a plan that one of them changes on its way to another.

use std::time::Duration;

use actionlog_ballista::{Options, cluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::processes::{Cluster, port};
use crate::support::{Asked, Fake, KNOWN};

/// How a plan says its version; `?` is any byte.
const OURS: &[u8] = b"\"version\":?,\"package\":\"0.1.0\"";
const OTHER: &[u8] = b"\"version\":9,\"package\":\"0.7.0\"";

/// How long bytes are held that may begin a version.
const HELD: Duration = Duration::from_millis(100);

fn is_ours(bytes: &[u8]) -> bool {
    bytes.iter().zip(OURS).all(|(byte, ours)| byte == ours || *ours == b'?')
}

/// Changes the version of plans, and returns how many bytes are complete: the others may begin one.
fn change(bytes: &mut [u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        if is_ours(&bytes[at..]) {
            let Some(ours) = bytes.get_mut(at..at + OURS.len()) else { return at };
            ours.copy_from_slice(OTHER);
        }
        at += 1;
    }
    at
}

/// Passes the bytes of all connections on, with another version in what goes to the server.
async fn changed(listen: &str, to: u16) -> u16 {
    let listener = TcpListener::bind(listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let (mut held, mut buffer) = (Vec::new(), vec![0; 65_536]);
                loop {
                    let complete = match tokio::time::timeout(HELD, from_client.read(&mut buffer)).await {
                        Ok(Ok(read @ 1..)) => {
                            held.extend_from_slice(&buffer[..read]);
                            change(&mut held)
                        }
                        Ok(_) => break,
                        // What is held doesn't begin a version.
                        Err(_) => held.len(),
                    };
                    if to_server.write_all(&held[..complete]).await.is_err() {
                        break;
                    }
                    held.drain(..complete);
                }
            });
        }
    });
    port
}

async fn error_of(url: String, fake: &Fake) -> String {
    let logs = fake.session(Options::default(), &KNOWN).logs;
    let asked = Asked { session: cluster::session(url, &logs).unwrap(), logs };
    let error = asked.error("SELECT COUNT(*), MIN(key) FROM integration_logs");
    tokio::time::timeout(Duration::from_secs(60), error).await.expect("the query neither returns nor fails")
}

fn both_are_named(error: &str) {
    for what in ["version 9, of actionlog-ballista 0.7.0", "this process reads version ", "actionlog-ballista 0.1.0"] {
        assert!(error.contains(what), "{error}");
    }
    assert!(error.contains("run the same one on client, scheduler and executors"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_refuses_a_client_of_another_version_and_names_both() {
    let fake = Fake::start(200).await;
    let cluster = Cluster::start(1, 2, &fake.variables(&KNOWN));
    cluster.ready().await;
    let port = changed("127.0.0.1:0", cluster.port).await;
    both_are_named(&error_of(format!("http://127.0.0.1:{port}"), &fake).await);
    // The same cluster runs plans of its own version.
    assert_eq!(cluster.ask(&fake, Options::default()).number("SELECT COUNT(*) FROM integration_logs").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_of_another_version_fails_the_query_and_names_both() {
    let fake = Fake::start(200).await;
    let mut cluster = Cluster::without_executors();
    // The scheduler reaches the executor at another address of this machine, where plans are changed.
    let (rows, tasks) = (port(), port());
    changed(&format!("127.0.0.2:{rows}"), rows).await;
    changed(&format!("127.0.0.2:{tasks}"), tasks).await;
    cluster.add_executor_at([rows, tasks], "--tasks 2 --external-host 127.0.0.2", &fake.variables(&KNOWN));
    cluster.ready().await;
    let before = fake.requests().len();
    both_are_named(&error_of(cluster.url(), &fake).await);
    // The session cut the log, and nobody read it.
    assert_eq!(fake.requests().len() - before, 1);
}

#[test]
fn a_version_is_changed_wherever_it_is_cut() {
    let whole = b"ab \"version\":2,\"package\":\"0.1.0\",\"x\":\"\"ver".to_vec();
    for cut in 0..whole.len() {
        let (mut held, mut sent) = (whole[..cut].to_vec(), Vec::new());
        for more in [&whole[cut..], b"y"] {
            let complete = change(&mut held);
            sent.extend(held.drain(..complete));
            held.extend_from_slice(more);
        }
        let complete = change(&mut held);
        sent.extend(held.drain(..complete));
        assert_eq!(sent, b"ab \"version\":9,\"package\":\"0.7.0\",\"x\":\"\"very", "{cut}");
    }
}
