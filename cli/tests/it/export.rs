//! `actionlog export`: what is in the files of each format, and in the manifest.

use actionlog::LogRecord;
use actionlog::integration::ActionLog;
use serde_json::Value;

use crate::support::{Bench, sha256};

/// The ids of the integration logs of the server, newest first.
fn ids(bench: &Bench) -> Vec<String> {
    let logs: Vec<ActionLog> = bench.fake.integration().log().records().unwrap();
    logs.iter().map(|it| it.key().to_string()).collect()
}

fn keys(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|it| it["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ndjson_has_each_record_with_its_columns_and_its_raw_json() {
    let bench = Bench::new(230);
    let ran = bench.run("export integration --to logs.ndjson").ends(0);
    assert!(ran.out.starts_with("logs.ndjson: 230 records\ncomplete: "), "{}", ran.out);
    let rows = bench.lines("logs.ndjson");
    assert_eq!(keys(&rows), ids(&bench));
    let logs: Vec<ActionLog> = bench.fake.integration().log().records().unwrap();
    for ((row, log), text) in rows.iter().zip(&logs).zip(bench.fake.integration().log().raw_records()) {
        assert_eq!(row["raw"], serde_json::from_str::<Value>(&text).unwrap());
        assert_eq!(row["outcome"], log.outcome().as_str());
        assert_eq!(row["action"].as_str(), log.action());
        assert_eq!(row["error"].as_str(), log.error());
        let time = log.timestamp().unwrap().time;
        assert_eq!(row["timestamp"], actionlog_cli::row::rfc3339(time));
    }
    assert_eq!(bench.files(), ["logs.ndjson", "logs.ndjson.manifest.json"]);
}

#[test]
fn the_manifest_says_what_is_in_the_files_and_whether_that_is_all() {
    let bench = Bench::new(120);
    bench.run("export unleash --to events.csv").ends(3);
    let manifest = bench.manifest("events.csv");
    assert_eq!((&manifest["verdict"], &manifest["log"]), (&"unverified".into(), &"unleash".into()));
    assert_eq!((&manifest["counts"]["records"], &manifest["counts"]["invalid"]), (&120.into(), &0.into()));
    let file = &manifest["files"][0];
    assert_eq!((&file["path"], &file["records"]), (&"events.csv".into(), &120.into()));
    assert_eq!(file["sha256"], sha256(&bench.path("events.csv")));
    assert_eq!(file["bytes"], std::fs::metadata(bench.path("events.csv")).unwrap().len());
    assert!(manifest["cursor"].is_object() && manifest["counts"]["oldest"].is_string(), "{manifest:#}");

    let ran = bench.run("export unleash --to verified.csv --verify").ends(0);
    assert!(ran.out.contains("complete: two scans in a row agree"), "{}", ran.out);
    assert_eq!(sha256(&bench.path("events.csv")), sha256(&bench.path("verified.csv")));
}

#[test]
fn each_format_holds_the_same_rows() {
    let bench = Bench::new(150);
    for ending in ["ndjson", "csv", "sqlite", "parquet"] {
        bench.run(&format!("export integration --to logs.{ending}")).ends(0);
    }
    let expected = bench.lines("logs.ndjson");

    let mut csv = csv::Reader::from_path(bench.path("logs.csv")).unwrap();
    assert_eq!(csv.headers().unwrap(), actionlog_cli::row::COLUMNS.as_slice());
    let cells: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(cells.len(), expected.len());
    for (cells, row) in cells.iter().zip(&expected) {
        assert_eq!(&cells[1], row["key"].as_str().unwrap());
        assert_eq!(&cells[12], row["error"].as_str().unwrap_or_default());
        assert_eq!(serde_json::from_str::<Value>(&cells[14]).unwrap(), row["raw"]);
    }

    let database = rusqlite::Connection::open(bench.path("logs.sqlite")).unwrap();
    let mut select = database.prepare("SELECT key, outcome, timestamp, raw FROM records ORDER BY rowid").unwrap();
    let rows: Vec<[String; 4]> = select
        .query_map([], |it| Ok([it.get(0)?, it.get(1)?, it.get(2)?, it.get(3)?]))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), expected.len());
    for (cells, row) in rows.iter().zip(&expected) {
        assert_eq!(
            [cells[0].as_str(), &cells[1], &cells[2]],
            ["key", "outcome", "timestamp"].map(|it| row[it].as_str().unwrap())
        );
        assert_eq!(serde_json::from_str::<Value>(&cells[3]).unwrap(), row["raw"]);
    }

    assert_eq!(parquet_keys(&bench, "logs.parquet"), keys(&expected));
}

