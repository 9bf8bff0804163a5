//! `actionlog follow`: what is in the file, who may write it, and how it ends.

use actionlog::testing::Fault;

use crate::support::{Bench, Running, wait_until};

fn count(bench: &Bench, sql: &str) -> i64 {
    let database = rusqlite::Connection::open(bench.path("mirror.sqlite")).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn all_logs_are_kept_in_one_database_with_what_is_invalid_beside() {
    let bench = Bench::new(130);
    bench.fake.integration().add_raw(r#"{"_id": "later", "status": 5}"#);
    let line = "mirror integration arklow unleash:default/1 --to mirror.sqlite --once";
    let ran = bench.run(line).ends(3);
    assert!(ran.err.contains("integration: ") && ran.err.contains("caught up"), "{}", ran.err);
    for log in ["integration", "arklow", "unleash:default/1"] {
        assert_eq!(count(&bench, &format!("SELECT COUNT(*) FROM records WHERE log = '{log}'")), 130, "{log}");
    }
    assert_eq!(count(&bench, "SELECT COUNT(*) FROM invalid WHERE key = 'later'"), 1);
    assert_eq!(count(&bench, "SELECT COUNT(*) FROM checkpoints"), 3);

    // Once it is valid, it is a record.
    let log = bench.fake.integration().log();
    let text = log.raw_records()[1].replace(log.raw_records()[1].split('"').nth(3).unwrap(), "later");
    log.replace(0, text);
    let mut run = Running::start(bench.tool("follow integration --to mirror.sqlite --poll 20ms --sweep 40ms"));
    wait_until("the record is valid", || count(&bench, "SELECT COUNT(*) FROM records WHERE key = 'later'") == 1);
    assert_eq!(count(&bench, "SELECT COUNT(*) FROM invalid"), 0);

    let ran = bench.run("follow integration --to mirror.sqlite --once").ends(1);
    assert!(ran.err.contains("another process follows into mirror.sqlite"), "{}", ran.err);
    run.signal("INT");
    assert_eq!(run.end(), Some(0));
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let bench = Bench::new(3);
    let other = rusqlite::Connection::open(bench.path("mirror.sqlite")).unwrap();
    other
        .execute_batch("CREATE TABLE records (id INTEGER, name TEXT); INSERT INTO records VALUES (1, 'mine')")
        .unwrap();
    let ran = bench.run("follow integration --to mirror.sqlite --once").ends(1);
    assert!(ran.err.contains("is a database of another program"), "{}", ran.err);
    assert_eq!(count(&bench, "SELECT COUNT(*) FROM records"), 1);

    std::fs::write(bench.path("mine.ndjson"), "{}\n").unwrap();
    let ran = bench.run("follow integration --to mine.ndjson --once").ends(1);
    assert!(ran.err.contains("it isn't a file that follow wrote"), "{}", ran.err);
    bench.run("follow integration --to mirror.parquet").ends(2);
    bench.run("follow integration integration --to mirror.ndjson").ends(2);
    bench.run("follow integration --to no/such/mirror.ndjson").ends(1);
}

#[test]
fn trouble_of_the_moment_is_waited_out_and_a_wrong_token_is_not() {
    let bench = Bench::new(50);
    bench.fake.at_request(3, |fake| {
        for _ in 0..6 {
            fake.fail_next(Fault::Status(503));
        }
    });
    let mut run = Running::start(bench.tool("follow integration --to mirror.sqlite --poll 20ms"));
    wait_until("the server failed", || bench.fake.requests().len() > 9);
    bench.fake.integration().add_sample_logs(5);
    wait_until("the new ones came", || count(&bench, "SELECT COUNT(*) FROM records") == 55);
    run.signal("TERM");
    assert_eq!(run.end(), Some(0));

    bench.fake.unleash().accept_token("user:another");
    let ran = bench.run("follow integration unleash --to both.sqlite").ends(1);
    assert!(ran.err.contains("unleash: ") && ran.err.contains("[hint: "), "{}", ran.err);
}
