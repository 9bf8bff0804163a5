//! The fake Unleash server.

use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::decode::HttpResponse;
use crate::testing::collection::{Log, Name, Samples, Store};
use crate::testing::middleware::{Rate, finish};
use crate::testing::sample::unleash::{event, odd_event};
use crate::testing::unleash_wire::{OFFSETS_END, Parameter, action_set, collapse, js, out_of_range, route, token};
use crate::testing::{Api, FakeServer, Received, RequestKind, wire::json as json_response};
use crate::unleash::ActionSet;
use crate::values::id::Id;

/// The name of the API.
const API: &str = "unleash";

/// The page size of a request without a valid `limit`.
const DEFAULT_PAGE: u64 = 50;

/// The limit of the most similar listing that was recorded.
const LARGEST_PAGE: u64 = 100;

/// The fake Unleash server in a [`FakeServer`]: the events of action sets, and the accepted tokens.
///
/// Errors, authentication and the parsing of `limit` and `offset` are as recorded from a real server, version 8.2.0. A
/// response with events was *not* recorded: that path is part of Enterprise, and the server was the open source
/// edition. Events follow the API's reference. They are paged as the recorded server pages the events of integrations:
///
/// - The default of `limit` is 50, which is also used for 0, a negative number, a number above the [largest
///   page](Self::largest_page) and a value that isn't a number. `1.5` is 1. `offset` is 0 unless it is a positive
///   number. None of these is rejected.
/// - A repeated `limit` or `offset` is rejected with 400. An offset above 63 bits gets a 500.
/// - An unknown project or action set has no events: status 200, and an empty list. An id that isn't a number is
///   rejected with 400. One that the database can't store as an integer of 32 bits (`2147483648`, `1.5`) gets a 500.
///   `01` is 1.
/// - Every response has a weak `ETag`, the same as that of a real server for the same body. A request that sends it
///   back gets 304. Bodies of 1 KB and more are compressed by gzip if the client accepts that, and sent in chunks.
///   Personal access tokens (`user:..`) have a [rate limit](Self::rate_limit), which is in the headers `RateLimit-*`.
/// - `//` in a path counts as `/`. A path that isn't below `/api` gets a web page, with status 200.
///
/// ```
/// use actionlog::testing::FakeServer;
///
/// let server = FakeServer::new();
/// server.unleash().accept_token("user:secret").add_sample_events("default", 1, 120).add_raw("default", 1, "{}");
/// assert_eq!(server.unleash().log("default", 1).len(), 121);
/// ```
#[derive(Clone, Debug)]
pub struct FakeUnleash {
    server: FakeServer,
}

/// The reaction to a `limit` above the largest page. See [`FakeUnleash::oversized`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Oversized {
    /// A page of the default size 50, or of the largest size if that is smaller. Recorded from the other listings.
    #[default]
    DefaultPage,
    /// A page of the largest size.
    LargestPage,
}

/// The settings of the fake Unleash server.
pub(super) struct State {
    accepted: Vec<String>,
    wrong_kind: Vec<String>,
    without_permission: Vec<String>,
    open_source: bool,
    largest_page: u64,
    oversized: Oversized,
    errors: u64,
    rate: Rate,
}

impl Default for State {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            wrong_kind: Vec::new(),
            without_permission: Vec::new(),
            open_source: false,
            largest_page: LARGEST_PAGE,
            oversized: Oversized::default(),
            errors: 0,
            rate: Rate::default(),
        }
    }
}

impl FakeServer {
    /// The fake Unleash server: all paths below `/api`.
    #[must_use]
    pub fn unleash(&self) -> FakeUnleash {
        FakeUnleash { server: self.clone() }
    }
}

impl Received {
    /// Only requests to the fake Unleash server.
    pub fn unleash(self) -> Self {
        self.of_api(API)
    }
}

