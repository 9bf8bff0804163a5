//! The tables on one machine.

use std::collections::{BTreeMap, BTreeSet};

use actionlog::LogRecord;
use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::testing::Fault;
use actionlog::unleash::ActionSetEvent;
use actionlog_ballista::datafusion::arrow::array::AsArray;
use actionlog_ballista::datafusion::physical_plan::{collect, displayable};
use actionlog_ballista::{NOT_PROVED, Options};

use crate::support::{Asked, Fake, KNOWN, ORG, number, unverified, verified};

const EVENTS: &str = "unleash_events('default', 7)";

fn outcomes<R: LogRecord>(records: &[R]) -> Vec<(String, i64)> {
    let mut outcomes: BTreeMap<String, i64> = BTreeMap::new();
    for record in records {
        *outcomes.entry(record.outcome().as_str().to_owned()).or_default() += 1;
    }
    outcomes.into_iter().collect()
}

#[tokio::test]
async fn each_log_is_counted_and_grouped_as_it_is() {
    let fake = Fake::start(1_234).await;
    let asked = fake.session(verified(), &[]);
    let arklow: Vec<ActionRecord> = fake.server.arklow().log(ORG).records().unwrap();
    let logs: Vec<ActionLog> = fake.server.integration().log().records().unwrap();
    let events: Vec<ActionSetEvent> = fake.server.unleash().log("default", 7).records().unwrap();
    let expected =
        [("arklow_records", outcomes(&arklow)), ("integration_logs", outcomes(&logs)), (EVENTS, outcomes(&events))];
    for (table, expected) in expected {
        assert_eq!(asked.number(&format!("SELECT COUNT(*) FROM {table}")).await, 1_234, "{table}");
        assert_eq!(asked.number(&format!("SELECT COUNT(DISTINCT key) FROM {table}")).await, 1_234, "{table}");
        let sql = format!("SELECT outcome, COUNT(*) FROM {table} GROUP BY outcome ORDER BY outcome");
        let mut grouped = Vec::new();
        for batch in asked.rows(&sql).await.unwrap() {
            let counts = batch.column(1).as_primitive::<actionlog_ballista::datafusion::arrow::datatypes::Int64Type>();
            let names = batch.column(0).as_string::<i32>();
            grouped.extend(names.iter().zip(counts.values()).map(|(name, it)| (name.unwrap().to_owned(), *it)));
        }
        assert_eq!(grouped, expected, "{table}");
        assert_eq!((asked.last().verdict.as_str(), asked.last().rows), ("complete", 1_234), "{:?}", asked.last());
    }
    let joined = "SELECT COUNT(*) FROM integration_logs a JOIN integration_logs b ON a.timestamp = b.timestamp";
    let mut times: BTreeMap<_, i64> = BTreeMap::new();
    logs.iter().filter_map(|it| it.created_at).for_each(|it| *times.entry(it).or_default() += 1);
    assert_eq!(asked.number(joined).await, times.values().map(|it| it * it).sum::<i64>());
}

#[tokio::test]
async fn rows_that_are_not_proved_are_an_error_unless_they_are_allowed() {
    let fake = Fake::start(300).await;
    // The fake's logs are complete, but its totals and its order are undocumented to the client.
    let error = fake.session(Options::default(), &[]).error("SELECT key FROM arklow_records").await;
    assert!(error.contains(NOT_PROVED) && error.contains("unverified: records may have moved"), "{error}");
    assert!(error.contains("--allow-unverified") && error.contains("300 records"), "{error}");
    let error = fake.session(Options::default(), &[]).error(&format!("SELECT key FROM {EVENTS}")).await;
    assert!(error.contains("no total shows how many records there are"), "{error}");
    // Not even a row of them.
    let error = fake.session(Options::default(), &[]).error("SELECT key FROM arklow_records LIMIT 1").await;
    assert!(error.contains(NOT_PROVED), "{error}");

    let allowed = fake.session(unverified(), &[]);
    assert_eq!(allowed.number("SELECT COUNT(*) FROM arklow_records").await, 300);
    assert_eq!((allowed.last().verdict.as_str(), allowed.last().rows), ("unverified", 300));
    let known = fake.session(Options::default(), &KNOWN);
    assert_eq!(known.number("SELECT COUNT(*) FROM arklow_records").await, 300);
    assert_eq!(known.last().detail, "complete: as many records as the total counts");
    let twice = fake.session(verified(), &[]);
    assert_eq!(twice.number(&format!("SELECT COUNT(*) FROM {EVENTS}")).await, 300);
    assert_eq!(twice.last().detail, "complete: two scans in a row agree");
}

#[tokio::test]
async fn a_limit_and_a_filter_that_finds_nothing_still_read_all() {
    let fake = Fake::start(500).await;
    let asked = fake.session(Options::default(), &KNOWN);
    for (sql, rows) in [("SELECT key FROM integration_logs LIMIT 3", 3), (NOTHING, 0)] {
        let found: usize = asked.rows(sql).await.unwrap().iter().map(|it| it.num_rows()).sum();
        assert_eq!((found, asked.last().rows, asked.last().verdict.as_str()), (rows, 500, "complete"), "{sql}");
    }
}

