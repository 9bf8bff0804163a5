//! A fake server of all three logs, and sessions that ask it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actionlog::integration::ActionLog;
use actionlog::testing::{FakeServer, Server};
use actionlog_ballista::datafusion::arrow::array::RecordBatch;
use actionlog_ballista::datafusion::arrow::util::pretty::pretty_format_batches;
use actionlog_ballista::datafusion::error::Result;
use actionlog_ballista::datafusion::prelude::SessionContext;
use actionlog_ballista::{Coverage, Logs, Options, Profiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server on a port.
pub(crate) struct Fake {
    pub(crate) server: FakeServer,
    port: Server,
}

pub(crate) const ORG: &str = "42";

/// What is known of the fake server: its totals count the listing, and no record moves.
pub(crate) const KNOWN: [(&str, &str); 4] = [
    ("ARKLOW_COUNT_SCOPE", "listing"),
    ("ARKLOW_ORDER", "stable"),
    ("INTEGRATION_LOGS_TOTAL_SCOPE", "listing"),
    ("INTEGRATION_LOGS_ORDER", "stable"),
];

impl Fake {
    /// Starts a server with so many records in each log.
    pub(crate) async fn start(records: usize) -> Self {
        let server = FakeServer::new();
        server.arklow().add_sample_records(ORG, records);
        server.integration().add_sample_logs(records);
        server.unleash().add_sample_events("default", 7, records);
        let port = server.clone().listen().await.unwrap();
        Self { server, port }
    }

    pub(crate) fn url(&self) -> String {
        self.port.url()
    }

    /// Returns the variables of a process that asks this server.
    pub(crate) fn variables(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let url = self.url();
        let mut variables = vec![
            ("ARKLOW_BASE_URL".to_owned(), url.clone()),
            ("ARKLOW_API_KEY".to_owned(), "s3cr3t-of-arklow".to_owned()),
            ("ARKLOW_ORG_ID".to_owned(), ORG.to_owned()),
            ("INTEGRATION_LOGS_URL".to_owned(), url.clone()),
            ("INTEGRATION_LOGS_AUTHORIZATION".to_owned(), "Bearer s3cr3t-of-logs".to_owned()),
            ("UNLEASH_URL".to_owned(), url),
            ("UNLEASH_TOKEN".to_owned(), "user:s3cr3t-of-unleash".to_owned()),
        ];
        variables.retain(|it| more.iter().all(|(name, _)| *name != it.0));
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        variables
    }

    /// Returns the keys of the integration logs.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        let logs: Vec<ActionLog> = self.server.integration().log().records().unwrap();
        logs.iter().map(|it| it.id.as_str().to_owned()).collect()
    }

    /// Returns the time of the newest integration log.
    pub(crate) fn newest(&self) -> chrono::DateTime<chrono::Utc> {
        let logs: Vec<ActionLog> = self.server.integration().log().records().unwrap();
        logs.iter().filter_map(|it| it.created_at).max().unwrap()
    }

    pub(crate) fn session(&self, options: Options, more: &[(&str, &str)]) -> Asked {
        let variables = self.variables(more);
        let lookup = move |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        let logs = Logs::new(options, Arc::new(Profiles::new(lookup)));
        let session = SessionContext::new();
        logs.register(&session).unwrap();
        Asked { session, logs }
    }

    /// Returns the queries of all requests.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.server.requests().into_iter().map(|it| it.query).collect()
    }
}

/// A session.
pub(crate) struct Asked {
    pub(crate) session: SessionContext,
    pub(crate) logs: Logs,
}

impl Asked {
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        self.session.sql(sql).await?.collect().await
    }

    /// Returns the result as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        pretty_format_batches(&self.rows(sql).await.unwrap()).unwrap().to_string()
    }

    pub(crate) async fn error(&self, sql: &str) -> String {
        self.rows(sql).await.unwrap_err().to_string()
    }

    /// Returns the only number of a result.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        number(&self.rows(sql).await.unwrap())
    }

    pub(crate) fn last(&self) -> Coverage {
        self.logs.ledger().entries().last().unwrap().clone()
    }
}

/// Returns the only number of a result.
pub(crate) fn number(rows: &[RecordBatch]) -> i64 {
    use actionlog_ballista::datafusion::arrow::array::{AsArray, types::Int64Type};
    let rows: Vec<_> = rows.iter().filter(|it| it.num_rows() > 0).collect();
    assert_eq!((rows.len(), rows[0].num_rows(), rows[0].num_columns()), (1, 1, 1));
    rows[0].column(0).as_primitive::<Int64Type>().value(0)
}

pub(crate) fn verified() -> Options {
    let mut options = Options::default();
    options.verify = true;
    options
}

pub(crate) fn unverified() -> Options {
    let mut options = Options::default();
    options.allow_unverified = true;
    options
}

/// Starts a server that passes requests on to another one. Returns its URL, and the most requests that it ever saw in
/// flight at once.
pub(crate) async fn watched(to: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to.trim_start_matches("http://")).await.unwrap();
            tokio::spawn(pass_on(client, server, Arc::clone(&now), Arc::clone(&seen)));
        }
    });
    (url, most)
}

/// Passes the bytes of a connection on, in which a request is in flight until its response begins.
async fn pass_on(mut client: TcpStream, mut server: TcpStream, now: Arc<AtomicUsize>, most: Arc<AtomicUsize>) {
    let (mut asked, mut answered) = ([0; 65_536], [0; 65_536]);
    let mut is_in_flight = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(read @ 1..) if server.write_all(&asked[..read]).await.is_ok() => {
                    if !is_in_flight {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    }
                    is_in_flight = true;
                }
                _ => break,
            },
            read = server.read(&mut answered) => match read {
                Ok(read @ 1..) if client.write_all(&answered[..read]).await.is_ok() => {
                    now.fetch_sub(usize::from(is_in_flight), Ordering::SeqCst);
                    is_in_flight = false;
                }
                _ => break,
            },
        }
    }
    now.fetch_sub(usize::from(is_in_flight), Ordering::SeqCst);
}
