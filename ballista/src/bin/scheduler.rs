//! Ballista's scheduler, which knows the plans of action logs.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actionlog_ballista::cluster::Codec;
use actionlog_ballista::{Profiles, cluster};
use ballista_core::serde::protobuf::UpdateTaskStatusParams;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service};
use ballista_scheduler::scheduler_server::SchedulerServer;
use clap::Parser;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};

/// Schedules the queries of action logs: a Ballista scheduler. It needs no credentials.
#[derive(Debug, Parser)]
#[command(name = "actionlog-scheduler", version)]
struct Args {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:50050", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The name by which executors reach it
    #[arg(long, default_value = "localhost", value_name = "HOST")]
    external_host: String,
    /// After how many seconds without a heartbeat an executor is taken for dead, and its parts are read by others
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    executor_timeout: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    cluster::log_to_stderr();
    let args = Args::parse();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> ballista_core::error::Result<()> {
    let codec = Codec::new(Arc::new(Profiles::new(|_| None)));
    let config = SchedulerConfig {
        bind_host: args.listen.ip().to_string(),
        bind_port: args.listen.port(),
        external_host: args.external_host,
        executor_timeout_seconds: args.executor_timeout,
        expire_dead_executor_interval_seconds: args.executor_timeout.div_ceil(6).max(1),
        override_physical_codec: Some(Arc::new(codec)),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await?;
    tokio::spawn(offer_again(scheduler.clone()));
    start_grpc_service(args.listen, scheduler).await
}

/// Offers waiting tasks to the executors once a second while there are queries.
///
/// After an executor was lost, Ballista 54.1 has its tasks wait until a task of another one ends, for ever if none is
/// running. Any report of an executor makes it look for free slots: so does one that reports nothing.
async fn offer_again(scheduler: SchedulerServer<LogicalPlanNode, PhysicalPlanNode>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if scheduler.running_job_number() == 0 {
            continue;
        }
        let Ok(executors) = scheduler.state.executor_manager.get_executors_state().await else { continue };
        if let Some((executor, ..)) = executors.into_iter().next() {
            let nothing = UpdateTaskStatusParams { executor_id: executor.id, task_status: Vec::new() };
            // If it fails, the next one comes in a second.
            drop(SchedulerGrpc::update_task_status(&scheduler, tonic::Request::new(nothing)).await);
        }
    }
}
