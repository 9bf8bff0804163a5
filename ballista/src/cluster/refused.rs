//! A plan of another version, which an executor can't run.

use std::fmt;
use std::sync::Arc;

use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// Fails when it is run, and so fails its query.
///
/// An executor that refuses to *decode* a plan is taken for dead by Ballista 54.1. It registers again with its next
/// heartbeat, gets the plan again, and the query never ends.
#[derive(Debug)]
pub(super) struct RefusedExec {
    why: String,
    input: Arc<dyn ExecutionPlan>,
}

impl RefusedExec {
    pub(super) fn new(why: String, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { why, input }
    }
}

impl DisplayAs for RefusedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedExec: {}", self.why)
    }
}

impl ExecutionPlan for RefusedExec {
    fn name(&self) -> &str {
        "RefusedExec"
    }

    /// The other version's columns are unknown. Those of its input begin with the same ones, or it is the last plan of
    /// its stage.
    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self::new(self.why.clone(), input)))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        exec_err!("{}", self.why)
    }
}