impl FakeUnleash {
    /// The events of an action set.
    #[must_use]
    pub fn log(&self, project: impl Into<String>, action_set: impl Into<Id<ActionSet>>) -> Log {
        let (project, action_set) = (project.into(), action_set.into().to_string());
        // No real server has an id that isn't a number; the samples of such an action set have the id 0.
        let number = action_set.parse().unwrap_or_default();
        let name = name(project.clone(), action_set);
        let record = Arc::new(move |it| event(it, &project, number));
        Log::new(self.server.clone(), name, Samples { record, odd: odd_event })
    }

    /// Adds realistic events at the head of an action set's events: see [`Log::add_samples`].
    pub fn add_sample_events(
        &self,
        project: impl Into<String>,
        action_set: impl Into<Id<ActionSet>>,
        count: usize,
    ) -> &Self {
        self.log(project, action_set).add_samples(count);
        self
    }

    /// Adds raw text as an event, at the head: see [`Log::add_raw`].
    pub fn add_raw(
        &self,
        project: impl Into<String>,
        action_set: impl Into<Id<ActionSet>>,
        text: impl Into<String>,
    ) -> &Self {
        self.log(project, action_set).add_raw(text);
        self
    }

    /// Accepts this token. From then on a request without an accepted token is rejected with 401. By default every
    /// request is accepted, with or without a token.
    ///
    /// The token may be the whole header, or follow `Bearer` in any letter case and any number of blanks. The body of
    /// the 401 distinguishes a missing header from a wrong token.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use bytes::Bytes;
    ///
    /// let server = FakeServer::new();
    /// server.unleash().accept_token("user:secret");
    /// let events = "/api/admin/projects/default/actions/1/events";
    /// let with = http::Request::get(events).header("Authorization", "Bearer user:secret").body(Bytes::new())?;
    /// let without = http::Request::get(events).body(Bytes::new())?;
    /// assert_eq!((server.respond(&with).status().as_u16(), server.respond(&without).status().as_u16()), (200, 401));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn accept_token(&self, token: impl Into<String>) -> &Self {
        self.change(|state| state.accepted.push(token.into()))
    }

    /// Rejects this token as one of the wrong kind, such as a backend token: it gets a 403 whose body has only a
    /// `message`.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use actionlog::{ErrorKind, UnleashClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.unleash().accept_token_of_wrong_kind("backend");
    /// let client = UnleashClient::builder("http://localhost").api_key("backend").http_client(server.http_client());
    /// let client = client.build()?;
    /// let result = client.action_set_events().list(("default", 1)).page().await;
    /// assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::Forbidden));
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept_token_of_wrong_kind(&self, token: impl Into<String>) -> &Self {
        self.change(|state| state.wrong_kind.push(token.into()))
    }

    /// Rejects this token as one of a user without the permission: it gets a 403 named `PermissionError`.
    ///
    /// The permission that a real server names on this path wasn't recorded; on other paths it names `ADMIN`.
    pub fn accept_token_without_permission(&self, token: impl Into<String>) -> &Self {
        self.change(|state| state.without_permission.push(token.into()))
    }

    /// Makes this a server without the API, like the open source edition: an accepted request gets a 404 that says that
    /// the path isn't available.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use actionlog::{ErrorKind, UnleashClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.unleash().open_source();
    /// let client = UnleashClient::builder("http://localhost").api_key("backend").http_client(server.http_client());
    /// let client = client.build()?;
    /// let result = client.action_set_events().list(("default", 1)).page().await;
    /// assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_source(&self) -> &Self {
        self.change(|state| state.open_source = true)
    }

    /// The largest page. The default is 100. It also limits the default page size.
    ///
    /// The API's reference names no limit, and that of a real server wasn't recorded.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use actionlog::UnleashClient;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 1, 50).largest_page(7);
    /// let client = UnleashClient::builder("http://localhost").api_key("backend").http_client(server.http_client());
    /// let client = client.build()?;
    /// let result = client.action_set_events().list(("default", 1)).page().await;
    /// assert_eq!(result?.entries.len(), 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn largest_page(&self, events: u32) -> &Self {
        self.change(|state| state.largest_page = events.into())
    }

    /// The reaction to a `limit` above the [largest page](Self::largest_page). The default is
    /// [`Oversized::DefaultPage`].
    pub fn oversized(&self, oversized: Oversized) -> &Self {
        self.change(|state| state.oversized = oversized)
    }

    /// Limits the requests per minute with personal access tokens (`user:..`): further requests are rejected with 429.
    /// All such tokens share the limit, and the time is that of tokio's clock. By default no request is rejected; the
    /// headers then report a limit of 20,000, as a real server's do.
    pub fn rate_limit(&self, requests: u32) -> &Self {
        self.change(|state| (state.rate.limit, state.rate.is_enforced) = (requests, true))
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.server.lock().apis.unleash);
        self
    }
}