const NOTHING: &str = "SELECT key FROM integration_logs WHERE action = 'no such action'";

#[tokio::test]
async fn a_log_that_changes_while_it_is_read_has_each_row_once() {
    let sql = "SELECT key FROM integration_logs";
    let keys = async |asked: &Asked| -> Vec<String> {
        let rows = asked.rows(sql).await.unwrap();
        rows.iter().flat_map(|it| it.column(0).as_string::<i32>().iter().flatten().map(str::to_owned)).collect()
    };
    let mut one_at_once = unverified();
    one_at_once.parts_at_once = 1;
    one_at_once.parts = Some(10);

    // A record comes before each request: parts overlap by those that came between their scans.
    let fake = Fake::start(1_000).await;
    let before: BTreeSet<String> = fake.keys();
    fake.server.before_each(|server| {
        server.integration().add_sample_logs(1);
    });
    let asked = fake.session(one_at_once.clone(), &KNOWN);
    let came = keys(&asked).await;
    let distinct: BTreeSet<String> = came.iter().cloned().collect();
    assert_eq!(distinct.len(), came.len());
    assert!(distinct.is_superset(&before), "{:?}", asked.last());
    assert!(asked.last().repeated > 0 && asked.last().verdict == "unverified", "{:?}", asked.last());
    // Without leave, this is no result.
    let error = fake.session(Options::default(), &KNOWN).error(sql).await;
    assert!(error.contains("unverified: the total changed during the scan"), "{error}");

    // Records go while it is read: parts don't meet any more, and what lies between them is read again.
    let fake = Fake::start(1_000).await;
    fake.server.at_request(6, |server| (0..200).for_each(|_| drop(server.integration().log().remove(10))));
    let asked = fake.session(one_at_once, &KNOWN);
    let came = keys(&asked).await;
    let distinct: BTreeSet<String> = came.iter().cloned().collect();
    assert_eq!(distinct.len(), came.len());
    assert!(distinct.is_superset(&fake.keys()), "{:?}", asked.last());
    assert!(asked.last().reads > asked.last().parts, "{:?}", asked.last());
}

#[tokio::test]
async fn a_server_is_asked_for_no_more_than_the_columns_need() {
    let fake = Fake::start(120).await;
    let asked = fake.session(Options::default(), &KNOWN);
    let views = |requests: &[String]| {
        let of = |name: &str| requests.iter().any(|it| it.contains(name));
        (of("include_state"), of("include_definition"))
    };
    for (columns, expected) in [
        ("key", (false, false)),
        ("key, outcome", (true, false)),
        ("key, version", (false, true)),
        ("raw", (true, true)),
    ] {
        let before = fake.requests().len();
        let rows = asked.rows(&format!("SELECT {columns} FROM arklow_records")).await.unwrap();
        assert_eq!(rows.iter().map(|it| it.num_rows()).sum::<usize>(), 120);
        assert_eq!(views(&fake.requests()[before..]), expected, "{columns}");
    }
    let raw = asked.rows("SELECT key, raw FROM integration_logs").await.unwrap();
    let sent: BTreeSet<_> = fake.server.integration().log().raw_records().into_iter().collect();
    let came = raw.iter().flat_map(|it| it.column(1).as_string::<i32>().iter().flatten().map(str::to_owned));
    assert_eq!(came.collect::<BTreeSet<_>>(), sent);
}

#[tokio::test]
async fn filters_that_a_server_has_are_pushed_down_and_applied_again() {
    let fake = Fake::start(400).await;
    let records: Vec<ActionRecord> = fake.server.arklow().log(ORG).records().unwrap();
    let definition = records[0].definition.clone().unwrap();
    let variant = definition.variant.unwrap();
    let of_variant = |it: &&ActionRecord| it.definition.as_ref().unwrap().variant.as_ref() == Some(&variant);
    let expected = records.iter().filter(of_variant).count();
    assert!(expected > 10 && expected < 390, "{expected}");
    let sql = format!("SELECT COUNT(*) FROM arklow_records WHERE variant = '{variant}' AND version >= 0");
    let asked = fake.session(Options::default(), &KNOWN);
    assert_eq!(asked.number(&sql).await, expected as i64);
    assert_eq!(asked.last().rows, expected as u64);
    assert!(fake.requests().iter().all(|it| it.contains("variant=")));
    let mut options = Options::default();
    options.push_filters = false;
    let asked = fake.session(options, &KNOWN);
    assert_eq!((asked.number(&sql).await, asked.last().rows), (expected as i64, 400));

    let failed = "SELECT COUNT(*) FROM integration_logs WHERE status = 'failed'";
    let asked = fake.session(Options::default(), &KNOWN);
    let count = asked.number(failed).await;
    assert!(asked.last().rows == 400 && count > 0 && count < 400);
    let mut options = Options::default();
    options.push_undocumented_filters = true;
    let asked = fake.session(options, &KNOWN);
    assert_eq!((asked.number(failed).await, asked.last().rows), (count, count as u64));
}

