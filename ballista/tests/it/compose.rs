//! The commands of `compose.yaml`, as processes on this machine.

use crate::processes::{Cluster, Process, port};
use crate::program::run;
use crate::support::{Fake, KNOWN};

const FILE: &str = include_str!("../../compose.yaml");
const README: &str = include_str!("../../README.md");

/// Returns the command of a service, with this machine in place of containers.
fn command(service: &str, scheduler: u16) -> Vec<String> {
    let (_, lines) = FILE.split_once(&format!("\n  {service}:\n")).unwrap();
    let command = lines.lines().find_map(|it| it.trim().split_once(": [").filter(|it| it.0 != "depends_on")).unwrap();
    let command: Vec<String> = serde_json::from_str(&format!("[{}", command.1)).unwrap();
    let local = |it: String| match it.as_str() {
        "0.0.0.0:50050" => format!("127.0.0.1:{scheduler}"),
        "http://scheduler:50050" => format!("http://127.0.0.1:{scheduler}"),
        "0.0.0.0" | "scheduler" | "executor-1" | "executor-2" => "127.0.0.1".to_owned(),
        _ => it,
    };
    command.into_iter().map(local).collect()
}

fn program(command: &[String]) -> &'static str {
    match command[0].as_str() {
        "actionlog-scheduler" => env!("CARGO_BIN_EXE_actionlog-scheduler"),
        "actionlog-executor" => env!("CARGO_BIN_EXE_actionlog-executor"),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_start_a_cluster_that_runs_queries() {
    let fake = Fake::start(300).await;
    let scheduler_port = port();
    let scheduler = command("scheduler", scheduler_port);
    let scheduler = Process::start(program(&scheduler), &scheduler[1..], &[]);
    let executors = ["executor-1", "executor-2"].map(|service| {
        let mut command = command(service, scheduler_port);
        let ports = [("--scheduler-port", scheduler_port), ("--port", port()), ("--grpc-port", port())];
        command.extend(ports.into_iter().flat_map(|(name, port)| [name.to_owned(), port.to_string()]));
        Process::start(program(&command), &command[1..], &fake.variables(&KNOWN))
    });
    let cluster = Cluster { port: scheduler_port, scheduler, executors: executors.into() };
    cluster.ready().await;
    let sql = command("sql", scheduler_port);
    let args: Vec<_> = sql[1..].iter().map(String::as_str).collect();
    let args = [&args[..], &["--format", "csv", "-c", "SELECT COUNT(*) AS n FROM integration_logs"]].concat();
    let (status, rows, notes) = run(&fake, &KNOWN, &args, "").await;
    assert_eq!((sql[0].as_str(), status, rows.as_str()), ("actionlog-sql", 0, "n\n300\n"), "{notes}");
}

#[test]
fn executors_get_each_variable_of_a_profile_and_the_scheduler_none() {
    let rows = README.lines().filter(|it| it.starts_with("| `") && !it.contains("NAME_FILE"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let names: Vec<_> = names.filter(|it| it.chars().all(|it| it.is_ascii_uppercase() || it == '_')).collect();
    let (_, profile) = FILE.split_once("x-profile: &profile\n").unwrap();
    let mut listed: Vec<_> = profile.lines().take_while(|it| !it.is_empty()).map(|it| it.trim()).collect();
    let mut expected: Vec<_> = names.iter().map(|it| format!("{it}:")).collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let services: Vec<_> = FILE.split_once("\nservices:\n").unwrap().1.split("\n\n").collect();
    let with = services.iter().filter(|it| it.contains("environment: *profile")).count();
    assert!(services.len() == 4 && with == 3 && !services[0].contains("environment"), "{services:?}");
}
