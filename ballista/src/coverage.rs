//! What each scan of a log came to: how many parts and reads, how many records, and whether these are all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The longest time that an executor spends on reporting a coverage. The result doesn't depend on it.
const REPORT: Duration = Duration::from_secs(5);

/// What a scan of a log came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Coverage {
    /// The table.
    pub table: String,
    /// The profile that had the credentials.
    pub profile: String,
    /// What was asked of the server, as JSON.
    pub query: String,
    /// How many parts the listing was cut into.
    pub parts: u64,
    /// How many times a part was read.
    pub reads: u64,
    /// How many records the parts delivered. A record that two parts delivered counts twice.
    pub delivered: u64,
    /// How many rows the query got of them.
    pub rows: u64,
    /// How many records had been delivered before, and were dropped.
    pub repeated: u64,
    /// `complete`, `unverified` or `incomplete`.
    pub verdict: String,
    /// The verdict with its reason.
    pub detail: String,
    /// When the last part was read.
    pub finished_at: DateTime<Utc>,
}

/// The coverages of all scans of a session, in the order in which they ended.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Vec<Coverage>>,
}

impl Ledger {
    /// Returns all entries.
    #[must_use]
    pub fn entries(&self) -> Vec<Coverage> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn push(&self, coverage: Coverage) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(coverage);
    }
}

/// Where a scan's coverage is reported to. The result doesn't depend on it: rows that aren't proved don't leave the
/// plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(into = "Wire", from = "Wire")]
pub(crate) enum Report {
    #[default]
    Nowhere,
    /// A session in this process.
    Ledger(Arc<Ledger>),
    /// A session in another process, with a token by which it knows its own queries.
    Remote { address: String, token: String },
}

/// A [`Report`] in a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wire {
    Nowhere,
    Remote { address: String, token: String },
}

impl From<Report> for Wire {
    fn from(report: Report) -> Self {
        match report {
            Report::Remote { address, token } => Self::Remote { address, token },
            Report::Nowhere | Report::Ledger(_) => Self::Nowhere,
        }
    }
}

impl From<Wire> for Report {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Nowhere => Self::Nowhere,
            Wire::Remote { address, token } => Self::Remote { address, token },
        }
    }
}

/// A line that reports a coverage to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) token: String,
    pub(crate) coverage: Coverage,
}

/// The response to a line that was noted.
pub(crate) const NOTED: &[u8] = b"noted\n";

impl Line {
    async fn send(&self, address: &str) -> std::io::Result<bool> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(&line).await?;
        let mut response = Vec::new();
        stream.take(NOTED.len() as u64).read_to_end(&mut response).await?;
        Ok(response == NOTED)
    }
}

impl Report {
    /// Reports a coverage, and returns whether it has come to the session that asks.
    pub(crate) async fn send(&self, coverage: Coverage) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Ledger(ledger) => {
                ledger.push(coverage);
                true
            }
            Self::Remote { address, token } => {
                let line = Line { token: token.clone(), coverage };
                matches!(tokio::time::timeout(REPORT, line.send(address)).await, Ok(Ok(true)))
            }
        }
    }
}

/// The table of the coverages.
#[derive(Debug)]
pub(crate) struct CoverageTable(pub(crate) Arc<Ledger>);

const NUMBERS: [&str; 5] = ["parts", "reads", "delivered", "rows", "repeated"];

impl CoverageTable {
    fn batch(&self) -> Result<RecordBatch> {
        let entries = self.0.entries();
        let text = |get: fn(&Coverage) -> &String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(entries.iter().map(get)))
        };
        let number = |get: fn(&Coverage) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(entries.iter().map(|it| i64::try_from(get(it)).unwrap_or(i64::MAX))))
        };
        let times = entries.iter().map(|it| it.finished_at.timestamp_micros());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values((1..).take(entries.len()))),
            text(|it| &it.table),
            text(|it| &it.profile),
            text(|it| &it.query),
            number(|it| it.parts),
            number(|it| it.reads),
            number(|it| it.delivered),
            number(|it| it.rows),
            number(|it| it.repeated),
            text(|it| &it.verdict),
            text(|it| &it.detail),
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

#[async_trait]
impl TableProvider for CoverageTable {
    fn schema(&self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let number = |name: &str| Field::new(name, DataType::Int64, false);
        let mut fields = vec![number("scan"), text("table"), text("profile"), text("query")];
        fields.extend(NUMBERS.map(number));
        fields.extend(["verdict", "detail"].map(text));
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.push(Field::new("finished_at", time, false));
        Arc::new(Schema::new(fields))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = [vec![self.batch()?]];
        Ok(MemorySourceConfig::try_new_exec(&rows, self.schema(), projection.cloned())?)
    }
}
