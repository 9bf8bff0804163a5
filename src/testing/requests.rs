//! Assertions on the requests that the fake server received.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::testing::received::{ReceivedRequest, RequestKind};

/// The most requests that the message of a failed assertion shows.
const SHOWN: usize = 60;

/// Requests that a [`FakeServer`](crate::testing::FakeServer) received, in order: filters narrow them, and assertions
/// check them. See [`FakeServer::received`](crate::testing::FakeServer::received).
///
/// It is a snapshot: requests that come later aren't in it. A failed assertion panics, and shows what came instead:
///
/// ```text
/// expected 1 request: integration, list, `offset=49`
/// received 0 of them, among 2 requests:
///     1    create  POST /integration-action-logs -> 201
///     2    list    GET /integration-action-logs?limit=50&offset=0 -> 200
/// ```
///
/// ```
/// use actionlog::IntegrationClient;
/// use actionlog::integration::{ActionFields, ActionType};
/// use actionlog::testing::{FakeServer, RequestKind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> actionlog::Result<()> {
/// let server = FakeServer::new();
/// let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
/// let client = client.build()?;
/// let (integration_id, entity_type) = ("shop".into(), "product".into());
/// let fields = ActionFields { integration_id, action_type: ActionType::Update, entity_type };
/// client.logs().start(fields).await?.succeed().await?;
///
/// server.received().integration().in_order(&[RequestKind::Create, RequestKind::Update]);
/// let create = server.received().creates().with_header("authorization").once();
/// assert_eq!(create.json::<serde_json::Value>().unwrap()["status"], "pending");
/// server.received().with_status(500).never();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "filter it, or assert on it by `times`, `once`, `never` or `in_order`"]
pub struct Received {
    all: Arc<[ReceivedRequest]>,
    /// Indexes of the requests that all filters keep.
    kept: Vec<usize>,
    /// The filters, in words.
    filters: Vec<String>,
}

impl Received {
    pub(super) fn new(all: Vec<ReceivedRequest>) -> Self {
        Self { kept: (0..all.len()).collect(), all: all.into(), filters: Vec::new() }
    }

    /// Only requests that the predicate accepts. Messages name it by `description`.
    pub fn matching(mut self, description: impl Into<String>, keep: impl Fn(&ReceivedRequest) -> bool) -> Self {
        self.kept.retain(|index| self.all.get(*index).is_some_and(&keep));
        self.filters.push(description.into());
        self
    }

    /// Only requests to the API of this name.
    pub(super) fn of_api(self, name: &'static str) -> Self {
        self.matching(name, |it| it.api == Some(name))
    }

    /// Only requests of this kind.
    pub fn of_kind(self, kind: RequestKind) -> Self {
        self.matching(kind.to_string(), |it| it.kind == kind)
    }

    /// Only pages of a listing.
    pub fn lists(self) -> Self {
        self.of_kind(RequestKind::List)
    }

    /// Only Arklow's counts.
    pub fn counts(self) -> Self {
        self.of_kind(RequestKind::Count)
    }

    /// Only requests of one record.
    pub fn gets(self) -> Self {
        self.of_kind(RequestKind::Get)
    }

    /// Only creates.
    pub fn creates(self) -> Self {
        self.of_kind(RequestKind::Create)
    }

    /// Only updates.
    pub fn updates(self) -> Self {
        self.of_kind(RequestKind::Update)
    }

    /// Only deletes.
    pub fn deletes(self) -> Self {
        self.of_kind(RequestKind::Delete)
    }

