//! Every fault between a client and a server: the number of requests, the error, and that no write happens twice, no
//! call hangs and no credential is shown.

// Some of the faults need all features, and so does the table in the docs, which has all of them.
#![cfg_attr(not(all(feature = "gzip", feature = "http2", feature = "rustls")), allow(dead_code))]

#[cfg(feature = "http2")]
mod h2;
mod planted;
mod row;
mod server;
mod table;
mod text;

#[cfg(feature = "rustls")]
mod tls;

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::integration::{ActionLogInput, LogsQuery};
use actionlog::page::{Stability, TotalScope};
use actionlog::{ClientBuilder, Error, IntegrationClient, RetryPolicy};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::docs;
use crate::recorder::Recorder;
use crate::support::{self, all_shown};
use row::{Calls, Counted, End, Row};
use server::Server;

pub(crate) type Builder = ClientBuilder<IntegrationClient>;

/// Part of all keys and tokens of the clients, and of everything that the servers send; never of what a caller sees.
pub(crate) const SECRET: &str = "pl4nted-s3cret";

/// Part of what is requested, written and read: no error, span or event contains it either.
const PAYLOAD: &str = "pl4nted-payload";

/// Far more than any case takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// More cases at once would only delay each other, and each needs some of the file descriptors of the process.
const AT_ONCE: usize = 48;

/// All calls, for any row.
fn each_call(_: usize) -> Vec<Calls> {
    vec![Calls::List, Calls::Stream, Calls::Create]
}

/// Runs every row with some of the three calls, and returns what differs from the row.
///
/// `prepare` is called last with each client's builder, and `on_error` with each error that a caller sees.
pub(crate) async fn drive(
    rows: Vec<Row>,
    calls: impl Fn(usize) -> Vec<Calls>,
    prepare: impl Fn(Builder) -> Builder,
    on_error: impl Fn(&Row, Calls, &Error) + Send + Sync + 'static,
) -> Vec<String> {
    let on_error = Arc::new(on_error);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut cases = JoinSet::new();
    for (at, row) in rows.into_iter().map(Arc::new).enumerate() {
        for calls in calls(at) {
            let (row, on_error) = (Arc::clone(&row), Arc::clone(&on_error));
            let permit = Arc::clone(&room).acquire_owned().await.unwrap();
            // Not in the tasks: setting up TLS takes a lot of CPU time, which would delay the others.
            let server = row.script.start().await;
            let client = prepare(builder(&row, calls, &server)).build().unwrap();
            cases.spawn(async move {
                let _permit = permit;
                let case = case(&row, calls, &server, &client, |error| on_error(&row, calls, error));
                let problems = match timeout(PATIENCE, case).await {
                    Ok(problems) => problems,
                    Err(_) => vec!["hangs".to_owned()],
                };
                problems.into_iter().map(|it| format!("{}, {calls:?}: {it}", row.name)).collect::<Vec<_>>()
            });
        }
    }
    let mut problems = Vec::new();
    while let Some(case) = cases.join_next().await {
        match case {
            Ok(more) => problems.extend(more),
            Err(panic) => problems.push(format!("a case has panicked: {panic}")),
        }
    }
    problems.sort();
    problems
}

fn builder(row: &Row, calls: Calls, server: &Server) -> Builder {
    let builder = IntegrationClient::builder(&*server.url)
        .bearer(SECRET)
        .retry(RetryPolicy::default().initial_backoff(Duration::from_millis(1)))
        // The total of the only page shows that there are no others.
        .total_scope(TotalScope::Listing);
    let builder = match &server.http_client {
        // One of the calls uses the default client, where the row allows it.
        Some(_) if calls == Calls::List && row.script.is_usual() => builder,
        Some(http_client) => builder.http_client(http_client.clone()),
        None => builder,
    };
    (row.tune)(builder)
}

/// Runs one row with one call, against a separate server.
async fn case(
    row: &Row,
    calls: Calls,
    server: &Server,
    client: &IntegrationClient,
    on_error: impl Fn(&Error),
) -> Vec<String> {
    if row.warm {
        if let Err(error) = client.logs().list(()).page().await {
            return vec![format!("the call before fails: {error:?}")];
        }
        sleep(server::A_MOMENT).await;
    }
    let count = || match row.script.counted() {
        Counted::Requests => server.seen.requests.load(Ordering::SeqCst),
        Counted::Connections => server.seen.connections.load(Ordering::SeqCst),
    };
    let before = count();
    let (result, mut problems) = call(client, calls).await;
    let end = row.end(calls);
    let came = count() - before;
    // A scan requests the head again at its end.
    let more = u32::from(calls == Calls::Stream && end.failure.is_none());
    let expected = if row.reaches_nobody() { 0 } else { end.attempts + more };
    if came != expected {
        problems.push(format!("{came} requests came, not {expected}"));
    }
    if calls == Calls::Create && came > 1 && row.again.is_none() {
        problems.push("a record was sent twice that may have been written the first time".to_owned());
    }
    if server.seen.elsewhere.load(Ordering::SeqCst) > 0 {
        problems.push("the client followed to another host".to_owned());
    }
    match result {
        Ok(()) if end == End::fine(end.attempts) => {}
        Ok(()) => problems.push(format!("is fine, not {end}")),
        Err(error) => {
            on_error(&error);
            let came = End::of(&error);
            if came != end {
                problems.push(format!("{came}, not {end}: {error:?}"));
            }
            let shown = all_shown(&error).to_lowercase();
            if shown.contains(PAYLOAD) {
                problems.push(format!("what was read or written is shown: {shown}"));
            }
            if shown.contains(SECRET) {
                problems.push(format!("the secret is shown: {shown}"));
            }
        }
    }
    problems
}

