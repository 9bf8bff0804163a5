//! Followers: cadence, errors, starting points, and what they deliver, through the fake server in memory under paused
//! time.

use std::collections::BTreeMap;
use std::time::Duration;

use actionlog::follow::{Batch, Change, Follow, GapReason, StartFrom};
use actionlog::testing::FakeServer;
use actionlog::unleash::{ActionSetEvent, EventsQuery};
use actionlog::{ArklowClient, UnleashClient};
use tokio::time::Instant;

mod custom;
mod errors;
mod limits;
mod restarts;
mod sizes;
mod stores;
mod trouble;

use crate::support::{self, builder, fake_with_logs, log_text};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn unleash(server: &FakeServer) -> UnleashClient {
    builder("http://localhost").http_client(server.http_client()).build().unwrap()
}

/// The events of action set 1.
pub(crate) fn events(server: &FakeServer) -> Follow<EventsQuery> {
    unleash(server).action_set_events().list(("default", 1)).follow()
}

/// An event with this id and state.
pub(crate) fn event(id: i64, state: &str) -> String {
    let mut event = support::event(id);
    event["state"] = state.into();
    event.to_string()
}

pub(crate) fn fake_with_events(events: i64) -> FakeServer {
    let server = FakeServer::new();
    for id in 1..=events {
        server.unleash().add_raw("default", 1, event(id, "success"));
    }
    server
}

/// A short form of a change: `+7` is new, `~7` late, `=7` updated, `-7` removed, `!7` invalid.
pub(crate) fn short(change: &Change<ActionSetEvent>) -> String {
    match change {
        Change::New(event) => format!("+{}", event.id),
        Change::Late(event) => format!("~{}", event.id),
        Change::Updated(event) => format!("={}", event.id),
        Change::Removed(key) => format!("-{key}"),
        Change::Invalid(record) => format!("!{}", record.id().unwrap_or_default()),
        other => format!("{other:?}"),
    }
}

pub(crate) fn shorts(batch: &Batch<ActionSetEvent>) -> Vec<String> {
    batch.changes.iter().map(short).collect()
}

/// Reads until the follower has caught up. Returns the changes.
pub(crate) async fn catch_up(follow: &mut Follow<EventsQuery>) -> Vec<String> {
    let mut changes = Vec::new();
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        changes.extend(shorts(&batch));
        if batch.progress.caught_up {
            return changes;
        }
    }
}

/// Reads until there are changes.
pub(crate) async fn changed(follow: &mut Follow<EventsQuery>) -> Vec<String> {
    loop {
        let changes = shorts(&follow.next().await.unwrap().unwrap());
        if !changes.is_empty() {
            return changes;
        }
    }
}

