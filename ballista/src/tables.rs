//! The tables: each scan cuts a log into parts, and plans to read them.

use std::sync::Arc;

use actionlog::arklow::RecordsQuery;
use actionlog::integration::LogsQuery;
use actionlog::unleash::EventsQuery;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::prelude::SessionContext;

use crate::coverage::{CoverageTable, Ledger, Report};
use crate::filters::{self, Pushdown};
use crate::plan::proof::{Demand, ProofExec};
use crate::plan::read_parts::ReadPartsExec;
use crate::plan::source_of;
use crate::profile::{DEFAULT, Profiles};
use crate::scan::{Log, Scan, Since};

/// How logs are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The profile with the credentials. The default is [`DEFAULT`].
    pub profile: String,
    /// How many parts of a log are read at once, over all machines. Each is one request at a time. The default is 4.
    pub parts_at_once: usize,
    /// Into how many parts a log is cut. The default is four times as many as are read at once.
    pub parts: Option<usize>,
    /// Reads a log a second time and compares, if the first time doesn't prove that all records came. For a log at
    /// rest.
    pub verify: bool,
    /// Takes rows that aren't proved to be all records.
    pub allow_unverified: bool,
    /// Asks the server to apply filters. The default is true. The engine applies them again.
    pub push_filters: bool,
    /// Asks the server of the integration logs to apply filters, too, as if its filters, whose language is
    /// undocumented, were MongoDB's. A server that takes them for less returns too few records.
    pub push_undocumented_filters: bool,
    /// Stops reading at records that are more than five minutes older than a query's time, in the logs whose newest
    /// records come first: the integration logs and Unleash. The default is false, as such rows are
    /// [`Unverified`](actionlog::Verdict::Unverified): a record that was logged out of order by more than that is
    /// missed. [`verify`](Self::verify) needs all of a log, and doesn't stop.
    pub push_times: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: DEFAULT.to_owned(),
            parts_at_once: 4,
            parts: None,
            verify: false,
            allow_unverified: false,
            push_filters: true,
            push_undocumented_filters: false,
            push_times: false,
        }
    }
}

/// The logs as tables.
#[derive(Clone, Debug)]
pub struct Logs {
    options: Arc<Options>,
    profiles: Arc<Profiles>,
    ledger: Arc<Ledger>,
}

impl Logs {
    /// Makes tables of the logs that these profiles have.
    #[must_use]
    pub fn new(options: Options, profiles: Arc<Profiles>) -> Self {
        Self { options: Arc::new(options), profiles, ledger: Arc::default() }
    }

    /// Registers the tables `arklow_records`, `integration_logs` and `actionlog_coverage`, and the table function
    /// `unleash_events(project, action_set)`.
    ///
    /// # Errors
    ///
    /// If the session has tables of these names in a schema that takes no others.
    pub fn register(&self, session: &SessionContext) -> Result<()> {
        let arklow = self.table("arklow_records", Log::Arklow(RecordsQuery::new()));
        session.register_table("arklow_records", Arc::new(arklow))?;
        let integration = self.table("integration_logs", Log::Integration(LogsQuery::new()));
        session.register_table("integration_logs", Arc::new(integration))?;
        session.register_table("actionlog_coverage", Arc::new(CoverageTable(self.ledger())))?;
        session.register_udtf("unleash_events", Arc::new(UnleashEvents(self.clone())));
        Ok(())
    }

    /// Returns what the scans of these tables came to.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn profiles(&self) -> Arc<Profiles> {
        Arc::clone(&self.profiles)
    }

    fn table(&self, name: impl Into<String>, log: Log) -> Table {
        Table { name: name.into(), log, logs: self.clone() }
    }

    fn pushdown(&self) -> Pushdown {
        let Options { push_filters, push_undocumented_filters, push_times, verify, .. } = *self.options;
        Pushdown { is_on: push_filters, undocumented: push_undocumented_filters, times: push_times && !verify }
    }
}

/// A log as a table.
#[derive(Debug)]
struct Table {
    name: String,
    log: Log,
    logs: Logs,
}

impl Table {
    /// Returns what is asked of the log for these columns and filters.
    fn scan_of(&self, columns: &[usize], filters: &[Expr]) -> Scan {
        let log = filters::push_all(self.log.clone(), filters, &self.logs.pushdown());
        let schema = self.schema();
        let names: Vec<_> = columns.iter().filter_map(|it| schema.fields().get(*it)).map(|it| it.name()).collect();
        let names: Vec<_> = names.into_iter().map(String::as_str).collect();
        let log = match log {
            Log::Arklow(query) => Log::Arklow(filters::with_views(query, &names)),
            log => log,
        };
        let after = filters::after(&self.log, filters, &self.logs.pushdown());
        let since = after.map(|after| Since { after, at_once: self.logs.options.parts_at_once });
        Scan { profile: self.logs.options.profile.clone(), table: self.name.clone(), log, since }
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        self.log.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushdown = self.logs.pushdown();
        let supported = filters.iter().map(|it| match filters::is_pushed(&self.log, it, &pushdown) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        });
        Ok(supported.collect())
    }

    /// Cuts the listing now. A limit isn't used: without the rest, nothing is proved.
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        let (options, profiles) = (&self.logs.options, &self.logs.profiles);
        let scan = self.scan_of(&columns, filters);
        let at_once = options.parts_at_once.max(1);
        let parts = scan.pieces(profiles, options.parts.unwrap_or(at_once * 4)).await?;
        let demand = Demand {
            parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            at_once,
            verify: options.verify,
            allow_unverified: options.allow_unverified,
            report: Report::Ledger(self.logs.ledger()),
        };
        let source = source_of(&parts, at_once)?;
        let read = ReadPartsExec::new(source, scan.clone(), columns.clone(), Arc::clone(profiles))?;
        let gathered = Arc::new(CoalescePartitionsExec::new(Arc::new(read)));
        Ok(Arc::new(ProofExec::new(gathered, scan, columns, demand, Arc::clone(profiles))?))
    }
}

/// The table function `unleash_events(project, action_set)`.
#[derive(Debug)]
struct UnleashEvents(Logs);

impl TableFunctionImpl for UnleashEvents {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let usage = "unleash_events takes a project and the id of an action set: unleash_events('default', 7)";
        let [Expr::Literal(project, _), Expr::Literal(set, _)] = args.exprs() else { return plan_err!("{usage}") };
        let ScalarValue::Utf8(Some(project)) = project else { return plan_err!("{usage}") };
        let query = match set {
            ScalarValue::Int64(Some(id)) => EventsQuery::new(project, *id),
            ScalarValue::Utf8(Some(id)) => match id.parse::<i64>() {
                Ok(id) => EventsQuery::new(project, id),
                Err(_) => EventsQuery::with_text_id(project, id),
            },
            _ => return plan_err!("{usage}"),
        };
        let name = format!("unleash_events('{project}', {})", query.action_set());
        Ok(Arc::new(self.0.table(name, Log::Unleash(query))))
    }
}