/// Makes one call, and returns what a caller sees that can't be right, whatever the fault.
async fn call(client: &IntegrationClient, calls: Calls) -> (Result<(), Error>, Vec<String>) {
    let logs = client.logs();
    let mut problems = Vec::new();
    let result = match calls {
        Calls::List => logs
            .list(LogsQuery::new().search(format!("{PAYLOAD} {SECRET}")))
            .page()
            .await
            .map(|page| page.entries.len()),
        Calls::Create => logs.create(pending_input()).await.map(|_| 1),
        Calls::Stream => {
            // In an order that may change, the head is requested again: a request after the fault.
            let mut items = logs.list(()).stability(Stability::Unstable).items();
            let mut delivered = 0;
            loop {
                match items.next().await {
                    Some(Ok(_)) => delivered += 1,
                    Some(Err(error)) => {
                        if !error.is_transient() && items.next().await.is_some() {
                            problems.push("the stream goes on after an error that doesn't pass".to_owned());
                        }
                        break Err(error);
                    }
                    None => break Ok(delivered),
                }
            }
        }
    };
    if result.as_ref().is_ok_and(|it| *it != 1) {
        problems.push("there is one record, and another number was delivered".to_owned());
    }
    (result.map(|_| ()), problems)
}

fn pending_input() -> ActionLogInput {
    support::pending_input().payload(serde_json::json!({ "note": PAYLOAD }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_the_documented_error_and_shows_no_secret() {
    // All rows in one test, so that they wait at the same time.
    let rows = table::all().into_iter().flat_map(|it| it.rows).collect();
    let problems = drive(rows, each_call, |it| it, |_, _, _| ()).await;
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// On one thread, because a subscriber belongs to a thread.
#[tokio::test]
async fn no_secret_reaches_a_subscriber_or_an_observer_in_any_failure() {
    let recorder = Recorder::default();
    let _guard = recorder.listen();
    let observed: Arc<Mutex<String>> = Arc::default();
    let clients: Arc<Mutex<String>> = Arc::default();
    let (noted, shown) = (Arc::clone(&observed), Arc::clone(&clients));
    let prepare = move |builder: Builder| {
        let noted = Arc::clone(&noted);
        let builder = builder
            .header("x-gateway-token", SECRET)
            .observer(move |event| writeln!(noted.lock().unwrap(), "{event:?}").unwrap());
        writeln!(shown.lock().unwrap(), "{builder:?} {builder:#?}").unwrap();
        builder
    };
    let errors: Arc<Mutex<String>> = Arc::default();
    let reported = Arc::clone(&errors);
    let rows = table::all().into_iter().flat_map(|it| it.rows).collect();
    let problems =
        drive(rows, each_call, prepare, move |_, _, error| reported.lock().unwrap().push_str(&all_shown(error))).await;
    // Durations are tested elsewhere: here all calls share a thread with a subscriber that keeps everything.
    let grave: Vec<_> = problems.iter().filter(|it| it.contains("panic") || it.contains("shown")).collect();
    assert!(grave.is_empty(), "{grave:#?}");

    let own = recorder.own();
    let attempts = own.iter().filter(|it| it.name == "actionlog.attempt").count();
    assert!(attempts > 500, "{attempts} attempts were reported");
    let observed = observed.lock().unwrap();
    assert!(observed.lines().count() > 500);
    let texts = [
        ("a span or an event", recorder.text()),
        ("the observer", observed.clone()),
        ("an error", errors.lock().unwrap().clone()),
        ("a client", clients.lock().unwrap().clone()),
    ];
    for (where_it_is, text) in texts {
        let text = text.to_lowercase();
        for planted in [SECRET, PAYLOAD] {
            let at = text.find(planted);
            let around = at.map(|at| text[at.saturating_sub(300)..].chars().take(400).collect::<String>());
            assert_eq!(around, None, "{planted} is in {where_it_is}");
        }
    }
}

/// Needs all features, because the docs have all rows.
#[cfg(all(feature = "gzip", feature = "http2", feature = "rustls"))]
#[test]
fn the_docs_have_the_table_of_faults() {
    let rendered = text::within(&docs::text("src/faults.md"), &table::all());
    docs::hold("src/faults.md", &rendered);
}
