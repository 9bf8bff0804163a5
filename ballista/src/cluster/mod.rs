//! Many machines: queries are planned here, and run by Ballista.
//!
//! The session that asks plans a query as for one machine, and so has to have credentials. What it sends to the
//! scheduler is the physical plan, in which the listings are already cut into parts: the scheduler asks no server, and
//! needs no credentials. Executors do.

mod codec;
mod coverage;
mod logger;
mod refused;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::execution_plans::execute_physical_plan;
use ballista_core::extension::SessionConfigExt;
use datafusion::common::not_impl_err;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::analyze::AnalyzeExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures_util::TryStreamExt;

use crate::cluster::coverage::Receiver;
use crate::plan::proof::ProofExec;
use crate::tables::Logs;

pub use codec::Codec;
pub use logger::log_to_stderr;

/// Returns a session whose queries run on the executors of a scheduler: `http://host:50050`.
///
/// # Errors
///
/// The engine's, if tables can't be registered.
pub fn session(scheduler: impl Into<String>, logs: &Logs) -> Result<SessionContext> {
    let codec = Arc::new(Codec::new(logs.profiles()));
    let config = SessionConfig::new_with_ballista()
        .with_information_schema(true)
        .with_ballista_physical_extension_codec(Arc::clone(&codec) as _);
    let planner = Planner { scheduler: scheduler.into(), codec, logs: logs.clone() };
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_query_planner(Arc::new(planner))
        .build();
    let session = SessionContext::new_with_state(state);
    logs.register(&session)?;
    Ok(session)
}

/// Plans as for one machine, and hands what reads logs to the scheduler.
#[derive(Debug)]
struct Planner {
    scheduler: String,
    codec: Arc<Codec>,
    logs: Logs,
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        logical: &LogicalPlan,
        session: &SessionState,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = DefaultPhysicalPlanner::default().create_physical_plan(logical, session).await?;
        self.distribute(plan, session)
    }
}

impl Planner {
    fn distribute(&self, plan: Arc<dyn ExecutionPlan>, session: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
        if !reads_logs(&plan)? {
            // The coverage, or constants.
            return Ok(plan);
        }
        if plan.downcast_ref::<AnalyzeExec>().is_some() {
            return not_impl_err!("EXPLAIN ANALYZE measures one machine only: ask without a scheduler");
        }
        // What is written is written here.
        if let Some(sink) = plan.downcast_ref::<DataSinkExec>() {
            let input = self.distribute(Arc::clone(sink.input()), session)?;
            return plan.with_new_children(vec![input]);
        }
        Ok(Arc::new(RemoteExec::new(self, plan, session)))
    }
}

fn reads_logs(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|it| Ok(it.downcast_ref::<ProofExec>().is_some()))
}

/// Says what an error of the connection to the scheduler, or to an executor that has the rows, means for the query.
fn explained(error: DataFusionError, scheduler: &str) -> DataFusionError {
    let message = error.to_string();
    let is_lost = ["h2 protocol error", "transport error", "tcp connect error"].iter().any(|it| message.contains(it));
    if !is_lost {
        return error;
    }
    error.context(format!(
        "the cluster of {scheduler} can't be reached or has broken off, and there is no result: a scheduler that is \
         restarted has forgotten its queries. See that it runs, and ask again"
    ))
}

/// Runs its plan on the executors of a scheduler.
struct RemoteExec {
    scheduler: String,
    codec: Arc<Codec>,
    logs: Logs,
    plan: Arc<dyn ExecutionPlan>,
    session: String,
    properties: Arc<PlanProperties>,
}

impl RemoteExec {
    fn new(planner: &Planner, plan: Arc<dyn ExecutionPlan>, session: &SessionState) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(plan.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let Planner { scheduler, codec, logs } = planner;
        Self {
            scheduler: scheduler.clone(),
            codec: Arc::clone(codec),
            logs: logs.clone(),
            plan,
            session: session.session_id().to_owned(),
            properties: Arc::new(properties),
        }
    }
}

impl fmt::Debug for RemoteExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteExec").field("scheduler", &self.scheduler).field("plan", &self.plan).finish()
    }
}

impl DisplayAs for RemoteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteExec: scheduler={}", self.scheduler)
    }
}

impl ExecutionPlan for RemoteExec {
    fn name(&self) -> &str {
        "RemoteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (scheduler, codec) = (self.scheduler.clone(), Arc::clone(&self.codec));
        let (plan, session, ledger) = (Arc::clone(&self.plan), self.session.clone(), self.logs.ledger());
        let config = context.session_config().clone();
        let rows = async move {
            let receiver = Receiver::start(&scheduler, ledger).await?;
            let plan = plan.transform_up(|it| match it.downcast_ref::<ProofExec>() {
                Some(proof) => Ok(Transformed::yes(Arc::new(proof.reporting_to(receiver.report())?) as _)),
                None => Ok(Transformed::no(it)),
            })?;
            let ballista = config.ballista_config();
            let rows = execute_physical_plan::<PhysicalPlanNode>(
                scheduler,
                &ballista,
                plan.data,
                codec.as_ref(),
                session,
                config,
            )
            .await?;
            // The executors report until the last row is there.
            Ok::<_, DataFusionError>(rows.inspect_ok(move |_| {
                let _ = &receiver;
            }))
        };
        let scheduler = self.scheduler.clone();
        let rows = futures_util::stream::once(rows).try_flatten().map_err(move |error| explained(error, &scheduler));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
