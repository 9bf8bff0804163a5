//! Holds the rows of a scan back until they are proved to be all of its records, each once.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use actionlog::page::{Doubt, Merged, Part, PartRead, Verdict, merge};
use chrono::Utc;
use datafusion::arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::columns;
use crate::coverage::{Coverage, Report};
use crate::error::Problem;
use crate::plan::read_parts::projected;
use crate::profile::Profiles;
use crate::scan::{Piece, PieceRead, Scan, Sink};

/// How often parts are read again at most. `merge` itself ends after four rounds.
const ROUNDS: usize = 8;

/// What is demanded of the rows, and how parts are read again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Demand {
    /// How many parts the listing was cut into.
    pub(crate) parts: u32,
    /// How many are read again at once.
    pub(crate) at_once: usize,
    /// Whether all is read a second time if the first doesn't prove it.
    pub(crate) verify: bool,
    /// Whether rows are taken that aren't proved to be all.
    pub(crate) allow_unverified: bool,
    /// Where the coverage is reported to.
    pub(crate) report: Report,
}

/// Holds all rows back, checks them, and yields each record once.
pub(crate) struct ProofExec {
    input: Arc<dyn ExecutionPlan>,
    pub(crate) scan: Scan,
    pub(crate) columns: Vec<usize>,
    pub(crate) demand: Demand,
    profiles: Arc<Profiles>,
    properties: Arc<PlanProperties>,
}

impl ProofExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        scan: Scan,
        columns: Vec<usize>,
        demand: Demand,
        profiles: Arc<Profiles>,
    ) -> Result<Self> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(projected(&scan, &columns)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self { input, scan, columns, demand, profiles, properties: Arc::new(properties) })
    }

    /// Returns the same plan with its coverage reported elsewhere.
    #[cfg(feature = "cluster")]
    pub(crate) fn reporting_to(&self, report: Report) -> Result<Self> {
        let demand = Demand { report, ..self.demand.clone() };
        let input = Arc::clone(&self.input);
        Self::new(input, self.scan.clone(), self.columns.clone(), demand, Arc::clone(&self.profiles))
    }
}

impl fmt::Debug for ProofExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofExec").field("scan", &self.scan).field("demand", &self.demand).finish_non_exhaustive()
    }
}

impl DisplayAs for ProofExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Demand { parts, verify, allow_unverified, .. } = &self.demand;
        write!(f, "ProofExec: table={}, parts={parts}, verify={verify}", self.scan.table)?;
        write!(f, ", allow_unverified={allow_unverified}")
    }
}

