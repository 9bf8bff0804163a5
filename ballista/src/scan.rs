//! What is read of a log, and how: its listing is cut into parts, and each part is read by itself. A scan that stops at
//! a time isn't cut: where that is shows as it is read.

use std::sync::Arc;

use actionlog::arklow::{ActionRecord, RecordListing, RecordsQuery};
use actionlog::integration::{ActionLog, LogListing, LogsQuery};
use actionlog::page::{Part, PartRead, Raw};
use actionlog::unleash::{ActionSetEvent, EventsQuery};
use actionlog::{ErrorKind, Listing, Paginate, Verdict};
use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use crate::columns::{self, Batches, RAW, Tabular};
use crate::error::Problem;
use crate::profile::{AnyClient, Opened, Profiles};

/// A log with what is asked of it. It is part of plans, and so holds no credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Log {
    Arklow(RecordsQuery),
    Integration(LogsQuery),
    Unleash(EventsQuery),
}

/// A log as a query reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scan {
    /// The profile that has the credentials.
    pub(crate) profile: String,
    /// The table's name, for messages.
    pub(crate) table: String,
    pub(crate) log: Log,
    pub(crate) since: Option<Since>,
}

/// A scan from the newest record on, which stops at records that are older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Since {
    /// The time after which records are wanted.
    pub(crate) after: DateTime<Utc>,
    /// How many pages are requested at once.
    pub(crate) at_once: usize,
}

/// What is read by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Piece {
    Part(Part),
    /// All that the scan wants: it stops at a time. The part is the whole listing, and names its server.
    Newest(Part),
}

/// What reading a piece came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PieceRead {
    Part(Box<PartRead>),
    Newest { delivered: u64, verdict: Verdict },
}

impl PieceRead {
    /// Returns how many records were delivered.
    pub(crate) fn delivered(&self) -> u64 {
        match self {
            Self::Part(read) => read.delivered(),
            Self::Newest { delivered, .. } => *delivered,
        }
    }
}

/// The listing of any log.
enum AnyListing {
    Arklow(Listing<RecordListing>),
    Integration(Listing<LogListing>),
    Unleash(Listing<EventsQuery>),
}

/// Evaluates an expression with the listing of a log, of whichever type it is.
macro_rules! with_listing {
    ($any:expr, |$listing:ident| $then:expr) => {
        match $any {
            AnyListing::Arklow($listing) => $then,
            AnyListing::Integration($listing) => $then,
            AnyListing::Unleash($listing) => $then,
        }
    };
}

impl Log {
    /// Returns the columns of the log's table.
    pub(crate) fn schema(&self) -> SchemaRef {
        match self {
            Self::Arklow(_) => columns::schema::<ActionRecord>(),
            Self::Integration(_) => columns::schema::<ActionLog>(),
            Self::Unleash(_) => columns::schema::<ActionSetEvent>(),
        }
    }
}

impl Scan {
    /// Returns the listing, which requests one page at a time: then as many requests are in flight as parts are read.
    fn listing(&self, profiles: &Profiles) -> Result<AnyListing, Problem> {
        let mismatch = || Problem::Settings(format!("the client of {} is of another log", self.table));
        Ok(match &self.log {
            Log::Arklow(query) => {
                let Opened { client, stability } = profiles.arklow(&self.profile)?;
                let AnyClient::Arklow(client) = client else { return Err(mismatch()) };
                AnyListing::Arklow(ordered(client.records().list(query), stability))
            }
            Log::Integration(query) => {
                let Opened { client, stability } = profiles.integration(&self.profile)?;
                let AnyClient::Integration(client) = client else { return Err(mismatch()) };
                AnyListing::Integration(ordered(client.logs().list(query), stability))
            }
            Log::Unleash(query) => {
                let Opened { client, stability } = profiles.unleash(&self.profile)?;
                let AnyClient::Unleash(client) = client else { return Err(mismatch()) };
                AnyListing::Unleash(ordered(client.action_set_events().list(query.clone()), stability))
            }
        })
    }

    /// Returns what is read by itself: about so many parts of the listing, or all that is newer than a time.
    pub(crate) async fn pieces(&self, profiles: &Profiles, parts: usize) -> Result<Vec<Piece>, Problem> {
        if self.since.is_some() {
            let whole = with_listing!(self.listing(profiles)?, |listing| listing.parts_of(u64::MAX)?.next());
            return Ok(whole.into_iter().map(Piece::Newest).collect());
        }
        Ok(self.cut(profiles, parts).await?.into_iter().map(Piece::Part).collect())
    }

    /// Cuts the listing into about `parts` parts. This takes one request if the server sends a total, and about two
    /// for each doubling of the number of pages if it doesn't.
    pub(crate) async fn cut(&self, profiles: &Profiles, parts: usize) -> Result<Vec<Part>, Problem> {
        with_listing!(self.listing(profiles)?, |listing| {
            match listing.split(parts).await {
                Err(error) if error.kind() == ErrorKind::InvalidRequest => Ok(probe(&listing, parts).await?),
                split => Ok(split?),
            }
        })
    }

    /// Reads one piece. Its rows go to the sink, with the number of the piece.
    pub(crate) async fn read(
        &self,
        profiles: &Profiles,
        piece: Piece,
        number: u32,
        schema: &SchemaRef,
        sink: &mut Sink<'_>,
    ) -> Result<PieceRead> {
        with_listing!(self.listing(profiles)?, |listing| {
            read(of_piece(listing, piece, self.since).await?, number, schema, sink).await
        })
    }
}

