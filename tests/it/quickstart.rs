//! The quickstart, run as a user runs it: its output is what the README shows.
//!
//! To update the expected output: `cargo run --example quickstart > tests/it/fixtures/quickstart.txt`.

use std::process::Command;

/// A command of cargo for one of the examples, such as `run`.
pub(crate) fn cargo(command: &str, example: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([command, "--quiet", "--example", example, "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    // Use the target directory of these tests, which may be the only writable one.
    let tests = std::env::current_exe().unwrap();
    cargo.arg("--target-dir").arg(tests.ancestors().nth(3).unwrap());
    // Use the features of these tests, so that only the example itself is built.
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.arg("--no-default-features").arg("--features").arg(features().join(","));
    cargo
}

/// Its output against its own fake server, whose port is left out.
fn output() -> String {
    let mut cargo = cargo("run", "quickstart");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["UNLEASH_", "ARKLOW_", "INTEGRATION_LOGS_", "QUICKSTART_"].iter().any(|it| text.starts_with(it)) {
            cargo.env_remove(&name);
        }
    }
    let run = cargo.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    steady(&String::from_utf8(run.stdout).unwrap())
}

fn features() -> Vec<&'static str> {
    [
        ("default", cfg!(feature = "default")),
        ("rustls", cfg!(feature = "rustls")),
        ("http2", cfg!(feature = "http2")),
        ("gzip", cfg!(feature = "gzip")),
        ("system-proxy", cfg!(feature = "system-proxy")),
        ("blocking", cfg!(feature = "blocking")),
        ("schemars", cfg!(feature = "schemars")),
        ("testing", cfg!(feature = "testing")),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| is_on.then_some(name))
    .collect()
}

/// Without what differs from run to run: the port, and the length of the cursor that holds it.
fn steady(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = match line.split_once("http://127.0.0.1:") {
            Some((before, rest)) => {
                format!("{before}http://127.0.0.1{}", rest.trim_start_matches(|it: char| it.is_ascii_digit()))
            }
            None => match line.trim_end().strip_suffix(" bytes of cursor") {
                Some(_) => "  stored               bytes of cursor".to_owned(),
                None => line.to_owned(),
            },
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[test]
fn the_quickstart_prints_the_expected_output() {
    let output = output();
    let expected = steady(include_str!("fixtures/quickstart.txt"));
    assert_eq!(output, expected);

    // A verdict for each log and for the timeline; a stop with a stored cursor; and the scan resumed from it.
    let lines = |begin: &str| output.lines().filter(|it| it.trim_start().starts_with(begin)).count();
    assert_eq!((lines("verdict "), lines("stopped "), lines("stored "), lines("resumed ")), (4, 1, 1, 1));
}

#[test]
fn the_readme_shows_what_the_quickstart_prints() {
    let readme = include_str!("../../README.md");
    let shown = readme.split_once("It prints, in part:\n\n```text\n").unwrap().1.split_once("```").unwrap().0;
    let expected = steady(include_str!("fixtures/quickstart.txt"));
    let mut rest = expected.lines();
    for line in steady(shown).lines().filter(|it| !it.is_empty()) {
        assert!(rest.any(|it| it == line), "{line:?} isn't printed there");
    }
}
