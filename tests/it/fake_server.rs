//! The example `fake_server`, run as a user runs it.

#[path = "../../examples/fake_server/args.rs"]
mod args;
#[path = "../../examples/fake_server/settings.rs"]
mod settings;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actionlog::testing::Fault;
use actionlog::{ArklowClient, IntegrationClient, Listing, Paginate, UnleashClient};
use args::{Args, parse};

use crate::quickstart::cargo;
use crate::support::promptly;

fn parsed(line: &str) -> Result<Option<Args>, String> {
    parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn the_documented_command_line_is_understood() {
    let line = "--port 8080 --records 500 --rate 2/s --fail 503:0.05 --latency 50ms --seed 7";
    let fail = vec![(Fault::Status(503), 0.05)];
    let latency = Duration::from_millis(50);
    let expected = Args { port: 8080, records: 500, rate: 2.0, fail, latency, seed: 7 };
    assert_eq!(parsed(line), Ok(Some(expected)));
    assert!(args::HELP.contains(line), "the help shows it");

    assert_eq!(parsed(""), Ok(Some(Args::default())));
    assert_eq!(parsed("--port 1 --help"), Ok(None));
    let more =
        parsed("--port=0 --rate 30/m --fail hang:1 --fail empty:0 --fail=short:0.5 --latency 1.5s").unwrap().unwrap();
    assert_eq!((more.port, more.rate, more.latency), (0, 0.5, Duration::from_millis(1500)));
    assert_eq!(more.fail, [(Fault::Hang, 1.0), (Fault::EmptyOnce, 0.0), (Fault::ShortByOne, 0.5)]);
}

#[test]
fn an_error_of_the_command_line_names_the_flag_and_what_it_takes() {
    for (line, message) in [
        ("--prot 1", "unknown argument --prot; --help lists those that there are"),
        ("8080", "unknown argument 8080; --help lists those that there are"),
        ("--port", "--port lacks a value: it takes a port from 0 to 65535"),
        ("--port 65536", "--port 65536: it takes a port from 0 to 65535"),
        ("--records 100001", "--records 100001: it takes a number from 0 to 100000"),
        ("--latency 50", "--latency 50: it takes a time, such as 50ms or 2s"),
        ("--latency -1s", "--latency -1s: it takes a time, such as 50ms or 2s"),
        ("--seed -1", "--seed -1: it takes a number from 0 to 18446744073709551615"),
    ] {
        assert_eq!(parsed(line), Err(message.to_owned()), "{line}");
    }
    for rate in ["2", "2/d", "-1/s", "NaN/s", "1001/s", "/s", "inf/h"] {
        let message = format!("--rate {rate}: it takes a number and a unit, at most 1000/s, such as 2/s, 30/m or 1/h");
        assert_eq!(parsed(&format!("--rate {rate}")), Err(message));
    }
    for fail in ["503", "503:", "503:1.5", "503:-0.1", "503:NaN", "200:0.5", "600:0.5", "slow:0.5"] {
        let error = parsed(&format!("--fail {fail}")).unwrap_err();
        assert!(
            error.starts_with(&format!("--fail {fail}: it takes a fault and a share, such as 503:0.05")),
            "{error}"
        );
    }
}

/// The program, which ends with the test.
struct Program {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(args: &[&str]) -> Self {
        let built = cargo("build", "fake_server").output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        // Its own process rather than cargo's, so that ending it ends the server.
        let tests = std::env::current_exe().unwrap();
        let program = tests.ancestors().nth(2).unwrap().join("examples").join("fake_server");
        let mut child = Command::new(program).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the program goes on").unwrap()
    }

    /// The lines up to the empty line behind the curl lines.
    fn welcome(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !(lines.iter().any(|it| it.starts_with("curl ")) && lines.last().is_some_and(String::is_empty)) {
            lines.push(self.line());
        }
        lines
    }

    /// The program's line for each of these many requests, without its number.
    fn requests(&mut self, count: usize) -> Vec<String> {
        (1..=count)
            .map(|number| {
                let line = self.line();
                let (its, request) = line.trim_start().split_once("  ").unwrap();
                assert_eq!(its, number.to_string(), "{line}");
                request.to_owned()
            })
            .collect()
    }
}

/// The values of the `export` lines.
fn exported(lines: &[String], name: &str) -> String {
    let exports = lines.iter().filter_map(|it| it.strip_prefix("export "));
    let all = exports.collect::<Vec<_>>().join(" ");
    let value = all.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("{name} isn't exported: {all}")).1;
    match value.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap().to_owned(),
        None => value.split(' ').next().unwrap().to_owned(),
    }
}