fn ordered<Q: Paginate>(listing: Listing<Q>, stability: Option<actionlog::page::Stability>) -> Listing<Q> {
    let listing = listing.prefetch(0);
    match stability {
        Some(stability) => listing.stability(stability),
        None => listing,
    }
}

/// Returns the listing of one piece.
async fn of_piece<Q: Paginate>(listing: Listing<Q>, piece: Piece, since: Option<Since>) -> Result<Listing<Q>, Problem> {
    let whole = match piece {
        Piece::Part(part) => return Ok(listing.part(part)),
        Piece::Newest(whole) => whole,
    };
    // The profile of this process may be that of another server. A part of another listing is an error before anything
    // is requested.
    if let Some(Err(error)) = listing.clone().part(whole).max_items(0).items().next().await {
        return Err(Problem::Api(error));
    }
    Ok(match since {
        Some(Since { after, at_once }) => listing.prefetch(at_once).since(after),
        None => listing,
    })
}

/// Looks for the end of a listing without a total, and cuts it there. The end is where no record was: what comes behind
/// it is found when the parts are merged.
async fn probe<Q: Paginate>(listing: &Listing<Q>, parts: usize) -> actionlog::Result<Vec<Part>> {
    let page = listing.clone().start_offset(0).page().await?;
    // Parts overlap by a record.
    let step = (page.entries.len() as u64).saturating_sub(1).max(1);
    let (mut there, mut gone) = (0_u64, 1_u64);
    while gone < (1 << 32) && holds(listing, gone.saturating_mul(step)).await? {
        (there, gone) = (gone, gone * 2);
    }
    while gone - there > 1 {
        let middle = there + (gone - there) / 2;
        if holds(listing, middle.saturating_mul(step)).await? { there = middle } else { gone = middle }
    }
    let parts = u64::try_from(parts).unwrap_or(u64::MAX).max(1);
    let steps = gone.div_ceil(parts);
    let count = usize::try_from(gone.div_ceil(steps)).unwrap_or(usize::MAX);
    Ok(listing.parts_of(steps.saturating_mul(step))?.take(count).collect())
}

/// Returns whether there is a record at this offset.
async fn holds<Q: Paginate>(listing: &Listing<Q>, offset: u64) -> actionlog::Result<bool> {
    let page = listing.clone().start_offset(offset).page().await?;
    Ok(!page.entries.is_empty())
}

/// What becomes of the rows of a part.
pub(crate) enum Sink<'a> {
    /// They are sent on.
    Send(&'a Sender<Result<RecordBatch>>),
    /// They are kept.
    Keep(&'a mut Vec<RecordBatch>),
    /// They are only counted: the part is read for comparison.
    Drop,
}

impl Sink<'_> {
    async fn push(&mut self, batch: Option<RecordBatch>) -> Result<()> {
        match (self, batch) {
            (Self::Send(to), Some(batch)) => {
                let gone = |_| DataFusionError::Execution("the query was dropped".to_owned());
                to.send(Ok(batch)).await.map_err(gone)
            }
            (Self::Keep(batches), Some(batch)) => {
                batches.push(batch);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Reads a listing, with the raw JSON of its records only if that is a column.
async fn read<Q, R>(listing: Listing<Q>, number: u32, schema: &SchemaRef, sink: &mut Sink<'_>) -> Result<PieceRead>
where
    Q: Paginate<Item = R>,
    R: Tabular,
{
    let batches = Batches::<R>::new(Arc::clone(schema), number);
    if schema.column_with_name(RAW).is_some() {
        let view: fn(&Raw<R>) -> (&R, Option<&str>) = |it| (&**it, Some(it.raw().as_str()));
        read_items(listing.with_raw(), batches, view, sink).await
    } else {
        read_items(listing, batches, |it| (it, None), sink).await
    }
}

async fn read_items<Q, R>(
    listing: Listing<Q>,
    mut batches: Batches<R>,
    view: fn(&Q::Item) -> (&R, Option<&str>),
    sink: &mut Sink<'_>,
) -> Result<PieceRead>
where
    Q: Paginate,
    R: Tabular,
{
    let mut items = listing.items().with_invalid();
    let (mut delivered, mut last_error) = (0, None);
    while let Some(entry) = items.next().await {
        let entry = match entry {
            Ok(entry) => entry,
            // The stream goes on if the error is transient, and behind errors that came beside records.
            Err(error) => {
                last_error = Some(error);
                continue;
            }
        };
        (delivered, last_error) = (delivered + 1, None);
        let batch = match &entry {
            Ok(item) => {
                let (record, raw) = view(item);
                batches.push(record, raw)?
            }
            Err(invalid) => batches.push_invalid(invalid)?,
        };
        sink.push(batch).await?;
    }
    sink.push(batches.finish()?).await?;
    match (items.part_read(), last_error) {
        // It has ended the scan. The verdict knows of errors beside records.
        (_, Some(error)) if !error.is_transient() && error.kind() != ErrorKind::Partial => {
            Err(Problem::Api(error).into())
        }
        (Some(read), _) => Ok(PieceRead::Part(Box::new(read))),
        (None, _) => Ok(PieceRead::Newest { delivered, verdict: items.summary().verdict }),
    }
}
