//! A fake server whose three logs grow and change.

use actionlog::serde_json::Value;
use actionlog::testing::{FakeServer, Log};

use crate::Database;

/// The logs of the fake server, by the names in the database.
#[must_use]
pub fn logs(server: &FakeServer) -> [(&'static str, Log); 3] {
    [
        ("unleash", server.unleash().log("default", 1)),
        ("arklow", server.arklow().log("4711")),
        ("integration", server.integration().log()),
    ]
}

/// Adds a record to each log, and changes one of the newest.
pub fn tick(server: &FakeServer, turn: usize) {
    for (_, log) in logs(server) {
        log.add_samples(1);
        let texts = log.raw_records();
        // The newest but a few goes on: its JSON is another one from now on.
        let at = turn * 7 % 40;
        if let Some(text) = texts.get(at)
            && let Some(rest) = text.strip_prefix('{')
        {
            log.replace(at, format!(r#"{{"revision{turn}":{turn},{rest}"#));
        }
    }
}

/// Fills each log.
pub fn fill(server: &FakeServer, records: usize) {
    for (_, log) in logs(server) {
        log.add_samples(records);
    }
}

/// The ids that are only on one side, or in another state there.
///
/// # Errors
///
/// If the database can't be read.
pub fn differing(database: &Database, name: &str, log: &Log) -> Result<Vec<String>, crate::Failure> {
    let values = |texts: Vec<String>| -> Result<Vec<Value>, crate::Failure> {
        Ok(texts.iter().map(|it| actionlog::serde_json::from_str(it)).collect::<Result<_, _>>()?)
    };
    let (mut there, mut here) = (values(log.raw_records())?, values(database.records(name)?)?);
    let key = |it: &Value| it.get("_id").or(it.get("id")).unwrap_or(&Value::Null).to_string();
    there.sort_by_key(key);
    here.sort_by_key(key);
    let only = |one: &[Value], other: &[Value]| -> Vec<String> {
        one.iter().filter(|it| !other.contains(it)).map(key).collect()
    };
    if there == here { Ok(Vec::new()) } else { Ok([only(&there, &here), only(&here, &there)].concat()) }
}
