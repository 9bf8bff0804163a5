//! The limits of a server, which all processes share.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actionlog::testing::Fault;
use actionlog_ballista::Options;

use crate::processes::Cluster;
use crate::support::{Fake, KNOWN, watched};

const COUNT: &str = "SELECT COUNT(*) FROM integration_logs";

fn refusal(seconds: u64) -> Fault {
    let headers = vec![("retry-after".to_owned(), seconds.to_string())];
    Fault::StatusWith { status: 429, headers, body: "{}".into() }
}

fn at_once(parts: usize) -> Options {
    let mut options = Options::default();
    options.parts_at_once = parts;
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn all_executors_together_keep_to_the_number_of_parts_at_once() {
    let fake = Fake::start(3_000).await;
    fake.server.latency(Duration::from_millis(30));
    let (url, most) = watched(fake.url()).await;
    let mut known = KNOWN.to_vec();
    known.push(("INTEGRATION_LOGS_URL", &url));
    // Both could read four at once.
    let cluster = Cluster::start(2, 4, &fake.variables(&known));
    cluster.ready().await;
    for parts in [1, 3] {
        most.store(0, Ordering::SeqCst);
        let asked = cluster.ask_with(&fake, at_once(parts), &known);
        assert_eq!(asked.number(COUNT).await, 3_000);
        let most = most.load(Ordering::SeqCst);
        assert!(most <= parts && (parts == 1 || most > 1), "{most} in flight, of {parts}");
    }
}

/// Refuses what exceeds so many requests in a second, until that is over. Returns how many were refused in each.
fn throttle(fake: &Fake, most: usize) -> Arc<Mutex<BTreeMap<u64, (usize, usize)>>> {
    let (seconds, start) = (Arc::new(Mutex::new(BTreeMap::new())), Instant::now());
    let counts = Arc::clone(&seconds);
    fake.server.before_each(move |server| {
        let mut counts = counts.lock().unwrap();
        let (accepted, refused): &mut (usize, usize) = counts.entry(start.elapsed().as_secs()).or_default();
        if *accepted < most {
            *accepted += 1;
        } else {
            *refused += 1;
            server.fail_next(refusal(1));
        }
    });
    seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_throttles_refuses_each_part_once_a_second_at_most_over_all_executors() {
    let fake = Fake::start(1_200).await;
    fake.server.latency(Duration::from_millis(20));
    for executors in [1, 2] {
        let cluster = Cluster::start(executors, 4, &fake.variables(&KNOWN));
        cluster.ready().await;
        let asked = cluster.ask(&fake, at_once(4));
        let seconds = throttle(&fake, 6);
        assert_eq!(asked.number(COUNT).await, 1_200, "{executors}");
        assert_eq!(asked.last().verdict, "complete", "{executors}");
        let seconds = seconds.lock().unwrap().clone();
        let most = seconds.values().map(|(_, refused)| *refused).max().unwrap();
        println!("{executors} executors: at most {most} refused in a second: {seconds:?}");
        // It did throttle, and never had to refuse a part again before it may be asked.
        assert!(most > 0 && most <= 4, "{executors}: {seconds:?}");
    }
}

/// Refuses one request for two seconds, and returns how many others came within them.
async fn requests_after_a_refusal(executors: usize, tasks: usize) -> usize {
    let fake = Fake::start(6_000).await;
    fake.server.latency(Duration::from_millis(50));
    let cluster = Cluster::start(executors, tasks, &fake.variables(&KNOWN));
    cluster.ready().await;
    let refused = Arc::new(Mutex::new((0, None)));
    let noted = Arc::clone(&refused);
    fake.server.at_request(20, |server| {
        server.fail_next(refusal(2));
    });
    fake.server.after_each(move |request| {
        let mut noted = noted.lock().unwrap();
        match noted.1 {
            None if request.status.is_some_and(|it| it.as_u16() == 429) => noted.1 = Some(Instant::now()),
            Some(at) if at.elapsed() < Duration::from_millis(1_900) => noted.0 += 1,
            _ => (),
        }
    });
    let asked = cluster.ask(&fake, at_once(8));
    assert_eq!(asked.number(COUNT).await, 6_000);
    let refused = refused.lock().unwrap();
    assert!(refused.1.is_some());
    refused.0
}

#[tokio::test(flavor = "multi_thread")]
async fn all_parts_of_a_process_wait_when_one_is_refused_and_those_of_other_processes_do_not() {
    let (one, two) = (requests_after_a_refusal(1, 8).await, requests_after_a_refusal(2, 4).await);
    println!("requests in the two seconds after a refusal: {one} of one executor, {two} of two");
    // Those that were in flight already.
    assert!(one <= 7, "{one}");
    assert!(two > 7, "{two}");
}
