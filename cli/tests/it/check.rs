//! `actionlog check`, and what is said where nothing is configured.

use actionlog::testing::Fault;

use crate::support::{Bench, SECRET, ran, unconfigured};

#[test]
fn a_log_that_is_not_configured_is_named_with_every_variable_that_it_lacks() {
    let folder = tempfile::TempDir::new().unwrap();
    for (log, names) in [
        ("unleash", "UNLEASH_URL, UNLEASH_TOKEN, UNLEASH_ACTION_SET"),
        ("unleash:default/7", "UNLEASH_URL, UNLEASH_TOKEN"),
        ("arklow", "ARKLOW_API_KEY, ARKLOW_ORG_ID"),
        ("integration", "INTEGRATION_LOGS_URL, INTEGRATION_LOGS_AUTHORIZATION"),
    ] {
        let ran = ran(unconfigured(folder.path(), &format!("export {log} --to events.parquet"))).ends(2);
        assert!(ran.err.starts_with(&format!("error: {log} isn't configured: set {names}\n")), "{}", ran.err);
        assert!(ran.err.contains("actionlog fake"), "{}", ran.err);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");

    let ran = ran(unconfigured(folder.path(), "check")).ends(2);
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    assert!(ran.out.contains("unleash: not configured: set UNLEASH_URL, "), "{}", ran.out);
}

#[test]
fn each_configured_log_has_a_line_that_says_what_to_do() {
    let bench = Bench::new(3);
    let ran = bench.run("check").ends(0);
    assert!(ran.out.lines().count() == 3 && ran.out.lines().all(|it| it.contains(": ready (http://")), "{}", ran.out);

    bench.fake.unleash().accept_token("user:another");
    let ran = bench.run("check").ends(1);
    let line = ran.out.lines().find(|it| it.starts_with("unleash: ")).unwrap();
    assert!(line.contains("bad credentials: ") && line.contains("[hint: "), "{line}");

    // A log that isn't configured fails only those who name it.
    let mut command = bench.tool("check");
    command.env_remove("UNLEASH_TOKEN");
    crate::support::ran(command).ends(0);
    let mut command = bench.tool("check unleash");
    command.env_remove("UNLEASH_TOKEN");
    crate::support::ran(command).ends(2);
}

#[test]
fn a_server_that_fails_for_a_moment_is_asked_again() {
    let bench = Bench::new(3);
    bench.fake.fail_next(Fault::Status(503));
    bench.run("check integration").ends(0);
}

#[test]
fn secrets_come_from_files_too_and_go_nowhere() {
    let bench = Bench::new(3);
    bench.fake.unleash().accept_token(format!("user:{SECRET}"));
    std::fs::write(bench.path("token"), format!("user:{SECRET}\n")).unwrap();
    let mut command = bench.tool("check unleash -vvv");
    command.env_remove("UNLEASH_TOKEN").env("UNLEASH_TOKEN_FILE", "token");
    let ran = crate::support::ran(command).ends(0);
    assert!(ran.err.contains("actionlog.call"), "it shows the requests: {}", ran.err);
    assert!(!ran.err.contains("hyper"), "and nothing of the libraries below: {}", ran.err);

    std::fs::write(bench.path("env"), format!("UNLEASH_TOKEN='user:{SECRET}'\n")).unwrap();
    let mut command = bench.tool("check unleash --env-file env");
    command.env_remove("UNLEASH_TOKEN");
    crate::support::ran(command).ends(0);

    // Neither a manifest nor a checkpoint has them.
    bench.run("export unleash --to events.ndjson").ends(3);
    for name in bench.files().iter().filter(|it| it.starts_with("events")) {
        let text = std::fs::read_to_string(bench.path(name)).unwrap();
        assert!(!text.contains(SECRET), "{name}");
    }
    let mut command = bench.tool("check unleash");
    command.env_remove("UNLEASH_TOKEN").env("UNLEASH_TOKEN_FILE", "no-such-file");
    let ran = crate::support::ran(command).ends(1);
    assert!(ran.out.contains("the file of UNLEASH_TOKEN_FILE: "), "{}", ran.out);
}

#[test]
fn a_server_without_tls_is_refused_unless_it_is_allowed() {
    let bench = Bench::new(3);
    let mut command = bench.tool("check unleash");
    command.env("UNLEASH_URL", "http://actionlog.invalid");
    let ran = crate::support::ran(command).ends(1);
    assert!(ran.out.contains("plain http to another machine") && ran.out.contains("--allow-http"), "{}", ran.out);
    let mut command = bench.tool("check unleash --allow-http");
    command.env("UNLEASH_URL", "http://actionlog.invalid");
    let ran = crate::support::ran(command).ends(1);
    assert!(ran.out.contains("unreachable"), "{}", ran.out);
    let mut command = bench.tool("check unleash");
    command.env("UNLEASH_URL", format!("https://user:{SECRET}@actionlog.invalid"));
    crate::support::ran(command).ends(1);
}
