//! Ballista's executor, which reads action logs.

use std::process::ExitCode;
use std::sync::Arc;

use actionlog_ballista::cluster::Codec;
use actionlog_ballista::{Profiles, cluster};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use clap::Parser;

/// Reads action logs and runs queries: a Ballista executor. Its environment has the credentials of the profiles that
/// queries name.
#[derive(Debug, Parser)]
#[command(name = "actionlog-executor", version)]
struct Args {
    /// The scheduler
    #[arg(long, default_value = "localhost", value_name = "HOST")]
    scheduler_host: String,
    /// The port of the scheduler
    #[arg(long, default_value_t = 50050, value_name = "PORT")]
    scheduler_port: u16,
    /// The address at which it listens
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    bind_host: String,
    /// The name by which clients and other executors reach it
    #[arg(long, value_name = "HOST")]
    external_host: Option<String>,
    /// The port for rows
    #[arg(long, default_value_t = 50051, value_name = "PORT")]
    port: u16,
    /// The port for tasks
    #[arg(long, default_value_t = 50052, value_name = "PORT")]
    grpc_port: u16,
    /// How many tasks run at once [default: as many as there are cores]
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    tasks: usize,
    /// The most memory of all tasks together, in megabytes [default: unlimited]
    #[arg(long, value_name = "MB")]
    memory: Option<u64>,
    /// After how many seconds the scheduler is told again that this executor lives
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    heartbeat: u64,
    /// Where rows between stages are stored [default: a temporary directory]
    #[arg(long, value_name = "DIRECTORY")]
    work_dir: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    cluster::log_to_stderr();
    let args = Args::parse();
    let config = ExecutorProcessConfig {
        scheduler_host: args.scheduler_host,
        scheduler_port: args.scheduler_port,
        scheduler_connect_timeout_seconds: 30,
        bind_host: args.bind_host,
        external_host: args.external_host,
        port: args.port,
        grpc_port: args.grpc_port,
        concurrent_tasks: args.tasks,
        memory_pool_size: args.memory.map(|it| it << 20),
        work_dir: args.work_dir,
        executor_heartbeat_interval_seconds: args.heartbeat,
        override_physical_codec: Some(Arc::new(Codec::of_executor(Arc::new(Profiles::from_env())))),
        ..ExecutorProcessConfig::default()
    };
    match start_executor_process(Arc::new(config)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
