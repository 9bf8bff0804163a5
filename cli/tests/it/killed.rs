//! `kill -9` at any moment: what is under the final name is whole, and a resumed run ends with the same.

use std::collections::BTreeMap;
use std::time::Duration;

use actionlog::testing::Log;
use serde_json::Value;

use crate::support::{Bench, Running, sha256, wait_until};

/// How often each is killed.
const KILLS: usize = 30;

fn pause(random: &mut fastrand::Rng, millis: std::ops::Range<u64>) {
    std::thread::sleep(Duration::from_millis(random.u64(millis)));
}

/// The rows of an SQLite export.
fn rows(bench: &Bench, name: &str) -> Vec<(String, String)> {
    let database = rusqlite::Connection::open(bench.path(name)).unwrap();
    let mut select = database.prepare("SELECT key, raw FROM records ORDER BY key").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// Kills exports until it was done so often, and checks each that came to its end. Returns how many did.
fn export_killed(ending: &str, seed: u64, signal: &str) -> usize {
    let bench = Bench::new(500);
    bench.fake.integration().largest_page(10);
    bench.fake.integration().add_raw(r#"{"_id": "bad"}"#);
    bench.run(&format!("export integration --to whole.{ending}")).ends(3);
    bench.fake.latency(Duration::from_millis(3));
    let (name, line) = (format!("logs.{ending}"), format!("export integration --to logs.{ending} --resume"));
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut kills, mut whole) = (0, 0);
    while kills < KILLS || whole == 0 {
        let mut run = Running::start(bench.tool(&format!("{line} --checkpoint-every 5ms")));
        // Once it was killed often enough, it may go on to its end.
        if kills < KILLS {
            pause(&mut random, 5..250);
        } else {
            run.end();
        }
        let ended = run.0.try_wait().unwrap();
        if ended.is_none() {
            run.signal(signal);
            // One that is killed has no exit status, nor has one that is stopped before it listens. It may have ended
            // by itself meanwhile, with an invalid record.
            let code = run.end();
            assert!(matches!(code, None | Some(3)) || (code == Some(4) && signal == "TERM"), "{code:?}");
        }
        drop(run);
        if bench.path(&name).exists() {
            // Also if it was killed behind its renames: what is there is whole.
            let manifest = bench.manifest(&name);
            assert_eq!(manifest["files"][0]["sha256"], sha256(&bench.path(&name)), "{ending} {manifest:#}");
            assert_eq!((&manifest["counts"]["records"], &manifest["counts"]["invalid"]), (&500.into(), &1.into()));
            if matches!(ending, "ndjson" | "csv") {
                assert_eq!(sha256(&bench.path(&name)), sha256(&bench.path(&format!("whole.{ending}"))), "{ending}");
            }
            if ending == "sqlite" {
                assert_eq!(rows(&bench, "logs.sqlite"), rows(&bench, "whole.sqlite"));
            }
            whole += 1;
            for file in bench.files().iter().filter(|it| it.starts_with("logs.")) {
                let path = bench.path(file);
                if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
            }
        } else {
            assert!(ended.is_none_or(|it| !it.success()), "{ending}: {ended:?}");
        }
        kills += usize::from(ended.is_none());
    }
    whole
}

#[test]
fn an_export_that_is_killed_thirty_times_ends_with_the_same_bytes_or_rows() {
    for (seed, ending) in ["ndjson", "sqlite", "parquet", "csv"].into_iter().enumerate() {
        assert!(export_killed(ending, seed as u64, "KILL") > 0);
    }
}

#[test]
fn an_export_that_is_stopped_thirty_times_in_any_phase_ends_with_the_same_bytes() {
    assert!(export_killed("ndjson", 11, "TERM") > 0);
}

/// Adds a record, changes one of the newest, and removes one now and then.
fn tick(log: &Log, turn: usize) {
    log.add_samples(1);
    let at = turn * 7 % 40;
    if let Some(text) = log.raw_records().get(at)
        && let Some(rest) = text.strip_prefix('{')
    {
        log.replace(at, format!(r#"{{"revision{turn}":{turn},{rest}"#));
    }
    if turn.is_multiple_of(10) {
        log.remove(20);
    }
}

/// The records of the server by their ids.
fn there(log: &Log) -> BTreeMap<String, Value> {
    let records = log.raw_records().into_iter().map(|it| serde_json::from_str::<Value>(&it).unwrap());
    records.map(|it| (it["_id"].as_str().unwrap().to_owned(), it)).collect()
}

fn in_database(bench: &Bench) -> BTreeMap<String, Value> {
    let rows = rows(bench, "mirror.sqlite").into_iter();
    rows.map(|(key, raw)| (key, serde_json::from_str(&raw).unwrap())).collect()
}

/// What a journal amounts to, and whether each record came as new once.
fn in_journal(bench: &Bench) -> BTreeMap<String, Value> {
    let mut records = BTreeMap::new();
    let text = std::fs::read_to_string(bench.path("mirror.ndjson")).unwrap();
    for line in text.split_inclusive('\n').filter(|it| it.ends_with('\n')) {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = line["key"].as_str().unwrap().to_owned();
        match line["change"].as_str().unwrap() {
            "removed" => assert!(records.remove(&key).is_some(), "{key} is removed and wasn't there"),
            "new" | "late" => assert!(records.insert(key.clone(), line["raw"].clone()).is_none(), "{key} came twice"),
            _ => {
                records.insert(key, line["raw"].clone());
            }
        }
    }
    records
}

fn mirror_killed(name: &str, held: fn(&Bench) -> BTreeMap<String, Value>) {
    let bench = Bench::new(120);
    let log = bench.fake.integration().log();
    let line = format!("follow integration --to {name} --poll 20ms --sweep 60ms --quiet");
    let mut random = fastrand::Rng::with_seed(7);
    for turn in 1..=KILLS {
        let run = Running::start(bench.tool(&line));
        for step in 0..4 {
            pause(&mut random, 5..60);
            tick(&log, turn * 4 + step);
        }
        pause(&mut random, 0..60);
        drop(run);
        if bench.path(name).exists() && name.ends_with("ndjson") {
            in_journal(&bench);
        }
    }
    let mut run = Running::start(bench.tool(&line));
    wait_until("the mirror equals the server", || held(&bench) == there(&log));
    run.signal("TERM");
    assert_eq!(run.end(), Some(0));
    assert_eq!(held(&bench), there(&log));
    // The next run continues, and doesn't begin again.
    bench.fake.clear_requests();
    bench.run(&format!("follow integration --to {name} --once")).ends(0);
    assert!(bench.fake.requests().len() < 4, "{}", bench.fake.requests().len());
}

#[test]
fn a_mirror_that_is_killed_thirty_times_equals_the_server() {
    mirror_killed("mirror.sqlite", in_database);
}

#[test]
fn a_journal_that_is_killed_thirty_times_amounts_to_the_server() {
    mirror_killed("mirror.ndjson", in_journal);
}