fn parquet_keys(bench: &Bench, name: &str) -> Vec<String> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    let file = std::fs::File::open(bench.path(name)).unwrap();
    let rows = SerializedFileReader::new(file).unwrap();
    let rows = rows.get_row_iter(None).unwrap();
    rows.map(|it| it.unwrap().get_string(1).unwrap().clone()).collect()
}

#[test]
fn a_partitioned_export_has_a_folder_for_each_day() {
    let bench = Bench::new(300);
    bench.run("export integration --to logs.parquet --partition day").ends(0);
    let manifest = bench.manifest("logs.parquet");
    let files = manifest["files"].as_array().unwrap();
    assert!(files.len() > 1, "{manifest:#}");
    let mut found = Vec::new();
    for file in files {
        let path = file["path"].as_str().unwrap();
        assert_eq!(file["sha256"], sha256(&bench.path(path)));
        let keys = parquet_keys(&bench, path);
        assert_eq!(file["records"], keys.len());
        found.extend(keys);
    }
    let mut expected = ids(&bench);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn ocsf_events_are_written_by_their_format() {
    let bench = Bench::new(60);
    bench.run("export arklow --to events.jsonl --format ocsf --verify").ends(0);
    let events = bench.lines("events.jsonl");
    assert_eq!(events.len(), 60);
    assert!(events.iter().all(|it| it["class_uid"] == 6003 && it["time"].is_number()));
}

#[test]
fn since_takes_its_three_forms_and_leaves_out_what_is_older() {
    let bench = Bench::new(400);
    let all: Vec<ActionLog> = bench.fake.integration().log().records().unwrap();
    let middle = all[200].timestamp().unwrap().time;
    let newer = all.iter().filter(|it| it.timestamp().unwrap().time > middle).count();
    let ran = bench.run(&format!("export integration --to a.ndjson --since {}", actionlog_cli::row::rfc3339(middle)));
    let ran = ran.ends(3);
    assert!(ran.out.contains("older than `since`"), "{}", ran.out);
    assert_eq!(bench.lines("a.ndjson").len(), newer);

    bench.run(&format!("export integration --to b.ndjson --since {}", middle.format("%Y-%m-%d"))).ends(3);
    assert!(bench.lines("b.ndjson").len() >= newer);
    // All samples are older than a day.
    bench.run("export integration --to c.ndjson --since 1d").ends(3);
    assert_eq!(bench.lines("c.ndjson").len(), 0);

    let ran = bench.run("export integration --to d.ndjson --since yesterday").ends(2);
    assert!(ran.err.contains("2026-03-01T12:00:00Z") && ran.err.contains("12h"), "{}", ran.err);
}

#[test]
fn an_empty_log_is_an_empty_file() {
    let bench = Bench::new(0);
    for ending in ["ndjson", "csv", "sqlite", "parquet"] {
        // Its total can't be told from the count of a page.
        bench.run(&format!("export integration --to logs.{ending} --verify")).ends(0);
        assert_eq!(bench.manifest(&format!("logs.{ending}"))["counts"]["records"], 0);
    }
    assert_eq!(parquet_keys(&bench, "logs.parquet").len(), 0);
    assert_eq!(std::fs::read(bench.path("logs.ndjson")).unwrap().len(), 0);
}
