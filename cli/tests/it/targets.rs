//! Where a file goes: what may be in its place, who else writes it, and what is left of an earlier run.

use actionlog::testing::Log;

use crate::support::{Bench, Running, wait_until};

const SLOW: &str = "export integration --to logs.ndjson --checkpoint-every 20ms";

#[test]
fn two_runs_do_not_write_the_same_file() {
    let bench = Bench::slow(400);
    let first = Running::start(bench.tool(SLOW));
    wait_until("the first run stores its state", || bench.path("logs.ndjson.part/state.json").exists());
    bench.fake.latency(std::time::Duration::from_secs(5));
    for more in ["", " --force", " --resume"] {
        let ran = bench.run(&format!("{SLOW}{more}")).ends(1);
        assert!(ran.err.contains("another run is writing"), "{}", ran.err);
    }
    let ran = bench.run("follow integration --to logs.ndjson --once").ends(1);
    assert!(ran.err.contains("an export is writing logs.ndjson"), "{}", ran.err);
    drop(first);
    bench.fake.latency(std::time::Duration::ZERO);
    let ran = bench.run(SLOW).ends(1);
    assert!(ran.err.contains("an earlier run stopped before its end and left"), "{}", ran.err);
    let ran = bench.run(&format!("{SLOW} --resume --verify")).ends(2);
    assert!(ran.err.contains("--verify was false, and is true now"), "{}", ran.err);
    bench.run(&format!("{SLOW} --resume")).ends(0);
    assert_eq!(bench.manifest("logs.ndjson")["runs"], 2);
    assert_eq!(bench.lines("logs.ndjson").len(), 400);
}

#[test]
fn an_earlier_run_that_is_torn_is_reported_and_force_starts_over() {
    let bench = Bench::slow(300);
    bench.killed(SLOW, "logs.ndjson");
    let other = Bench::new(300);
    let ran = other.run(&format!("{SLOW} --resume")).ends(0);
    assert!(ran.out.contains("300 records"), "without an earlier run, it begins: {}", ran.out);
    let mut command = bench.tool(&format!("{SLOW} --resume"));
    command.env("INTEGRATION_LOGS_URL", other.url());
    let ran = crate::support::ran(command).ends(2);
    assert!(ran.err.contains(&format!("the server was {}, and is {} now", bench.url(), other.url())), "{}", ran.err);

    std::fs::write(bench.path("logs.ndjson.part/state.json"), "{\"version\":").unwrap();
    let ran = bench.run(&format!("{SLOW} --resume")).ends(1);
    assert!(ran.err.contains("state.json can't be read") && ran.err.contains("--force starts over"), "{}", ran.err);
    bench.run(&format!("{SLOW} --force")).ends(0);
    assert_eq!(bench.lines("logs.ndjson").len(), 300);
}

#[test]
fn an_earlier_run_whose_records_are_gone_is_not_continued() {
    for (ending, file) in [("ndjson", "data"), ("csv", "data"), ("sqlite", "data.sqlite"), ("parquet", "segment-")] {
        for cut in [None, Some(0), Some(90)] {
            // Half a database is read as far as it goes; SQLite itself reports what is broken.
            if ending == "sqlite" && cut == Some(90) {
                continue;
            }
            let bench = Bench::slow(300);
            let (name, line) = (format!("logs.{ending}"), format!("export integration --to logs.{ending}"));
            bench.killed(&format!("{line} --checkpoint-every 20ms"), &name);
            let entries = std::fs::read_dir(bench.path(&format!("{name}.part"))).unwrap();
            let files: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
            let is_data = |it: &&std::path::PathBuf| it.file_name().unwrap().to_str().unwrap().starts_with(file);
            for path in files.iter().filter(is_data) {
                match cut {
                    None => std::fs::remove_file(path).unwrap(),
                    Some(length) => {
                        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap()
                    }
                }
            }
            let ran = bench.run(&format!("{line} --resume")).ends(1);
            assert!(ran.err.contains("--force starts over"), "{ending} {cut:?}: {}", ran.err);
            bench.run(&format!("{line} --force")).ends(0);
            assert_eq!(bench.manifest(&name)["files"][0]["records"], 300);
        }
    }
}