impl ExecutionPlan for ProofExec {
    fn name(&self) -> &str {
        "ProofExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        let (scan, columns, demand) = (self.scan.clone(), self.columns.clone(), self.demand.clone());
        Ok(Arc::new(Self::new(input, scan, columns, demand, Arc::clone(&self.profiles))?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("rows of {} until they are proved", self.scan.table));
        let memory = consumer.register(context.memory_pool());
        let mut rows = self.input.execute(partition, context)?;
        let mut stream = RecordBatchReceiverStreamBuilder::new(self.schema(), 2);
        let to = stream.tx();
        let mut proof = Proof::new(self, memory);
        stream.spawn(async move {
            while let Some(batch) = rows.next().await {
                proof.take(&batch?)?;
            }
            let (batches, _held) = proof.finish().await?;
            for batch in batches {
                if to.send(Ok(batch)).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok(stream.build())
    }
}

/// What was delivered of a scan so far.
struct Proof {
    scan: Scan,
    demand: Demand,
    profiles: Arc<Profiles>,
    /// The columns with the hidden ones, and without them.
    read: SchemaRef,
    shown: SchemaRef,
    memory: MemoryReservation,
    /// The rows that came, by the number of their part, and the outcomes of the parts.
    came: Vec<u64>,
    reads: Vec<Option<PieceRead>>,
    kept: Vec<RecordBatch>,
    seen: Seen,
    /// Rows that were dropped as they had come before, and invalid records without an id, of which that can't be seen.
    repeated: u64,
    unidentified: u64,
}

/// The keys of the records that came, as 128 random bits each.
#[derive(Default)]
struct Seen {
    hashers: (RandomState, RandomState),
    keys: HashSet<(u64, u64)>,
}

impl Seen {
    fn insert(&mut self, key: &str) -> bool {
        self.keys.insert((self.hashers.0.hash_one(key), self.hashers.1.hash_one(key)))
    }
}

impl Proof {
    fn new(plan: &ProofExec, memory: MemoryReservation) -> Self {
        let parts = plan.demand.parts as usize;
        let shown = plan.schema();
        Self {
            scan: plan.scan.clone(),
            demand: plan.demand.clone(),
            profiles: Arc::clone(&plan.profiles),
            read: columns::with_hidden(&shown),
            shown,
            memory,
            came: vec![0; parts],
            reads: vec![None; parts],
            kept: Vec::new(),
            seen: Seen::default(),
            repeated: 0,
            unidentified: 0,
        }
    }

    /// Takes rows of the parts: records, and what the scans of the parts came to.
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let other = || Problem::RowsDiffer("the columns of a part aren't those of its table".to_owned());
        let count = batch.num_columns();
        let hidden = count.checked_sub(2).ok_or_else(other)?;
        let numbers = batch.column(hidden).as_any().downcast_ref::<UInt32Array>().ok_or_else(other)?;
        let reads = batch.column(hidden + 1).as_any().downcast_ref::<StringArray>().ok_or_else(other)?;
        for (number, read) in numbers.values().iter().zip(reads.iter()) {
            let at = *number as usize;
            let strange = || Problem::RowsDiffer(format!("there is no part {number}"));
            let Some(read) = read else {
                *self.came.get_mut(at).ok_or_else(strange)? += 1;
                continue;
            };
            let read = serde_json::from_str(read)
                .map_err(|error| Problem::RowsDiffer(format!("the outcome of part {number}: {error}")))?;
            if self.reads.get_mut(at).ok_or_else(strange)?.replace(read).is_some() {
                return Err(Problem::RowsDiffer(format!("part {number} came twice")).into());
            }
        }
        self.keep(batch)
    }

    /// Keeps the records of a batch that haven't come before.
    fn keep(&mut self, batch: &RecordBatch) -> Result<()> {
        let other = || Problem::RowsDiffer("the columns of a part aren't those of its table".to_owned());
        let shown = self.shown.fields().len();
        let keys = batch.columns().get(shown).and_then(|it| it.as_any().downcast_ref::<StringArray>());
        let reads = batch.column(batch.num_columns() - 1);
        let keys = keys.ok_or_else(other)?;
        let mut mask = Vec::with_capacity(batch.num_rows());
        for (row, key) in keys.iter().enumerate() {
            mask.push(match key {
                _ if reads.is_valid(row) => false,
                Some(key) => self.seen.insert(key),
                None => {
                    self.unidentified += 1;
                    true
                }
            });
            let is_record = reads.is_null(row);
            self.repeated += u64::from(is_record && !mask[row]);
        }
        let kept = filter_record_batch(batch, &BooleanArray::from(mask))?;
        let rows = RecordBatchOptions::new().with_row_count(Some(kept.num_rows()));
        let columns = kept.columns()[..shown].to_vec();
        let kept = RecordBatch::try_new_with_options(Arc::clone(&self.shown), columns, &rows)?;
        self.memory.try_grow(kept.get_array_memory_size())?;
        if kept.num_rows() > 0 {
            self.kept.push(kept);
        }
        Ok(())
    }

    /// Checks that the rows of each part came once and are as many as its scan delivered.
    fn outcomes(&mut self) -> Result<Vec<PieceRead>, Problem> {
        let mut reads = Vec::new();
        for (number, (came, read)) in self.came.iter().zip(self.reads.drain(..)).enumerate() {
            let Some(read) = read else {
                return Err(Problem::RowsDiffer(format!("part {number} has no outcome")));
            };
            if read.delivered() != *came {
                let delivered = read.delivered();
                return Err(Problem::RowsDiffer(format!("part {number} delivered {delivered}, and {came} came")));
            }
            reads.push(read);
        }
        Ok(reads)
    }

    /// Reads again what has to be, and returns the rows if they are proved, with the memory that they take.
    async fn finish(mut self) -> Result<(Vec<RecordBatch>, MemoryReservation)> {
        let reads = self.outcomes()?;
        let Judged { verdict, delivered, reads: count } = match reads.as_slice() {
            [PieceRead::Newest { delivered, verdict }] if self.scan.since.is_some() => {
                Judged { verdict: *verdict, delivered: *delivered, reads: 1 }
            }
            _ => self.judge(reads).await?,
        };
        let verdict = match self.unidentified {
            0 => verdict,
            // One that two parts delivered can't be told from two.
            _ if count > u64::from(self.demand.parts) || self.repeated > 0 => {
                verdict.worse(Verdict::Unverified(Doubt::Alike))
            }
            _ => verdict,
        };
        let is_reported = self.report(verdict, delivered, count).await;
        // `push_times` allows this one doubt by name.
        let has_stopped = self.scan.since.is_some() && verdict == Verdict::Unverified(Doubt::Since);
        if verdict.is_incomplete() || !(verdict.is_complete() || has_stopped || self.demand.allow_unverified) {
            let table = self.scan.table;
            return Err(Problem::NotProved { table, verdict, delivered, reads: count }.into());
        }
        // Who allows less than all has to be told when it is less.
        if !verdict.is_complete() && !is_reported {
            return Err(Problem::NotReported { table: self.scan.table, verdict }.into());
        }
        Ok((self.kept, self.memory))
    }

    /// Merges the outcomes of parts, reads parts again where they don't meet, and all of them if that is demanded.
    async fn judge(&mut self, reads: Vec<PieceRead>) -> Result<Judged> {
        let mut reads = reads.into_iter().map(of_part).collect::<Result<Vec<_>, _>>()?;
        let mut merged = self.merge(&mut reads, true).await?;
        let (mut count, delivered) = (reads.len() as u64, merged.delivered);
        if self.demand.verify && !merged.verdict.is_complete() && !merged.verdict.is_incomplete() {
            let parts = self.scan.cut(&self.profiles, self.demand.parts as usize).await?;
            let mut second = self.read(parts, false).await?;
            let other = self.merge(&mut second, false).await?;
            count += second.len() as u64;
            merged = merged.verified_by(&other);
        }
        Ok(Judged { verdict: merged.verdict, delivered, reads: count })
    }

    /// Merges outcomes, and reads parts again until none is left to be.
    async fn merge(&mut self, reads: &mut Vec<PartRead>, is_kept: bool) -> Result<Merged> {
        let mut merged = merge(reads).map_err(Problem::Api)?;
        for _ in 0..ROUNDS {
            if merged.again.is_empty() {
                break;
            }
            reads.extend(self.read(merged.again, is_kept).await?);
            merged = merge(reads).map_err(Problem::Api)?;
        }
        Ok(merged)
    }

    /// Reads parts here, some at once, and keeps their rows or only their outcomes.
    async fn read(&mut self, parts: Vec<Part>, is_kept: bool) -> Result<Vec<PartRead>> {
        let again = parts.into_iter().map(|part| {
            let (scan, profiles, schema) = (self.scan.clone(), Arc::clone(&self.profiles), Arc::clone(&self.read));
            read_again(scan, profiles, schema, part, is_kept)
        });
        let again: Vec<_> = again.collect();
        let mut read = stream::iter(again).buffered(self.demand.at_once.max(1));
        let mut reads = Vec::new();
        while let Some((rows, outcome)) = read.try_next().await? {
            reads.push(outcome);
            for batch in rows {
                self.keep(&batch)?;
            }
        }
        Ok(reads)
    }

    async fn report(&self, verdict: Verdict, delivered: u64, reads: u64) -> bool {
        let Scan { profile, table, log, .. } = &self.scan;
        let coverage = Coverage {
            table: table.clone(),
            profile: profile.clone(),
            query: serde_json::to_string(log).unwrap_or_default(),
            parts: u64::from(self.demand.parts),
            reads,
            delivered,
            rows: self.kept.iter().map(|it| it.num_rows() as u64).sum(),
            repeated: self.repeated,
            verdict: match verdict {
                _ if verdict.is_complete() => "complete",
                _ if verdict.is_incomplete() => "incomplete",
                _ => "unverified",
            }
            .to_owned(),
            detail: verdict.to_string(),
            finished_at: Utc::now(),
        };
        self.demand.report.send(coverage).await
    }
}

/// What a scan came to: whether its records are all, how many they are, and how many times a part was read.
struct Judged {
    verdict: Verdict,
    delivered: u64,
    reads: u64,
}

/// Returns the outcome of a part. That of anything else is no outcome of a part.
fn of_part(read: PieceRead) -> Result<PartRead, Problem> {
    match read {
        PieceRead::Part(read) => Ok(*read),
        PieceRead::Newest { .. } => Err(Problem::RowsDiffer("a part has no outcome".to_owned())),
    }
}

/// Reads a part in this process, and returns its rows if they are kept.
async fn read_again(
    scan: Scan,
    profiles: Arc<Profiles>,
    schema: SchemaRef,
    part: Part,
    is_kept: bool,
) -> Result<(Vec<RecordBatch>, PartRead)> {
    let mut rows = Vec::new();
    let mut sink = if is_kept { Sink::Keep(&mut rows) } else { Sink::Drop };
    let read = scan.read(&profiles, Piece::Part(part), 0, &schema, &mut sink).await?;
    let came: usize = rows.iter().map(RecordBatch::num_rows).sum();
    if is_kept && came as u64 != read.delivered() {
        let delivered = read.delivered();
        let what = format!("a part that was read again delivered {delivered}, and {came} came");
        return Err(Problem::RowsDiffer(what).into());
    }
    Ok((rows, of_part(read)?))
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