#[tokio::test]
async fn an_invalid_record_is_a_row_that_says_what_is_wrong() {
    let fake = Fake::start(60).await;
    fake.server.integration().add_raw(r#"{"_id": "bad", "status": 7}"#);
    let asked = fake.session(Options::default(), &KNOWN);
    assert_eq!(asked.number("SELECT COUNT(*) FROM integration_logs").await, 61);
    let text = asked.text("SELECT key, invalid, raw FROM integration_logs WHERE invalid IS NOT NULL").await;
    assert!(text.contains(r#"{"_id": "bad", "status": 7}"#) && text.lines().count() == 5, "{text}");
}

#[tokio::test]
async fn invalid_records_without_an_id_are_rows_each() {
    let fake = Fake::start(400).await;
    let log = fake.server.integration().log();
    for (at, status) in [(10, 6), (11, 7), (200, 8), (390, 9)] {
        log.insert_raw(at, format!(r#"{{"status": {status}}}"#));
    }
    let asked = fake.session(Options::default(), &KNOWN);
    assert_eq!(asked.number("SELECT COUNT(*) FROM integration_logs").await, 404);
    assert_eq!(asked.last().verdict, "complete", "{:?}", asked.last());
    let invalid = "SELECT COUNT(DISTINCT raw) FROM integration_logs WHERE key IS NULL AND invalid IS NOT NULL";
    assert_eq!(asked.number(invalid).await, 4);
    // The same one twice is two rows.
    log.insert_raw(12, r#"{"status": 7}"#).insert_raw(300, r#"{"status": 7}"#);
    let asked = fake.session(unverified(), &KNOWN);
    assert_eq!(asked.number("SELECT COUNT(*) FROM integration_logs WHERE key IS NULL").await, 6);
}

#[tokio::test]
async fn an_invalid_record_without_an_id_that_may_have_come_twice_is_no_proved_row() {
    let fake = Fake::start(1_000).await;
    fake.server.integration().log().insert_raw(480, r#"{"status": 7}"#);
    // Parts overlap by those that came between their scans.
    fake.server.before_each(|server| {
        server.integration().add_sample_logs(1);
    });
    let sql = "SELECT COUNT(*) FROM integration_logs WHERE invalid IS NOT NULL";
    let mut options = unverified();
    (options.parts_at_once, options.parts) = (1, Some(10));
    let asked = fake.session(options.clone(), &KNOWN);
    let count = asked.number(sql).await;
    assert!((1..=2).contains(&count) && asked.last().repeated > 0, "{count}: {:?}", asked.last());
    assert_eq!(asked.last().verdict, "unverified");
    options.allow_unverified = false;
    let error = fake.session(options, &KNOWN).error(sql).await;
    assert!(error.contains(NOT_PROVED), "{error}");
}

#[tokio::test]
async fn a_server_that_throttles_and_fails_is_read_all_the_same() {
    let fake = Fake::start(900).await;
    let later = Fault::StatusWith { status: 429, headers: vec![("retry-after".into(), "0".into())], body: "{}".into() };
    fake.server.fail_randomly(later, 0.1, 7).fail_randomly(Fault::Status(500), 0.05, 8);
    fake.server.fail_randomly(Fault::Reset, 0.05, 9);
    let asked = fake.session(Options::default(), &KNOWN);
    assert_eq!(asked.number("SELECT COUNT(*) FROM integration_logs").await, 900);
    assert_eq!(asked.last().verdict, "complete");
}

#[tokio::test]
async fn a_server_that_refuses_ends_the_query_with_what_it_said() {
    let fake = Fake::start(100).await;
    let asked = fake.session(unverified(), &KNOWN);
    let plan = asked.session.sql("SELECT * FROM integration_logs").await.unwrap();
    let plan = plan.create_physical_plan().await.unwrap();
    fake.server.integration().accept_authorization("Bearer another");
    let before = fake.requests().len();
    let error = collect(plan, asked.session.task_ctx()).await.unwrap_err().to_string();
    assert!(error.contains("401") && !error.contains("s3cr3t"), "{error}");
    assert!(fake.requests().len() - before <= 8, "{}", fake.requests().len() - before);
    let error = fake.session(unverified(), &[("INTEGRATION_LOGS_URL", "")]);
    assert!(error.error("SELECT * FROM unleash_events('default')").await.contains("takes a project and the id"));
}

#[tokio::test]
async fn no_plan_shows_a_credential_and_the_coverage_is_a_table() {
    let fake = Fake::start(200).await;
    let asked = fake.session(Options::default(), &KNOWN);
    let plan = asked.session.sql("SELECT * FROM arklow_records").await.unwrap().create_physical_plan().await.unwrap();
    let shown = format!("{}{plan:?}", displayable(plan.as_ref()).indent(true));
    assert!(shown.contains("ReadPartsExec: table=arklow_records, profile=default"), "{shown}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert_eq!(asked.number("SELECT COUNT(*) FROM arklow_records").await, 200);
    let sql = "SELECT SUM(rows) FROM actionlog_coverage WHERE verdict = 'complete' AND \"table\" = 'arklow_records'";
    assert_eq!(number(&asked.rows(sql).await.unwrap()), 200);
}
