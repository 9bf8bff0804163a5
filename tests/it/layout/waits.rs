//! Tests that wait do so with paused time: a test that sleeps costs each run its time, and fails on a busy machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::layout::source::{code, functions};

/// The files that may wait in real time, and what for.
const REAL: [(&str, &str); 15] = [
    ("blocking.rs", "a blocking call has its own runtime, whose time no test pauses"),
    ("connections.rs", "connections are idle"),
    ("fake/faults.rs", "real connections"),
    ("fake_server.rs", "a process"),
    ("faults/h2.rs", "real connections"),
    ("faults/mod.rs", "real connections"),
    ("faults/server.rs", "real connections"),
    ("faults/tls.rs", "real connections"),
    ("floods/mod.rs", "a process"),
    ("floods/slow_decoding.rs", "decoding takes a thread's time"),
    ("integration/lifecycle.rs", "what is measured is the time that passes"),
    ("runtimes.rs", "runtimes are driven, or aren't"),
    ("soak.rs", "processes"),
    // Their time is that of the test.
    ("support.rs", "servers of other tests"),
    ("wire.rs", "servers of other tests"),
];

const PAUSED: &str = "start_paused = true";

/// What waits in a file: the functions that sleep, but tests whose time is paused, and what those may call.
fn waits(text: &str, has_paused: bool) -> Vec<String> {
    let waiting =
        functions(text).into_iter().filter(|it| it.text.contains("sleep(") || it.text.contains("sleep_until("));
    let real = waiting.filter(|it| {
        let is_test = it.attributes.contains("test");
        if is_test { !it.attributes.contains(PAUSED) } else { !has_paused }
    });
    real.map(|it| it.name.to_owned()).collect()
}

#[test]
fn a_test_that_sleeps_has_paused_time_or_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let read = |path: PathBuf| (path.strip_prefix(&folder).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
    let files: Vec<_> = super::files("tests/it").into_iter().map(read).collect();
    // Tests share what is in their folder.
    let near = |name: &Path| name.parent().filter(|it| *it != Path::new("")).unwrap_or(name).to_owned();
    let paused: BTreeSet<_> = files.iter().filter(|it| it.1.contains(PAUSED)).map(|it| near(&it.0)).collect();
    let mut found = BTreeSet::new();
    for (name, text) in &files {
        let has_paused = paused.iter().any(|it| it.starts_with(near(name)));
        let waits = waits(&code(text), has_paused);
        let name = name.to_str().unwrap().replace('\\', "/");
        if !waits.is_empty() {
            let is_real = REAL.iter().any(|it| it.0 == name);
            assert!(
                is_real,
                "{name}: {waits:?} wait in real time: use `start_paused = true`, or name the file in `REAL`"
            );
            found.insert(name);
        }
    }
    let stale: Vec<_> = REAL.iter().filter(|it| !found.contains(it.0)).collect();
    assert!(stale.is_empty(), "these don't wait: {stale:?}");
}

#[test]
fn what_sleeps_is_found() {
    let paused = "#[tokio::test(start_paused = true)]\nasync fn a() { sleep(S).await; }\n";
    let real = "#[tokio::test]\nasync fn b() {\n    if it { sleep(S).await; }\n}\n";
    let helper = "async fn c() { tokio::time::sleep_until(end).await; }\n";
    let quiet = "#[test]\nfn d() { let sleeper = 1; }\n";
    assert!(waits(paused, true).is_empty() && waits(quiet, false).is_empty());
    assert_eq!(waits(helper, false), ["c"]);
    assert_eq!(waits(&[paused, real, helper].concat(), true), ["b"]);
}