#[test]
fn a_file_that_comes_while_an_export_is_under_way_is_replaced_only_by_force() {
    let bench = Bench::slow(300);
    bench.killed(SLOW, "logs.ndjson");
    std::fs::write(bench.path("logs.ndjson"), "precious\n").unwrap();
    let ran = bench.run(&format!("{SLOW} --resume")).ends(1);
    assert!(ran.err.contains("is there now, and wasn't when the export began"), "{}", ran.err);
    std::fs::remove_file(bench.path("logs.ndjson")).unwrap();

    // Also if it comes while a run is under way.
    bench.fake.latency(std::time::Duration::from_millis(20));
    bench.fake.clear_requests();
    let mut run = Running::start(bench.tool(&format!("{SLOW} --resume")));
    wait_until("it reads", || bench.fake.requests().len() > 3);
    std::fs::write(bench.path("logs.ndjson"), "precious\n").unwrap();
    assert_eq!(run.end(), Some(1));
    bench.fake.clear_requests();
    let ran = bench.run(&format!("{SLOW} --resume")).ends(1);
    assert!(ran.err.contains("--resume --force replaces it"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(bench.path("logs.ndjson")).unwrap(), "precious\n");
    bench.run(&format!("{SLOW} --resume --force")).ends(0);
    assert_eq!(bench.lines("logs.ndjson").len(), 300);
    assert_eq!(bench.fake.requests().len(), 0, "everything was read already");
}

#[test]
fn a_name_that_no_export_can_have_is_refused_before_anything_is_requested() {
    let bench = Bench::new(3);
    let long = format!("{}.ndjson", "x".repeat(240));
    for (name, why) in
        [("-", "timeline --json"), ("..", "is no file name"), (&long, "is too long a name"), ("no/such/a.csv", "")]
    {
        let ran = bench.run(&format!("export integration --format ndjson --to {name}"));
        assert!(ran.code != Some(0) && ran.err.contains(why), "{name}: {ran:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let mut command = bench.tool("export integration --to");
        command.arg(std::ffi::OsStr::from_bytes(b"\xff.ndjson"));
        let ran = crate::support::ran(command).ends(2);
        assert!(ran.err.contains("isn't Unicode"), "{}", ran.err);
        // A link to a device, so that a wrong tool replaces no device of this machine.
        std::os::unix::fs::symlink("/dev/full", bench.path("full")).unwrap();
        for force in ["", " --force"] {
            let ran = bench.run(&format!("export integration --format ndjson --to full{force}")).ends(1);
            assert!(ran.err.contains("full is no regular file"), "{}", ran.err);
        }
        assert_eq!(bench.files(), ["full"]);
    }
    assert_eq!(bench.fake.requests().len(), 0);
}

#[cfg(unix)]
#[test]
fn a_page_or_the_variables_go_to_a_device_as_they_are() {
    let bench = Bench::new(30);
    bench.run("export integration --to logs.ndjson").ends(0);
    std::os::unix::fs::symlink("/dev/stdout", bench.path("out")).unwrap();
    let ran = bench.run("report logs.ndjson --html out").ends(0);
    assert!(ran.out.starts_with("<!doctype html>") && ran.out.ends_with("</html>\n"), "{}", ran.out);
    std::os::unix::fs::symlink("/dev/full", bench.path("full")).unwrap();
    let ran = bench.run("report logs.ndjson --html full --force").ends(1);
    assert!(ran.err.contains("can't write full: No space left"), "{}", ran.err);
    for (line, why) in [
        ("fake --port 0 --write-env full", "can't write full: No space left"),
        ("fake --port 0 --write-env no/such/env", "can't write no/such/env: No such file"),
    ] {
        let ran = bench.run(line).ends(1);
        assert!(
            ran.err.contains(why) && !ran.err.contains("--port") && !ran.err.contains(".actionlog-"),
            "{}",
            ran.err
        );
    }
    assert!(bench.path("out").is_symlink() && bench.path("full").is_symlink());
}

/// The logs in an SQLite file, as another program reads it.
fn logs(bench: &Bench, name: &str) -> Vec<(String, i64)> {
    let database = rusqlite::Connection::open(bench.path(name)).unwrap();
    let mut select = database.prepare("SELECT log, COUNT(*) FROM records GROUP BY log").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn add(log: &Log) {
    log.add_samples(1);
}

#[test]
fn an_export_that_replaces_a_mirror_holds_nothing_of_it() {
    let bench = Bench::new(150);
    let mut mirror = Running::start(bench.tool("follow integration --to mirror.sqlite --poll 20ms"));
    wait_until("the mirror has records", || {
        bench.path("mirror.sqlite-wal").exists() && bench.fake.requests().len() > 5
    });
    let ran = bench.run("export unleash --to mirror.sqlite --force").ends(1);
    assert!(ran.err.contains("another process follows into mirror.sqlite: stop it first"), "{}", ran.err);
    add(&bench.fake.integration().log());
    wait_until("the mirror has all", || logs(&bench, "mirror.sqlite") == [("integration".to_owned(), 151)]);
    // Killed, it leaves its newest records beside the database, in a file that SQLite reads into any of this name.
    mirror.signal("KILL");
    mirror.end();
    assert!(bench.path("mirror.sqlite-wal").exists());
    bench.run("export unleash --to mirror.sqlite --force --verify").ends(0);
    assert_eq!(logs(&bench, "mirror.sqlite"), [("unleash".to_owned(), 150)]);
    bench.run("report mirror.sqlite").ends(0);

    // A journal's checkpoint doesn't fit what replaced it.
    bench.run("follow integration --to mirror.ndjson --once").ends(0);
    bench.run("export unleash --to mirror.ndjson --force --verify").ends(0);
    let ran = bench.run("follow integration --to mirror.ndjson --once").ends(1);
    assert!(ran.err.contains("it isn't a file that follow wrote"), "{}", ran.err);
    assert_eq!(bench.lines("mirror.ndjson").len(), 150);
    assert!(bench.lines("mirror.ndjson").iter().all(|it| it["log"] == "unleash"));
}
