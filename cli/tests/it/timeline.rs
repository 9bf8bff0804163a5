//! `actionlog timeline`: order, filters, terminals and pipes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Bench, Running, ran, unconfigured};

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[test]
fn all_logs_come_merged_newest_first() {
    let bench = Bench::new(60);
    let ran = bench.run("timeline --json").ends(3);
    let rows = objects(&ran.out);
    assert_eq!(rows.len(), 180);
    let times: Vec<_> = rows.iter().map(|it| it["timestamp"].as_str().unwrap()).collect();
    // Arklow doesn't list by the time of its state.
    let of = |log: &str| rows.iter().filter(|it| it["log"] == log).count();
    assert_eq!((of("arklow"), of("integration"), of("unleash")), (60, 60, 60));
    let two = objects(&bench.run("timeline integration unleash --json").ends(3).out);
    let times_of_two: Vec<_> = two.iter().map(|it| it["timestamp"].as_str().unwrap()).collect();
    assert!(times_of_two.is_sorted_by(|one, other| one >= other), "{times_of_two:?}");
    assert_eq!(times.len(), 180);
    assert!(
        ran.err.contains("unleash: 60 records, unverified: no total shows how many records there are"),
        "{}",
        ran.err
    );
    assert!(bench.run("timeline integration --quiet").ends(0).err.is_empty());
}

#[test]
fn only_failures_only_newer_ones_and_only_so_many() {
    let bench = Bench::new(120);
    let rows = objects(&bench.run("timeline integration --failed --json").ends(0).out);
    assert!(!rows.is_empty() && rows.iter().all(|it| it["outcome"] == "failed"));
    let ran = bench.run("timeline integration --failed").ends(0);
    assert_eq!(ran.out.lines().count(), rows.len());
    assert!(ran.out.lines().all(|it| it.contains("  failed     ")), "{}", ran.out);
    assert!(!ran.out.contains('\x1b'), "no colours where there is no terminal");
    assert_eq!(bench.run("timeline --limit 7").ends(0).out.lines().count(), 7);
    assert_eq!(bench.run("timeline integration --since 1h").ends(3).out, "");
}

#[test]
fn a_log_that_is_not_configured_is_left_out_unless_it_is_named() {
    let bench = Bench::new(5);
    let mut command = bench.tool("timeline");
    command.env_remove("UNLEASH_TOKEN");
    assert_eq!(ran(command).ends(3).out.lines().count(), 10);
    let mut command = bench.tool("timeline unleash");
    command.env_remove("UNLEASH_TOKEN");
    assert!(ran(command).ends(2).err.contains("UNLEASH_TOKEN"));
    let ran = ran(unconfigured(bench.folder.path(), "timeline")).ends(2);
    assert!(ran.err.contains("no log is configured"), "{}", ran.err);
}

#[test]
fn the_error_of_one_log_does_not_end_the_others() {
    let bench = Bench::new(20);
    bench.fake.unleash().accept_token("user:another");
    let ran = bench.run("timeline").ends(1);
    assert_eq!(ran.out.lines().count(), 40);
    assert!(ran.err.contains("not read to the end: unleash"), "{}", ran.err);
}

#[test]
fn a_pipe_that_closes_is_no_error() {
    let bench = Bench::new(3_000);
    let mut child = bench.tool("timeline integration").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn what_comes_is_shown_until_it_is_stopped() {
    let bench = Bench::new(30);
    let mut command = bench.tool("timeline integration unleash --follow --json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut run = Running(child);
    // Nothing is shown of what is there already, so it has to be read first.
    crate::support::wait_until("both logs are read", || {
        let seen = bench.fake.requests();
        ["integration-action-logs", "events"].iter().all(|path| seen.iter().any(|it| it.to_string().contains(path)))
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    bench.fake.integration().add_sample_logs(2);
    for _ in 0..2 {
        let row: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&row["log"], &row["change"]), (&"integration".into(), &"new".into()));
    }
    run.signal("INT");
    assert_eq!(run.end(), Some(0));
}

/// Runs the tool on a terminal of this width. `None` where the system has no `script`.
fn on_terminal(bench: &Bench, line: &str, columns: u16, prepare: &str) -> Option<String> {
    let tool = bench.tool("");
    let inner = format!("stty cols {columns} rows 24; {prepare} exec {} {line}", env!("CARGO_BIN_EXE_actionlog"));
    let mut command = Command::new("script");
    command.args(["-qefc", &inner, "/dev/null"]).current_dir(bench.folder.path()).stdin(Stdio::null());
    command.envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let output = command.output().ok()?;
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_terminal_of_forty_columns_has_short_lines_in_colour_unless_it_is_told_otherwise() {
    let bench = Bench::new(40);
    let Some(shown) = on_terminal(&bench, "timeline integration --quiet", 40, "") else {
        eprintln!("SKIPPED: there is no `script` here");
        return;
    };
    let lines: Vec<_> = shown.lines().map(|it| it.trim_end_matches('\r')).filter(|it| !it.is_empty()).collect();
    assert_eq!(lines.len(), 40, "{shown}");
    assert!(shown.contains("\x1b[1m\x1b[31m") || shown.contains("\x1b[1;31m"), "{shown:?}");
    for line in lines {
        let plain = anstream::adapter::strip_str(line).to_string();
        assert!(plain.chars().count() <= 40, "{plain}");
    }
    let plain = on_terminal(&bench, "timeline integration --quiet", 40, "NO_COLOR=1").unwrap();
    assert!(!plain.contains('\x1b') && plain.contains(" ✗ "), "{plain:?}");
    let plain = on_terminal(&bench, "timeline integration --quiet --color never", 40, "").unwrap();
    assert!(!plain.contains('\x1b'), "{plain:?}");

    // Progress is drawn on a terminal, and removed; the help and the tables fit it too.
    let export = on_terminal(&bench, "export integration --to logs.ndjson", 40, "").unwrap();
    assert!(export.contains("40 records"), "{export:?}");
    for (command, columns) in
        [("--help", 60), ("export --help", 60), ("report logs.ndjson", 60), ("report logs.ndjson", 40)]
    {
        let shown = on_terminal(&bench, command, columns, "").unwrap();
        for line in shown.lines().map(|it| anstream::adapter::strip_str(it.trim_end()).to_string()) {
            // The verdict is a sentence, which the terminal wraps.
            let is_fixed = ["  ", "Usage:", "complete:"].iter().any(|it| line.starts_with(it));
            assert!(line.chars().count() <= usize::from(columns) || is_fixed, "{command}: {line}");
        }
    }
}
