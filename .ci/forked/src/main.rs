//! Three children of one process, each with the client that the process made before: no idempotency key comes twice.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::sync::Mutex;

use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::{Body, HttpClient, HttpError, IntegrationClient};
use async_trait::async_trait;
use bytes::Bytes;

const CHILDREN: usize = 3;
const KEYS: usize = 100;

/// Writes down the key of each request.
#[derive(Debug)]
struct Keys(Mutex<File>);

#[async_trait]
impl HttpClient for Keys {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let key = request.headers()["idempotency-key"].to_str().expect("a key is ASCII");
        // In one piece: the children share the pipe.
        let line = format!("{key}\n");
        self.0.lock().expect("nobody panics").write_all(line.as_bytes()).expect("a pipe takes a line");
        let created =
            r#"{"data":{"_id":"1","integrationId":"i","actionType":"sync","entityType":"e","status":"pending"}}"#;
        Ok(http::Response::new(Bytes::from(created).into()))
    }
}

fn create(client: &IntegrationClient, times: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..times {
            let input = ActionLogInput::new(ActionLogFields {
                integration_id: "i".into(),
                action_type: ActionType::Sync,
                entity_type: "e".into(),
                status: LogStatus::Pending,
            });
            client.logs().create(input).await.expect("a log");
        }
    });
}

fn main() {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: nobody else has them.
    let (mut from, to) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    let client = IntegrationClient::builder("http://localhost").api_key("any").idempotency_header("idempotency-key");
    let client = client.http_client(Keys(Mutex::new(to))).build().expect("a client");
    // Whatever has a state has it from here on.
    create(&client, 1);
    for _ in 0..CHILDREN {
        // SAFETY: this process has one thread.
        match unsafe { libc::fork() } {
            0 => {
                create(&client, KEYS);
                std::process::exit(0);
            }
            child => assert!(child > 0, "no child"),
        }
    }
    // The last who can write closes the pipe.
    drop(client);
    let mut text = String::new();
    from.read_to_string(&mut text).expect("text");
    for _ in 0..CHILDREN {
        let mut status = -1;
        // SAFETY: there is room for a status.
        assert!(unsafe { libc::wait(&mut status) } > 0 && status == 0, "a child failed: {status}");
    }
    assert!(text.lines().all(|it| it.len() == 36), "{text}");
    let keys: BTreeSet<_> = text.lines().collect();
    assert_eq!((text.lines().count(), keys.len()), (1 + CHILDREN * KEYS, 1 + CHILDREN * KEYS), "keys came twice");
    println!("{} keys of a process and its {CHILDREN} children, and each is another", keys.len());
}