    /// Only requests with this decoded query parameter.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// # let server = actionlog::testing::FakeServer::new();
    /// server.integration().add_sample_logs(70);
    /// # let client = actionlog::IntegrationClient::builder("http://localhost")
    /// #     .api_key("any").http_client(server.http_client()).build()?;
    /// client.logs().list(()).page_size(50).collect().await.complete()?;
    /// // The second page begins at the last record of the first.
    /// server.received().lists().with_query("offset", 49).times(1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_query(self, name: &str, value: impl Display) -> Self {
        let value = value.to_string();
        self.matching(format!("`{name}={value}`"), |it| it.parameter(name).as_ref() == Some(&value))
    }

    /// Only requests without this query parameter.
    pub fn without_query(self, name: &str) -> Self {
        self.matching(format!("no `{name}` in the query"), |it| it.parameter(name).is_none())
    }

    /// Only requests with a header of this name. (The fake server doesn't keep the values.)
    pub fn with_header(self, name: &str) -> Self {
        self.matching(format!("with the header `{name}`"), |it| it.has_header(name))
    }

    /// Only requests of this encoded path.
    pub fn with_path(self, path: &str) -> Self {
        self.matching(format!("path {path}"), |it| it.path == path)
    }

    /// Only requests whose response had this status.
    pub fn with_status(self, status: u16) -> Self {
        self.matching(format!("status {status}"), |it| it.status.is_some_and(|it| it.as_u16() == status))
    }

    /// Only requests without a response, as a [`Fault`](crate::testing::Fault) made the connection hang or reset.
    pub fn without_response(self) -> Self {
        self.matching("without a response", |it| it.status.is_none())
    }

    /// The number of requests that the filters keep.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether the filters keep no request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The requests that the filters keep, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ReceivedRequest> {
        self.kept.iter().filter_map(|index| self.all.get(*index))
    }

    /// Asserts the number of requests.
    ///
    /// # Panics
    ///
    /// If there are more or fewer. The message shows all requests, and marks those that the filters keep.
    #[track_caller]
    pub fn times(&self, expected: usize) -> &Self {
        assert!(self.len() == expected, "{}", Mismatch { expected, received: self });
        self
    }

    /// Asserts that there is no such request.
    ///
    /// # Panics
    ///
    /// If there is one: as [`times`](Self::times).
    #[track_caller]
    pub fn never(&self) -> &Self {
        self.times(0)
    }

    /// Asserts that there is exactly one such request, and returns it.
    ///
    /// # Panics
    ///
    /// If there are none or several: as [`times`](Self::times).
    #[track_caller]
    #[must_use]
    pub fn once(&self) -> ReceivedRequest {
        self.times(1);
        self.all[self.kept[0]].clone()
    }

    /// Asserts that the requests are of these kinds, in this order, and that there are no others.
    ///
    /// # Panics
    ///
    /// If they aren't. The message names the first difference and shows all requests.
    #[track_caller]
    pub fn in_order(&self, expected: &[RequestKind]) -> &Self {
        let received: Vec<RequestKind> = self.iter().map(|it| it.kind).collect();
        let same = received.iter().zip(expected).take_while(|(a, b)| a == b).count();
        let name = |kinds: &[RequestKind]| kinds.get(same).map_or("nothing".to_owned(), ToString::to_string);
        assert!(
            received == expected,
            "expected as request {}{}: {}; received: {}\n{self}",
            same + 1,
            self.among(),
            name(expected),
            name(&received)
        );
        self
    }

    /// The filters, for a message.
    fn among(&self) -> String {
        if self.filters.is_empty() { String::new() } else { format!(" ({})", self.filters.join(", ")) }
    }
}

struct Mismatch<'a> {
    expected: usize,
    received: &'a Received,
}

impl Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = |count| if count == 1 { "request" } else { "requests" };
        let Self { expected, received } = self;
        write!(f, "expected {expected} {}", requests(*expected))?;
        if !received.filters.is_empty() {
            write!(f, ": {}", received.filters.join(", "))?;
        }
        let all = received.all.len();
        write!(f, "\nreceived {} of them, among {all} {}:\n{received}", received.len(), requests(all))
    }
}

/// A line for each request of the server, with a `*` before those that the filters keep.
impl Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, request) in self.all.iter().enumerate().take(SHOWN) {
            // Without a filter the mark says nothing.
            let is_marked = !self.filters.is_empty() && self.kept.binary_search(&index).is_ok();
            let mark = if is_marked { '*' } else { ' ' };
            writeln!(f, "{:5} {mark}  {:<6}  {request}", index + 1, request.kind)?;
        }
        match self.all.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "      .. and {more} more"),
        }
    }
}
