//! Times in a query bound the reading, where that is asked for and the newest records come first.

use std::collections::BTreeSet;

use actionlog::integration::ActionLog;
use actionlog_ballista::Options;
use actionlog_ballista::datafusion::arrow::array::AsArray;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::support::{Asked, Fake, KNOWN, verified};

const LOGS: &str = "integration_logs";
const EVENTS: &str = "unleash_events('default', 7)";

/// The fewest requests that read a log of 1,000 records, with the one that cuts it.
const ALL: usize = 1_000 / 99 + 1;

/// Pages that a scan has requested already when it comes to where it stops.
const AHEAD: usize = 3;

fn bounded() -> Options {
    let mut options = Options::default();
    options.push_times = true;
    options
}

/// The times of the integration logs, the newest first. The events of Unleash have the same ones.
fn times(fake: &Fake) -> Vec<DateTime<Utc>> {
    let logs: Vec<ActionLog> = fake.server.integration().log().records().unwrap();
    logs.iter().filter_map(|it| it.created_at).collect()
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The keys that a condition finds, with the number of requests that this took.
async fn keys(fake: &Fake, asked: &Asked, table: &str, condition: &str) -> (BTreeSet<String>, usize) {
    let before = fake.requests().len();
    let rows = asked.rows(&format!("SELECT key FROM {table} WHERE {condition}")).await.unwrap();
    let keys: Vec<_> =
        rows.iter().flat_map(|it| it.column(0).as_string::<i32>().iter().flatten().map(str::to_owned)).collect();
    let distinct: BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!(distinct.len(), keys.len(), "{condition}");
    (distinct, fake.requests().len() - before)
}

#[tokio::test]
async fn a_time_bounds_the_reading_of_logs_whose_newest_records_come_first() {
    let fake = Fake::start(1_000).await;
    let times = times(&fake);
    let (bounded, all) = (fake.session(bounded(), &KNOWN), fake.session(verified(), &KNOWN));
    for (table, columns, page) in [(LOGS, &["timestamp", "created_at"][..], 100), (EVENTS, &["timestamp"], 50)] {
        for (column, newer) in columns.iter().flat_map(|column| [(column, 30), (column, 300)]) {
            let (time, newest) = (times[newer - 1], text(times[0]));
            let (bound, after) = (text(time), text(time - TimeDelta::microseconds(1)));
            let ago = (Utc::now() - time).num_minutes() + 5;
            for condition in [
                format!("{column} >= '{bound}'"),
                format!("{column} > '{after}'"),
                format!("'{bound}' <= {column}"),
                format!("{column} >= TIMESTAMP '{}'", bound.trim_end_matches('Z')),
                format!("{column} BETWEEN '{bound}' AND '{newest}'"),
                format!("{column} >= '2000-01-01' AND {column} >= '{bound}' AND action IS NOT NULL"),
                format!("{column} >= now() - INTERVAL '{ago} minutes'"),
            ] {
                let (expected, full) = keys(&fake, &all, table, &condition).await;
                let (found, requests) = keys(&fake, &bounded, table, &condition).await;
                assert_eq!(found, expected, "{table}: {condition}");
                assert_eq!(found.len(), newer, "{table}: {condition}");
                // The pages that the records fill (they overlap by one), and one in which an older record stands.
                let most = newer.div_ceil(page - 1) + 1 + if newer < page { 0 } else { AHEAD };
                assert!(requests <= most && full >= ALL, "{table}: {condition}: {requests} of {full} requests");
                let last = bounded.last();
                assert_eq!(last.detail, "unverified: the scan stopped at records older than `since`", "{condition}");
                assert_eq!((last.rows as usize, last.parts, last.reads), (newer, 1, 1), "{condition}");
            }
        }
    }
    // One record: the other end of the range, and a whole day.
    let (one, requests) = keys(&fake, &bounded, LOGS, &format!("created_at = '{}'", text(times[9]))).await;
    assert!(one.len() == 1 && requests <= 2 + AHEAD, "{requests}");
    let day = times[0].date_naive();
    let condition = format!("created_at::date >= '{day}'");
    let (expected, _) = keys(&fake, &all, LOGS, &condition).await;
    let (found, requests) = keys(&fake, &bounded, LOGS, &condition).await;
    assert!(found == expected && !found.is_empty() && requests <= 4 + AHEAD, "{}: {requests}", found.len());
    let plan = bounded.text(&format!("EXPLAIN SELECT key FROM {LOGS} WHERE created_at >= '{}'", text(times[9]))).await;
    assert!(plan.contains("after=2") && plan.contains("FilterExec"), "{plan}");
}

#[tokio::test]
async fn other_conditions_other_logs_and_other_options_read_all() {
    let fake = Fake::start(1_000).await;
    let time = text(times(&fake)[30]);
    let bounded = fake.session(bounded(), &KNOWN);
    for (table, condition) in [
        (LOGS, format!("created_at < '{time}'")),
        (LOGS, format!("created_at >= '{time}' OR status = 'failed'")),
        (LOGS, format!("NOT (created_at BETWEEN '{time}' AND '2100-01-01')")),
        (LOGS, format!("updated_at >= '{time}'")),
        // Its order is undocumented.
        ("arklow_records", format!("timestamp >= '{time}'")),
    ] {
        let (_, requests) = keys(&fake, &bounded, table, &condition).await;
        assert!(requests >= ALL && bounded.last().verdict == "complete", "{condition}: {requests}");
    }
    // It isn't asked for, or all has to be read twice.
    let mut twice = verified();
    twice.push_times = true;
    for options in [Options::default(), twice] {
        let asked = fake.session(options, &KNOWN);
        let (found, requests) = keys(&fake, &asked, LOGS, &format!("created_at > '{time}'")).await;
        assert!(found.len() == 30 && requests >= ALL && asked.last().verdict == "complete", "{requests}");
    }
}

#[tokio::test]
async fn what_the_order_hides_is_missed_only_where_that_is_asked_for() {
    let fake = Fake::start(1_000).await;
    let log = fake.server.integration().log();
    let time = text(times(&fake)[29]);
    let condition = format!("created_at >= '{time}'");
    let (bounded, all) = (fake.session(bounded(), &KNOWN), fake.session(Options::default(), &KNOWN));
    // One of the newest, logged far below: a scan that stops doesn't come to it, and says that it has stopped.
    let newest = log.remove(0).unwrap();
    log.insert_raw(700, newest.as_str());
    let (found, _) = keys(&fake, &bounded, LOGS, &condition).await;
    assert_eq!((found.len(), bounded.last().verdict.as_str()), (29, "unverified"));
    let (found, _) = keys(&fake, &all, LOGS, &condition).await;
    assert_eq!((found.len(), all.last().verdict.as_str()), (30, "complete"));
    // An older one above newer ones: the order isn't that of time, and nothing is missed.
    let oldest = log.remove(999).unwrap();
    log.insert_raw(5, oldest);
    let (found, requests) = keys(&fake, &bounded, LOGS, &condition).await;
    assert_eq!((found.len(), bounded.last().verdict.as_str()), (30, "complete"));
    assert!(requests >= ALL, "{requests}");
    // So does a server that fails meanwhile.
    fake.server.fail_randomly(actionlog::testing::Fault::Status(503), 0.2, 7);
    let (found, _) = keys(&fake, &bounded, LOGS, &condition).await;
    assert_eq!(found.len(), 30);
}

#[tokio::test]
async fn records_without_a_time_and_invalid_ones_are_no_reason_to_stop_or_to_lose_any() {
    let fake = Fake::start(300).await;
    let log = fake.server.integration().log();
    log.insert_raw(3, r#"{"_id": "bad", "status": 7}"#).insert_raw(9, r#"{"status": 7}"#);
    let time = text(times_of(&log.raw_records())[19]);
    let (bounded, all) = (fake.session(bounded(), &KNOWN), fake.session(Options::default(), &KNOWN));
    for condition in [format!("created_at >= '{time}'"), format!("created_at >= '{time}' AND invalid IS NULL")] {
        let (expected, _) = keys(&fake, &all, LOGS, &condition).await;
        let (found, requests) = keys(&fake, &bounded, LOGS, &condition).await;
        assert!(found == expected && found.len() == 20 && requests <= 2 + AHEAD, "{}: {requests}", found.len());
    }
}

fn times_of(raw: &[String]) -> Vec<DateTime<Utc>> {
    let logs = raw.iter().filter_map(|it| serde_json::from_str::<ActionLog>(it).ok());
    logs.filter_map(|it| it.created_at).collect()
}

#[tokio::test]
async fn a_scan_that_comes_to_the_end_is_judged_as_any_other() {
    let fake = Fake::start(120).await;
    let all = "timestamp >= '2000-01-01'";
    let mut options = bounded();
    let asked = fake.session(options.clone(), &KNOWN);
    let (found, _) = keys(&fake, &asked, LOGS, all).await;
    assert_eq!((found.len(), asked.last().verdict.as_str()), (120, "complete"));
    // Unleash sends no total.
    let error = asked.error(&format!("SELECT key FROM {EVENTS} WHERE {all}")).await;
    assert!(error.contains("no total shows how many records there are"), "{error}");
    options.allow_unverified = true;
    let (found, _) = keys(&fake, &fake.session(options, &KNOWN), EVENTS, all).await;
    assert_eq!(found.len(), 120);
}