impl Api for State {
    fn owns(&self, path: &str) -> bool {
        path.split('/').find(|it| !it.is_empty()).is_some_and(|it| it.eq_ignore_ascii_case("api"))
    }

    fn name(&self) -> &'static str {
        API
    }

    fn kind(&self, request: &Request<Bytes>) -> RequestKind {
        let is_list = request.method() == Method::GET && route(&Method::GET, &collapse(request.uri().path())).is_some();
        if is_list { RequestKind::List } else { RequestKind::Other }
    }

    fn respond(&mut self, store: &mut Store, request: &Request<Bytes>) -> HttpResponse {
        let access = self.authenticate(request.headers());
        let sent = request.headers().get(AUTHORIZATION).map(|it| token(it.as_bytes())).unwrap_or_default();
        // A token of the wrong kind is counted too.
        let is_rejected = matches!(&access, Access::Rejected(it) if it.status() == StatusCode::UNAUTHORIZED);
        let rate = (sent.starts_with(b"user:") && !is_rejected).then(|| self.rate.count());
        let mut response = match &rate {
            Some(rate) if rate.is_over => rate.rejection(),
            _ => self.admitted(store, request, access),
        };
        if let Some(rate) = rate {
            rate.put_on(response.headers_mut());
        }
        finish(response, request)
    }

    fn reject(&mut self, status: StatusCode, message: &str) -> HttpResponse {
        self.error(status, "UnknownError", message, &[])
    }
}

impl State {
    fn admitted(&mut self, store: &mut Store, request: &Request<Bytes>, access: Access) -> HttpResponse {
        let path = collapse(request.uri().path());
        match access {
            Access::Rejected(rejection) => rejection,
            _ if self.open_source => self.no_such_path(&path),
            access => match route(request.method(), &path) {
                None => self.no_such_path(&path),
                Some(_) if matches!(access, Access::WithoutPermission) => self.no_permission(),
                Some((project, id)) => match action_set(&id) {
                    Some(Ok(number)) => {
                        let name = name(project, number.to_string());
                        self.list(store, &name, request.uri().query().unwrap_or_default())
                    }
                    Some(Err(problem)) => problem,
                    None => self.not_a_number(&id),
                },
            },
        }
    }

    fn authenticate(&mut self, headers: &HeaderMap) -> Access {
        let sent = headers.get(AUTHORIZATION).map(|it| token(it.as_bytes())).unwrap_or_default();
        let is_sent = |tokens: &Vec<String>| tokens.iter().any(|it| it.as_bytes() == sent);
        if is_sent(&self.wrong_kind) {
            let message = "invalid token: expected a different token type for this endpoint";
            return Access::Rejected(json_response(StatusCode::FORBIDDEN, json!({ "message": message }).to_string()));
        }
        if is_sent(&self.without_permission) {
            return Access::WithoutPermission;
        }
        if self.accepted.is_empty() || is_sent(&self.accepted) {
            return Access::Full;
        }
        if sent.is_empty() {
            return Access::Rejected(self.error(
                StatusCode::UNAUTHORIZED,
                "AuthenticationRequired",
                "You must log in to use Unleash. Your request had no authorization header, so we could not authorize \
                 you. Try logging in at /auth/simple/login",
                &[("path", "/auth/simple/login".into()), ("type", "password".into()), ("defaultHidden", false.into())],
            ));
        }
        Access::Rejected(self.error(
            StatusCode::UNAUTHORIZED,
            "UnauthorizedError",
            "You must log in to use Unleash.",
            &[],
        ))
    }

