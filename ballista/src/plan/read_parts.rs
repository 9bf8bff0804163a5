//! Reads the parts that its input has as rows.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures_util::StreamExt;

use crate::columns;
use crate::error::Problem;
use crate::plan::parts_of;
use crate::profile::Profiles;
use crate::scan::{Scan, Sink};

/// Reads parts one after another in each partition: as many parts at once as there are partitions.
pub(crate) struct ReadPartsExec {
    input: Arc<dyn ExecutionPlan>,
    pub(crate) scan: Scan,
    /// The columns of the table that are read, without the hidden ones.
    pub(crate) columns: Vec<usize>,
    profiles: Arc<Profiles>,
    properties: Arc<PlanProperties>,
}

impl ReadPartsExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        scan: Scan,
        columns: Vec<usize>,
        profiles: Arc<Profiles>,
    ) -> Result<Self> {
        let schema = columns::with_hidden(&projected(&scan, &columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(
                input.properties().output_partitioning().partition_count(),
            ),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { input, scan, columns, profiles, properties: Arc::new(properties) })
    }
}

/// Returns these columns of the scan's table.
pub(crate) fn projected(scan: &Scan, columns: &[usize]) -> Result<Schema> {
    Ok(scan.log.schema().project(columns)?)
}

impl fmt::Debug for ReadPartsExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadPartsExec").field("scan", &self.scan).finish_non_exhaustive()
    }
}

impl DisplayAs for ReadPartsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.properties.eq_properties.schema();
        let columns: Vec<_> = schema.fields().iter().take(self.columns.len()).map(|it| it.name().as_str()).collect();
        let Scan { profile, table, log, since } = &self.scan;
        write!(f, "ReadPartsExec: table={table}, profile={profile}, columns=[{}]", columns.join(", "))?;
        if let Some(since) = since {
            write!(f, ", after={}", since.after.to_rfc3339())?;
        }
        // What is asked of the server: the filters that it serves, and no credential.
        match serde_json::to_string(log) {
            Ok(log) => write!(f, ", query={log}"),
            Err(_) => Ok(()),
        }
    }
}

impl ExecutionPlan for ReadPartsExec {
    fn name(&self) -> &str {
        "ReadPartsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// The number of partitions is the number of parts that are read at once, and isn't the engine's to choose.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        let (scan, columns) = (self.scan.clone(), self.columns.clone());
        Ok(Arc::new(Self::new(input, scan, columns, Arc::clone(&self.profiles))?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut parts = self.input.execute(partition, context)?;
        let schema: SchemaRef = self.schema();
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), 2);
        let (to, scan, profiles) = (stream.tx(), self.scan.clone(), Arc::clone(&self.profiles));
        stream.spawn(async move {
            while let Some(batch) = parts.next().await {
                for (number, part) in parts_of(&batch?)? {
                    let read = scan.read(&profiles, part, number, &schema, &mut Sink::Send(&to)).await?;
                    let read = serde_json::to_string(&read)
                        .map_err(|error| Problem::RowsDiffer(format!("an outcome can't be sent: {error}")))?;
                    if to.send(columns::trailer(&schema, number, &read)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        Ok(stream.build())
    }
}
