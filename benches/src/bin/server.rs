//! Serves listings of any length for all three APIs on a port of this machine: `server RECORDS LATENCY_MS`.
//!
//! Records are made on the fly: the texts of one page, each time with other ids. Prints its port, and ends when its
//! input does, so that it outlives nobody.

use std::io::{Write as _, stdin};
use std::time::Duration;
use std::{env, io, process, thread};

use actionlog_benches::pages;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// Stands where an id goes.
const PLACE: &str = "@ID@";

/// An API's listing.
struct Listing {
    /// Each record's text, cut where its id goes.
    records: Vec<Vec<String>>,
    /// The names of the parameters.
    offset: &'static str,
    limit: &'static str,
    /// The id of a record by its place.
    id: fn(u64, u64) -> String,
    before: &'static str,
    after: fn(u64) -> String,
}

struct Served {
    listings: [Listing; 3],
    length: u64,
    latency: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let args: Vec<u64> = env::args().skip(1).map(|it| it.parse().expect("a number")).collect();
    let [length, latency] = args[..] else { panic!("usage: server RECORDS LATENCY_MS") };
    let served: &Served = Box::leak(Box::new(Served {
        listings: [arklow(), integration(), unleash()],
        length,
        latency: Duration::from_millis(latency),
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;
    thread::spawn(|| {
        let _ = io::copy(&mut stdin(), &mut io::sink());
        process::exit(0);
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that breaks is the client's business.
        tokio::spawn(async move { served.connection(stream).await.ok() });
    }
}

fn arklow() -> Listing {
    let mut records = pages::records();
    for record in &mut records {
        record["id"] = json!(PLACE);
        for event in record["events"].as_array_mut().expect("events") {
            event["action_record_id"] = json!(PLACE);
        }
    }
    Listing {
        records: cut(&records, PLACE),
        offset: "skip",
        limit: "take",
        id: |place, _| (100_000_000 + place).to_string(),
        before: r#"{"data":{"items":["#,
        after: |length| format!(r#"],"count":{length}}},"errors":null}}"#),
    }
}

fn integration() -> Listing {
    let mut records = pages::logs();
    records.iter_mut().for_each(|it| it["_id"] = json!(PLACE));
    Listing {
        records: cut(&records, PLACE),
        offset: "offset",
        limit: "limit",
        id: |place, _| format!("65f0a1b2c3d4e5f6{place:08x}"),
        before: r#"{"success":true,"data":["#,
        after: |length| format!(r#"],"total":{length}}}"#),
    }
}

fn unleash() -> Listing {
    let mut records = pages::events();
    records.iter_mut().for_each(|it| it["id"] = json!(PLACE));
    Listing {
        // Ids are numbers.
        records: cut(&records, &format!("\"{PLACE}\"")),
        offset: "offset",
        limit: "limit",
        id: |place, length| (length - place).to_string(),
        before: r#"{"actionSetEvents":["#,
        after: |_| "]}".to_owned(),
    }
}

fn cut(records: &[Value], place: &str) -> Vec<Vec<String>> {
    records.iter().map(|it| it.to_string().split(place).map(str::to_owned).collect()).collect()
}

impl Served {
    async fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut input = Vec::new();
        let mut output = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = input.windows(4).position(|it| it == b"\r\n\r\n") {
                    break end;
                }
                if stream.read_buf(&mut input).await? == 0 {
                    return Ok(());
                }
            };
            // Making the response is part of the time that it takes.
            let due = Instant::now() + self.latency;
            output.clear();
            self.respond(&String::from_utf8_lossy(&input[..end]), &mut output);
            input.drain(..end + 4);
            if !self.latency.is_zero() {
                sleep_until(due).await;
            }
            stream.write_all(&output).await?;
        }
    }

    /// Head and body, in one piece.
    fn respond(&self, request: &str, output: &mut Vec<u8>) {
        let target = request.split(' ').nth(1).expect("a request line");
        let (path, query) = target.split_once('?').expect("a query");
        let [arklow, integration, unleash] = &self.listings;
        let listing = match path {
            _ if query.contains("skip=") => arklow,
            _ if path.ends_with("/events") => unleash,
            _ => integration,
        };
        let number = |name: &str| -> u64 {
            let value = query.split('&').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
            value.expect("a parameter").parse().expect("a number")
        };
        let (offset, limit) = (number(listing.offset).min(self.length), number(listing.limit));
        let mut body = String::with_capacity(256 * 1024);
        body.push_str(listing.before);
        for place in offset..(offset + limit).min(self.length) {
            if place > offset {
                body.push(',');
            }
            let id = (listing.id)(place, self.length);
            let texts = &listing.records[place as usize % listing.records.len()];
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    body.push_str(&id);
                }
                body.push_str(text);
            }
        }
        body.push_str(&(listing.after)(self.length));
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ndate: Tue, 03 Mar 2026 10:00:00 GMT\r\n\
             cache-control: no-store\r\nx-request-id: 5b9f6f0a8f2b4c7d\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        output.extend_from_slice(head.as_bytes());
        output.extend_from_slice(body.as_bytes());
    }
}