    fn list(&mut self, store: &mut Store, name: &Name, query: &str) -> HttpResponse {
        let mut limit = Parameter::default();
        let mut offset = Parameter::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            for (parameter, its) in [(&mut limit, "limit"), (&mut offset, "offset")] {
                match name.strip_prefix(its) {
                    Some("") => parameter.values.push(value.to_string()),
                    Some(rest) if rest.starts_with('[') => parameter.nested = true,
                    _ => {}
                }
            }
        }
        for (parameter, name) in [(&limit, "limit"), (&offset, "offset")] {
            if parameter.nested || parameter.values.len() > 1 {
                return self.not_a_string(name, parameter);
            }
        }
        let offset = offset.number().unwrap_or_default();
        if offset >= OFFSETS_END {
            return out_of_range("offset $3", &js(offset), "bigint");
        }
        let limit = self.page_size(limit.number());
        let skip = if offset > 0.0 { offset as usize } else { 0 };
        let limit = store.page_size(limit as usize);
        let page: Vec<&str> = store.records(name).iter().skip(skip).take(limit).map(|it| it.text.as_str()).collect();
        json_response(StatusCode::OK, format!(r#"{{"actionSetEvents":[{}]}}"#, page.join(",")))
    }

    fn page_size(&self, asked: Option<f64>) -> u64 {
        let largest = self.largest_page;
        match asked {
            Some(asked) if asked >= 1.0 && asked.trunc() <= largest as f64 => asked as u64,
            Some(asked) if asked >= 1.0 && self.oversized == Oversized::LargestPage => largest,
            _ => DEFAULT_PAGE.min(largest),
        }
    }

    fn no_such_path(&mut self, path: &str) -> HttpResponse {
        // The server's router reports its own spelling of the prefix, whatever the request's.
        let rest = path.get(4..).unwrap_or_default();
        let message = format!("The path you were looking for (/api{rest}) is not available.");
        self.error(StatusCode::NOT_FOUND, "NotFoundError", &message, &[])
    }

    fn no_permission(&mut self) -> HttpResponse {
        let message = "You don't have the required permissions to perform this operation. To perform this action, \
                       you need the \"ADMIN\" permission.";
        self.error(StatusCode::FORBIDDEN, "PermissionError", message, &[("permissions", json!(["ADMIN"]))])
    }

    fn not_a_string(&mut self, name: &str, parameter: &Parameter) -> HttpResponse {
        let sent = if parameter.nested { "{}".to_owned() } else { json!(parameter.values).to_string() };
        self.bad_data(&format!("/query/{name}"), &format!("must be string. You sent {sent}."))
    }

    /// That such an id is rejected was recorded on the path of integrations; the message wasn't.
    fn not_a_number(&mut self, id: &str) -> HttpResponse {
        self.bad_data("/params/id", &format!("must be a number. You sent {}.", json!(id)))
    }

    fn bad_data(&mut self, path: &str, why: &str) -> HttpResponse {
        let body = json!({
            "id": self.error_id(),
            "name": "BadDataError",
            "message": "Request validation failed: your request body or params contain invalid data. Refer to the \
                        `details` list for more information.",
            "details": [{ "message": format!("The `{path}` property {why}"), "path": path }],
        });
        json_response(StatusCode::BAD_REQUEST, body.to_string())
    }

    /// The body of most errors; some have further fields.
    fn error(&mut self, status: StatusCode, name: &str, message: &str, more: &[(&str, Value)]) -> HttpResponse {
        let mut body = json!({
            "id": self.error_id(),
            "name": name,
            "message": message,
            "details": [{ "message": message }],
        });
        for (key, value) in more {
            body[*key] = value.clone();
        }
        json_response(status, body.to_string())
    }

    /// Every error has its own id. The sequence of ids is the same for each server.
    fn error_id(&mut self) -> String {
        self.errors += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.errors)
    }
}

/// The access that a request's credentials grant.
enum Access {
    Full,
    WithoutPermission,
    Rejected(HttpResponse),
}

fn name(project: String, action_set: String) -> Name {
    Name { api: API, scope: vec![project, action_set] }
}