/// The number of records that a scan delivers, which has to end without an error.
async fn count<Q: Paginate>(listing: Listing<Q>) -> usize {
    let all = promptly(listing.collect()).await;
    assert!(all.error.is_none(), "{:?}", all.error);
    all.items.len()
}

#[tokio::test]
async fn the_fake_server_serves_all_three_apis_by_the_variables_and_curl_lines_that_it_prints() {
    let mut program = Program::start(&["--port", "0", "--records", "120"]);
    let lines = program.welcome();
    let of = |name| exported(&lines, name);
    let arklow = ArklowClient::builder(of("ARKLOW_ORG_ID")).base_url(of("ARKLOW_BASE_URL"));
    let arklow = arklow.api_key(of("ARKLOW_API_KEY")).build().unwrap();
    assert_eq!(count(arklow.records().list(())).await, 120);
    let integration = IntegrationClient::builder(of("INTEGRATION_LOGS_URL"));
    let integration = integration.api_key(of("INTEGRATION_LOGS_AUTHORIZATION")).build().unwrap();
    assert_eq!(count(integration.logs().list(())).await, 120);
    let unleash = UnleashClient::builder(of("UNLEASH_URL")).api_key(of("UNLEASH_TOKEN")).build().unwrap();
    let action_set: i64 = of("UNLEASH_ACTION_SET").parse().unwrap();
    assert_eq!(count(unleash.action_set_events().list((of("UNLEASH_PROJECT"), action_set))).await, 120);

    // Each curl line asks what a client asks: the same path and header, and a page with records.
    let curls: Vec<_> = lines.iter().filter(|it| it.starts_with("curl ")).collect();
    assert_eq!(curls.len(), 3);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (line, list) in curls.into_iter().zip(["items", "data", "actionSetEvents"]) {
        let [_, header, _, url, _] = line.split('\'').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (name, value) = header.split_once(": ").unwrap();
        let response = http.get(url).header(name, value).send().await.unwrap();
        assert!(response.status().is_success(), "{line}");
        let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let page = body.get(list).or_else(|| body["data"].get(list)).unwrap();
        assert_eq!(page.as_array().unwrap().len(), 2, "{line}");
        // And by curl itself, where there is one.
        let curl = Command::new("sh").args(["-c", line]).env("NO_PROXY", "*").output().unwrap();
        if curl.status.code() != Some(127) {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&curl.stdout).unwrap(), body, "{line}");
        }
    }
}

#[tokio::test]
async fn the_same_seed_fails_the_same_requests_and_each_is_printed() {
    let mut runs = Vec::new();
    for seed in ["7", "7", "8"] {
        let mut program = Program::start(&[
            "--port",
            "0",
            "--records",
            "9",
            "--fail",
            "503:0.3",
            "--fail",
            "429:0.3",
            "--seed",
            seed,
        ]);
        let url = exported(&program.welcome(), "INTEGRATION_LOGS_URL");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(http.get(format!("{url}/integration-action-logs?limit=2")).send().await.unwrap().status());
        }
        let printed = program.requests(40);
        let expected = statuses.iter().map(|it| format!("GET /integration-action-logs?limit=2 -> {}", it.as_str()));
        assert_eq!(printed, expected.collect::<Vec<_>>());
        let of = |status: u16| statuses.iter().filter(|it| it.as_u16() == status).count();
        assert!((4..=20).contains(&of(503)) && (4..=20).contains(&of(429)) && of(200) > 4, "{statuses:?}");
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn the_logs_grow_at_the_rate_and_responses_take_the_latency() {
    let mut program = Program::start(&["--port", "0", "--records", "10", "--rate", "50/s", "--latency", "30ms"]);
    let url = exported(&program.welcome(), "INTEGRATION_LOGS_URL");
    let client = IntegrationClient::builder(url).api_key("any").build().unwrap();
    let total = async || client.logs().list(()).page_size(1).page().await.unwrap().total.unwrap();
    let (began, first) = (std::time::Instant::now(), total().await);
    assert!(began.elapsed() >= Duration::from_millis(30), "{:?}", began.elapsed());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (grown, took) = (total().await - first, began.elapsed().as_secs_f64());
    // A tick late at both ends.
    assert!(grown >= 20 && (grown as f64) <= (took + 0.2) * 50.0, "{grown} in {took} s");
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut program = Program::start(&["--port", &port]);
    assert_eq!(program.child.wait().unwrap().code(), Some(1));
}