fn new(ids: impl Iterator<Item = i64>) -> Vec<String> {
    ids.map(|it| format!("+{it}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_follower_delivers_what_is_there_and_then_what_comes_oldest_first() {
    let server = fake_with_events(120);
    let mut follow = events(&server);
    assert_eq!(catch_up(&mut follow).await, new((1..=120).rev()));
    for id in 121..=123 {
        server.unleash().add_raw("default", 1, event(id, "success"));
    }
    assert_eq!(changed(&mut follow).await, new(121..=123));
    // More than a page between two polls.
    for id in 124..=400 {
        server.unleash().add_raw("default", 1, event(id, "success"));
    }
    assert_eq!(catch_up(&mut follow).await, new(124..=400));
}

#[tokio::test(start_paused = true)]
async fn an_idle_follower_sends_one_request_a_poll_and_polls_less_and_less_often() {
    let server = fake_with_events(120);
    let mut follow = events(&server).sweep_interval(None);
    catch_up(&mut follow).await;
    let before = server.requests().len();
    let mut waits = Vec::new();
    for _ in 0..6 {
        let begin = Instant::now();
        let batch = follow.next().await.unwrap().unwrap();
        assert!(batch.changes.is_empty() && batch.progress.caught_up, "{batch:?}");
        waits.push(begin.elapsed().as_secs_f64());
    }
    assert_eq!(server.requests().len() - before, 6);
    for (wait, expected) in waits.iter().zip([5.0, 5.0, 10.0, 20.0, 30.0, 30.0]) {
        assert!((0.89 * expected..1.11 * expected).contains(wait), "{waits:?}");
    }
    // A change makes the next wait short again.
    server.unleash().add_raw("default", 1, event(121, "success"));
    changed(&mut follow).await;
    let begin = Instant::now();
    follow.next().await.unwrap().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn changes_within_the_lookback_are_found_by_sweeps_once_a_minute() {
    let server = fake_with_events(400);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    // On the first page a poll finds it at once; far below, the next sweep does.
    log.replace(10, event(390, "failed"));
    assert_eq!(changed(&mut follow).await, ["=390"]);
    let begin = Instant::now();
    log.replace(300, event(100, "failed"));
    assert_eq!(changed(&mut follow).await, ["=100"]);
    assert!(begin.elapsed() <= 61 * SECOND, "{:?}", begin.elapsed());
    // The order of keys says nothing.
    let value: serde_json::Value = serde_json::from_str(&event(389, "success")).unwrap();
    let reversed: Vec<_> = value.as_object().unwrap().iter().rev().map(|(key, it)| format!("{key:?}: {it}")).collect();
    log.replace(11, format!("{{ {} }}", reversed.join(", ")));
    for _ in 0..30 {
        assert_eq!(shorts(&follow.next().await.unwrap().unwrap()), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_gone_is_reported_once_two_sweeps_have_missed_it() {
    let server = fake_with_events(200);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    server.unleash().log("default", 1).remove(100);
    let begin = Instant::now();
    assert_eq!(changed(&mut follow).await, ["-100"]);
    let took = begin.elapsed();
    assert!((60 * SECOND..=125 * SECOND).contains(&took), "{took:?}");
    for _ in 0..20 {
        assert_eq!(shorts(&follow.next().await.unwrap().unwrap()), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_record_is_delivered_as_late() {
    let server = fake_with_events(200);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    log.insert_raw(3, event(1_000, "success"));
    assert_eq!(changed(&mut follow).await, ["~1000"]);
    log.insert_raw(120, event(1_001, "success"));
    assert_eq!(changed(&mut follow).await, ["~1001"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_becomes_invalid_is_the_same_record_changed() {
    let server = fake_with_events(60);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    log.replace(5, r#"{"id": 55, "state": 7}"#);
    assert_eq!(changed(&mut follow).await, ["!55"]);
    log.add_raw(r#"{"state": "without an id"}"#);
    assert_eq!(changed(&mut follow).await, ["!"]);
    log.replace(6, event(55, "failed"));
    assert_eq!(changed(&mut follow).await, ["=55"]);
    for _ in 0..20 {
        assert_eq!(shorts(&follow.next().await.unwrap().unwrap()), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn latest_delivers_only_what_comes_and_what_changes() {
    let server = fake_with_events(2_000);
    let mut follow = events(&server).start_from(StartFrom::Latest).lookback(300);
    assert_eq!(catch_up(&mut follow).await, [""; 0]);
    // The lookback, and not the whole log.
    assert!(server.requests().len() < 10, "{}", server.requests().len());
    let log = server.unleash().log("default", 1);
    log.add_raw(event(2_001, "started"));
    assert_eq!(changed(&mut follow).await, ["+2001"]);
    log.replace(200, event(1_801, "failed"));
    assert_eq!(changed(&mut follow).await, ["=1801"]);
}

#[tokio::test(start_paused = true)]
async fn since_delivers_what_is_newer_oldest_first() {
    let server = FakeServer::new();
    let time = |id: i64| chrono::DateTime::from_timestamp(1_700_000_000 + 600 * id, 0).unwrap();
    for id in 1..=500 {
        let mut event = support::event(id);
        event["createdAt"] = time(id).to_rfc3339().into();
        server.unleash().add_raw("default", 1, event.to_string());
    }
    let mut follow = events(&server).start_from(StartFrom::Since(time(380)));
    assert_eq!(catch_up(&mut follow).await, new(381..=500));
    assert!(server.requests().len() < 14, "{}", server.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_grows_at_its_end_is_followed_there() {
    use actionlog::integration::{LogsQuery, SortOrder};

    let server = fake_with_logs(250);
    let client = support::integration(&server);
    let listing = client.logs().list(LogsQuery::new().order(SortOrder::Asc));
    for start in [StartFrom::Beginning, StartFrom::Latest] {
        let expected: Vec<u64> = if start == StartFrom::Beginning { (1..=250).collect() } else { Vec::new() };
        let mut follow = listing.clone().follow().start_from(start).lookback(50).sweep_interval(None);
        let mut ids: Vec<u64> = Vec::new();
        loop {
            let batch = follow.next().await.unwrap().unwrap();
            ids.extend(batch.changes.iter().filter_map(Change::record).map(|it| it.id.get().parse::<u64>().unwrap()));
            if batch.progress.caught_up {
                break;
            }
        }
        assert_eq!(ids, expected);
        let before = server.requests().len();
        for _ in 0..5 {
            assert!(follow.next().await.unwrap().unwrap().changes.is_empty());
        }
        assert_eq!(server.requests().len() - before, 5, "an idle poll is one request");
    }
    let mut follow = listing.follow().start_from(StartFrom::Latest);
    follow.next().await.unwrap().unwrap();
    server.integration().add_raw(log_text(251));
    let ids = loop {
        let batch = follow.next().await.unwrap().unwrap();
        if !batch.changes.is_empty() {
            break batch
                .changes
                .into_iter()
                .filter_map(Change::into_record)
                .map(|it| it.id.to_string())
                .collect::<Vec<_>>();
        }
    };
    assert_eq!(ids, ["251"]);
}

#[tokio::test(start_paused = true)]
async fn arklows_order_is_found_out_and_its_state_is_asked_for() {
    use actionlog::testing::FakeOrder;

    for order in [FakeOrder::Newest, FakeOrder::Oldest] {
        let server = FakeServer::new();
        server.arklow().add_sample_records("4711", 120).head_is(order);
        let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build().unwrap();
        let mut follow = client.records().list(()).follow().sweep_interval(None);
        let mut records = BTreeMap::new();
        let mut count = 0;
        loop {
            let batch = follow.next().await.unwrap().unwrap();
            for record in batch.changes.into_iter().filter_map(Change::into_record) {
                count += 1;
                assert!(record.state.is_some());
                records.insert(record.id.to_string(), record);
            }
            if batch.progress.caught_up {
                break;
            }
        }
        assert_eq!((records.len(), count), (120, 120));
        assert!(follow.notice().is_some_and(|it| it.contains("state")), "{:?}", follow.notice());
        let before = server.requests().len();
        server.arklow().add_sample_records("4711", 2);
        let batch = follow.next().await.unwrap().unwrap();
        assert_eq!(batch.changes.len(), 2, "{order:?}: {batch:?}");
        for _ in 0..4 {
            follow.next().await.unwrap().unwrap();
        }
        // The end is known: one request a poll, and one that proves the end behind new records.
        assert!(server.requests().len() - before <= 6, "{order:?}");
        assert!(server.requests().iter().all(|it| it.query.contains("include_state")));

        let mut follow = client.records().list(()).follow().as_queried();
        let batch = follow.next().await.unwrap().unwrap();
        assert!(batch.changes.iter().filter_map(Change::record).all(|it| it.state.is_none()));
        assert_eq!(follow.notice(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_is_unknown_which_end_grows_both_are_polled() {
    use actionlog::testing::FakeOrder;

    for order in [FakeOrder::Newest, FakeOrder::Oldest] {
        let server = FakeServer::new();
        // Neither ids nor times show an order.
        let name = |number: u32| format!(r#"{{"id": "{:x}"}}"#, number.wrapping_mul(2_654_435_761) | 0xa000_0000);
        for number in 0..130 {
            server.arklow().add_raw("4711", name(number));
        }
        server.arklow().head_is(order);
        let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build().unwrap();
        let mut follow = client.records().list(()).follow().sweep_interval(None);
        let mut count = 0;
        while count < 130 {
            count += follow.next().await.unwrap().unwrap().changes.len();
        }
        follow.next().await.unwrap().unwrap();
        let before = server.requests().len();
        follow.next().await.unwrap().unwrap();
        assert_eq!(server.requests().len() - before, 2, "both ends");
        server.arklow().add_raw("4711", name(130));
        loop {
            let batch = follow.next().await.unwrap().unwrap();
            if let [Change::New(record)] = &batch.changes[..] {
                assert_eq!(record.id.to_string(), name(130)[8..16]);
                break;
            }
            assert!(batch.changes.is_empty(), "{order:?} {batch:?}");
        }
        follow.next().await.unwrap().unwrap();
        let before = server.requests().len();
        follow.next().await.unwrap().unwrap();
        assert_eq!(server.requests().len() - before, 1, "{order:?}: it has shown which end grows");
    }
}

#[tokio::test(start_paused = true)]
async fn progress_reports_the_newest_record_and_the_oldest_open_one() {
    let server = fake_with_events(100);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    let progress = follow.next().await.unwrap().unwrap().progress;
    assert_eq!((progress.oldest_open, progress.gap, progress.open_behind), (None, None, 0));
    assert_eq!(progress.newest.unwrap().to_rfc3339(), "2026-11-21T20:18:03.572+00:00");
    assert!(progress.lag.is_some());
    log.add_raw(event(101, "started")).add_raw(event(102, "started"));
    changed(&mut follow).await;
    let progress = follow.next().await.unwrap().unwrap().progress;
    assert_eq!(progress.oldest_open.unwrap().key.to_string(), "101");
    log.replace(1, event(101, "success"));
    assert_eq!(changed(&mut follow).await, ["=101"]);
    let progress = follow.next().await.unwrap().unwrap().progress;
    assert_eq!(progress.oldest_open.unwrap().key.to_string(), "102");
    assert_eq!(follow_gap(&mut follow).await, None);
}

async fn follow_gap(follow: &mut Follow<EventsQuery>) -> Option<GapReason> {
    follow.next().await.unwrap().unwrap().progress.gap.map(|it| it.reason)
}
