//! Bad input and trouble: what is there already, what can't be written, and what is invalid.

use actionlog::testing::Fault;

use crate::support::{Bench, sha256};

#[test]
fn what_is_there_already_is_replaced_only_by_force() {
    let bench = Bench::new(60);
    std::fs::write(bench.path("logs.ndjson"), "mine\n").unwrap();
    let ran = bench.run("export integration --to logs.ndjson").ends(1);
    assert!(ran.err.contains("logs.ndjson is there already: --force replaces it"), "{}", ran.err);
    bench.run("export integration --to logs.ndjson --resume").ends(1);
    assert_eq!(std::fs::read_to_string(bench.path("logs.ndjson")).unwrap(), "mine\n");
    assert_eq!(bench.files(), ["logs.ndjson"]);

    bench.run("export integration --to logs.ndjson --force").ends(0);
    assert_eq!(bench.lines("logs.ndjson").len(), 60);
    // A folder is replaced by a folder, and an invalid record of an earlier export doesn't stay.
    bench.fake.integration().add_raw(r#"{"_id": 5}"#);
    bench.run("export integration --to logs.parquet --partition day").ends(3);
    bench.fake.integration().log().remove(0);
    bench.run("export integration --to logs.parquet --partition day --force").ends(0);
    assert!(!bench.path("logs.parquet.invalid.ndjson").exists());
    assert!(bench.path("logs.parquet").is_dir());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let bench = Bench::new(3);
    let ran = bench.run("export integration --to no/such/logs.ndjson").ends(1);
    assert!(ran.err.contains("the folder no/such isn't there: create it first"), "{}", ran.err);
    let ran = bench.run("export integration --to logs.txt").ends(2);
    assert!(ran.err.contains("its ending names no format: use .ndjson"), "{}", ran.err);
    let ran = bench.run("export integration --to logs.csv --partition day").ends(2);
    assert!(ran.err.contains("--partition is for Parquet"), "{}", ran.err);
    assert_eq!(bench.fake.requests().len(), 0, "nothing was requested in vain");
}

#[test]
fn a_folder_that_no_export_made_is_left_alone() {
    let bench = Bench::new(3);
    for folder in ["mine.parquet", "logs.parquet.part"] {
        std::fs::create_dir(bench.path(folder)).unwrap();
        std::fs::write(bench.path(folder).join("precious"), "mine").unwrap();
    }
    let ran = bench.run("export integration --to mine.parquet --partition day --force").ends(1);
    assert!(ran.err.contains("is a folder, and none that an export made"), "{}", ran.err);
    let ran = bench.run("export integration --to logs.parquet --force").ends(1);
    assert!(ran.err.contains("is there, and none that an export left"), "{}", ran.err);
    assert!(bench.path("mine.parquet/precious").exists() && bench.path("logs.parquet.part/precious").exists());

    // A file is replaced by a folder, and a folder by a file.
    bench.run("export integration --to both.parquet").ends(0);
    bench.run("export integration --to both.parquet --partition day --force").ends(0);
    assert!(bench.path("both.parquet").is_dir());
    bench.run("export integration --to both.parquet --force").ends(0);
    assert!(bench.path("both.parquet").is_file() && !bench.path("both.parquet.part").exists());
}

#[test]
fn pages_that_are_too_large_are_read_in_smaller_ones() {
    let bench = Bench::new(0);
    let payload = "x".repeat(10 << 20);
    for index in 0..7 {
        let log = serde_json::json!({
            "_id": format!("log-{index}"), "integrationId": "a", "actionType": "create", "entityType": "b",
            "status": "success", "createdAt": "2026-03-01T00:00:00Z", "metadata": { "payload": payload },
        });
        bench.fake.integration().add_raw(log.to_string());
    }
    let ran = bench.run("export integration --to logs.sqlite").ends(1);
    assert!(ran.err.contains("page_size"), "{}", ran.err);
    bench.run("export integration --to logs.sqlite --page-size 3").ends(0);
    assert_eq!(bench.manifest("logs.sqlite")["files"][0]["records"], 7);
}

#[test]
fn a_failure_before_the_first_record_leaves_nothing() {
    let bench = Bench::new(3);
    bench.fake.integration().accept_authorization("another");
    let ran = bench.run("export integration --to logs.ndjson").ends(1);
    assert!(ran.err.contains("[hint: "), "{}", ran.err);
    assert_eq!(bench.files(), Vec::<String>::new());
}

#[test]
fn invalid_records_are_kept_in_a_file_of_their_own() {
    let bench = Bench::new(40);
    bench.fake.integration().add_raw(r#"{ "_id": "bad-1", "status": 5, "big": 90071992547409931234 }"#);
    bench.fake.integration().add_raw("17");
    for ending in ["ndjson", "csv", "parquet"] {
        let ran = bench.run(&format!("export integration --to logs.{ending}")).ends(3);
        assert!(ran.out.contains("40 records, and 2 invalid ones"), "{}", ran.out);
        let manifest = bench.manifest(&format!("logs.{ending}"));
        assert_eq!(manifest["counts"]["invalid"], 2);
        let name = format!("logs.{ending}.invalid.ndjson");
        assert_eq!(manifest["files"][1]["path"], name);
        let text = std::fs::read_to_string(bench.path(&name)).unwrap();
        assert_eq!(text.lines().count(), 2);
        let raw = r#""raw":{"_id":"bad-1","status":5,"big":90071992547409931234}}"#;
        assert!(text.contains(raw) && text.contains(r#""key":"bad-1""#), "{text}");
    }
    bench.run("export integration --to logs.sqlite").ends(3);
    let database = rusqlite::Connection::open(bench.path("logs.sqlite")).unwrap();
    let count = |table: &str| -> i64 {
        database.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("records"), count("invalid")), (40, 2));
}

#[test]
fn cells_that_a_spreadsheet_would_run_are_escaped_and_large_payloads_are_kept() {
    let bench = Bench::new(0);
    let log = |id: &str, error: &str, payload: &str| {
        serde_json::json!({
            "_id": id, "integrationId": "=HYPERLINK(\"http://x\")", "actionType": "+create", "entityType": "-e",
            "status": "failed", "errorMessage": error, "createdAt": "2026-03-01T00:00:00Z",
            "metadata": { "payload": payload },
        })
        .to_string()
    };
    let ten_megabytes = "x".repeat(10 << 20);
    bench.fake.integration().add_raw(log("a", "@SUM(A1:A9)\n\"quoted\",", "small")).add_raw(log(
        "b",
        "=1",
        &ten_megabytes,
    ));
    for ending in ["csv", "ndjson", "parquet", "sqlite"] {
        bench.run(&format!("export integration --to logs.{ending}")).ends(0);
    }
    let mut csv = csv::Reader::from_path(bench.path("logs.csv")).unwrap();
    let rows: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0][9], &rows[0][12]), ("'=HYPERLINK(\"http://x\")", "'=1"));
    assert_eq!(&rows[1][12], "'@SUM(A1:A9)\n\"quoted\",");
    assert!(rows.iter().flatten().all(|it| !it.starts_with(['=', '+', '-', '@'])));
    assert!(rows[0][14].len() > 10 << 20);
    assert!(std::fs::metadata(bench.path("logs.parquet")).unwrap().len() < 1 << 20, "it is packed");
}

#[test]
fn an_error_in_the_middle_keeps_what_was_read() {
    let bench = Bench::in_small_pages(300);
    bench.fails_from(9, Fault::Status(400));
    let ran = bench.run("export integration --to logs.ndjson").ends(1);
    assert!(ran.err.contains("records are kept: --resume continues behind them"), "{}", ran.err);
    bench.fake.clear_faults();
    bench.run("export integration --to logs.ndjson --resume").ends(0);
    assert_eq!(bench.lines("logs.ndjson").len(), 300);
}

#[test]
fn a_resumed_run_that_reads_nothing_forgets_nothing() {
    let bench = Bench::in_small_pages(300);
    bench.fails_from(9, Fault::Status(400));
    for run in 0..3 {
        let more = if run > 0 { " --resume" } else { "" };
        let ran = bench.run(&format!("export integration --to logs.ndjson{more}")).ends(1);
        assert!(ran.err.contains("records are kept: --resume continues behind them"), "{}", ran.err);
    }
    bench.fake.clear_faults();
    bench.run("export integration --to logs.ndjson --resume").ends(0);
    bench.run("export integration --to whole.ndjson").ends(0);
    assert_eq!(sha256(&bench.path("logs.ndjson")), sha256(&bench.path("whole.ndjson")));
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_reported_and_the_export_goes_on_once_there_is_space() {
    let bench = Bench::new(2_000);
    for ending in ["ndjson", "csv", "parquet", "sqlite"] {
        let line = format!("export integration --to logs.{ending} --checkpoint-every 1ms");
        let ran = bench.run_limited(&line, if ending == "parquet" { 20 } else { 200 });
        assert_eq!(ran.code, Some(1), "{ending}: {ran:?}");
        assert!(ran.err.contains("can't write") && ran.err.contains(&format!("logs.{ending}.part")), "{}", ran.err);
        assert!(ran.err.contains("--resume") && !ran.err.contains(".actionlog-"), "{}", ran.err);
        assert!(!bench.path(&format!("logs.{ending}")).exists());
        bench.run(&format!("{line} --resume")).ends(0);
        assert_eq!(bench.manifest(&format!("logs.{ending}"))["files"][0]["records"], 2_000, "{ending}");
    }
}

#[cfg(unix)]
#[test]
fn records_that_could_not_be_written_are_read_again() {
    // The disk is full while a checkpoint is made, and has room for the small state behind it.
    let bench = Bench::slow(1_500);
    bench.fake.latency(std::time::Duration::from_millis(8));
    for ending in ["parquet", "ndjson", "sqlite"] {
        let line = format!("export integration --to logs.{ending} --checkpoint-every 400ms");
        let ran = bench.run_limited(&line, if ending == "parquet" { 12 } else { 150 }).ends(1);
        assert!(ran.err.contains("can't write"), "{}", ran.err);
        bench.run(&format!("{line} --resume")).ends(0);
        assert_eq!(bench.manifest(&format!("logs.{ending}"))["files"][0]["records"], 1_500, "{ending}");
    }

    // A batch of one log that is torn isn't made whole by a batch of another.
    bench.fake.latency(std::time::Duration::from_millis(2));
    let line = "follow integration unleash --to mirror.ndjson --once --poll 10ms";
    bench.run_limited(line, 600).ends(1);
    bench.run(line).ends(0);
    let mut keys = std::collections::BTreeSet::new();
    for row in bench.lines("mirror.ndjson") {
        assert!(keys.insert(format!("{} {}", row["log"], row["key"])), "{row} came twice");
    }
    assert_eq!(keys.len(), 3_000);
}
