//! What speaks Unleash's contract.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::dress::{Rate, dressed};
use super::shelf::{Log, Name, Store};
use super::{Api, World, wire::json as json_answer};
use crate::id::Id;
use crate::request::Answer;
use crate::unleash::ActionSet;

/// How many events are given to those who don't say.
const DEFAULT_PAGE: u64 = 50;

/// As on the recorded listing that is most like the one of events.
const LARGEST_PAGE: u64 = 100;

/// Offsets are 64-bit integers to the database; this is the first that is none.
const OFFSETS_END: f64 = 9_223_372_036_854_775_808.0;

/// What stands for an Unleash server in a [`World`]: the events of its action sets, and who may read them.
///
/// Errors, credentials and the way `limit` and `offset` are read are as recorded from a real server, version 8.2.0. Its
/// answer with events in it was *not*: that path is part of Enterprise, and the server was the open source edition. The
/// events come as the reference page has them, and are cut into pages as the recorded server does it on its path
/// for the events of integrations:
///
/// - `limit` is 50 unless given; 0, less, more than the [largest](Self::largest_page), or no number is 50 too. `1.5`
///   is 1. `offset` is 0 unless it's a positive number. Nothing of that is refused.
/// - `limit` or `offset` given twice is refused with 400, an offset above 63 bits is a 500.
/// - A project, or an action set, that isn't known has no events: 200, and an empty list. An id that is no number is
///   refused with 400, one that is none of 32 bits to the database (`2147483648`, `1.5`) with a 500; `01` is 1.
/// - Every answer has a weak `ETag`, the one that a real server gives the same body, and 304 is what whoever sends it back
///   gets. Bodies of 1 KB and more are compressed by gzip for those who take that, and then sent in chunks. Personal access tokens (`user:..`) have a [rate limit](Self::rate_limit), in the
///   headers `RateLimit-*`.
/// - `//` in a path is taken as `/`. What is not below `/api` is a web page, with 200.
///
/// ```
/// use actionlog::testing::World;
///
/// let world = World::new();
/// world.unleash().accept_token("user:secret").add_sample_events("default", 1, 120).add_raw("default", 1, "{}");
/// assert_eq!(world.unleash().log("default", 1).len(), 121);
/// ```
#[derive(Clone, Debug)]
pub struct UnleashWorld {
    world: World,
}

/// What a server does with a `limit` above its largest page. See [`UnleashWorld::oversized`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Oversized {
    /// It gives its default page of 50, or its largest if that's less. What was recorded of the other listings.
    #[default]
    DefaultPage,
    /// It gives its largest page.
    LargestPage,
}

/// The state of the fake.
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

impl UnleashWorld {
    pub(super) fn of(world: World) -> Self {
        Self { world }
    }

    /// The events of an action set.
    #[must_use]
    pub fn log(&self, project: impl Into<String>, action_set: impl Into<Id<ActionSet>>) -> Log {
        Log::new(self.world.clone(), name(project, action_set.into().to_string()))
    }

    /// Adds plausible events at the head of an action set's: see [`Log::add_samples`].
    pub fn add_sample_events(
        &self,
        project: impl Into<String>,
        action_set: impl Into<Id<ActionSet>>,
        count: usize,
    ) -> &Self {
        self.log(project, action_set).add_samples(count);
        self
    }

    /// Adds a text in an event's place, at the head: see [`Log::add_raw`].
    pub fn add_raw(
        &self,
        project: impl Into<String>,
        action_set: impl Into<Id<ActionSet>>,
        text: impl Into<String>,
    ) -> &Self {
        self.log(project, action_set).add_raw(text);
        self
    }

    /// Lets this token in. From then on a request needs one that is let in; until then all are good, and none is too.
    ///
    /// It may come as it is, or after `Bearer` in any letter case and any number of blanks. Anything else gets a 401,
    /// whose body tells a header that's missing from one that's wrong.
    ///
    /// ```
    /// use actionlog::testing::World;
    /// use bytes::Bytes;
    ///
    /// let world = World::new();
    /// world.unleash().accept_token("user:secret");
    /// let events = "/api/admin/projects/default/actions/1/events";
    /// let with = http::Request::get(events).header("Authorization", "Bearer user:secret").body(Bytes::new())?;
    /// let without = http::Request::get(events).body(Bytes::new())?;
    /// assert_eq!((world.answer(&with).status().as_u16(), world.answer(&without).status().as_u16()), (200, 401));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn accept_token(&self, token: impl Into<String>) -> &Self {
        self.change(|state| state.accepted.push(token.into()))
    }

    /// Knows this token as one that isn't for this API, such as a backend's: it gets a 403 whose body has a `message`
    /// and nothing else.
    ///
    /// ```
    /// use actionlog::testing::World;
    /// use actionlog::{ErrorKind, UnleashClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.unleash().accept_token_of_wrong_kind("backend");
    /// let client = UnleashClient::builder("http://localhost").api_key("backend").exchange(world.exchange()).build()?;
    /// let answer = client.action_set_events().list(("default", 1)).page().await;
    /// assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::Forbidden));
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept_token_of_wrong_kind(&self, token: impl Into<String>) -> &Self {
        self.change(|state| state.wrong_kind.push(token.into()))
    }

    /// Knows this token as one of a user without the permission: it gets a 403 named `PermissionError`.
    ///
    /// Which permission a real server names on this path wasn't recorded; `ADMIN` is what it names elsewhere.
    pub fn accept_token_without_permission(&self, token: impl Into<String>) -> &Self {
        self.change(|state| state.without_permission.push(token.into()))
    }

    /// Makes it a server without this API, as the open source edition is: whoever gets in is told that the path isn't
    /// available, with 404.
    ///
    /// ```
    /// use actionlog::testing::World;
    /// use actionlog::{ErrorKind, UnleashClient};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.unleash().open_source();
    /// let client = UnleashClient::builder("http://localhost").api_key("backend").exchange(world.exchange()).build()?;
    /// let answer = client.action_set_events().list(("default", 1)).page().await;
    /// assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_source(&self) -> &Self {
        self.change(|state| state.open_source = true)
    }

    /// The most events that it gives at once; 100 unless set. No page is longer, the default page included.
    ///
    /// The reference page names no largest, and the real one was not recorded.
    ///
    /// ```
    /// use actionlog::testing::World;
    /// use actionlog::UnleashClient;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 1, 50).largest_page(7);
    /// let client = UnleashClient::builder("http://localhost").api_key("backend").exchange(world.exchange()).build()?;
    /// let answer = client.action_set_events().list(("default", 1)).page().await;
    /// assert_eq!(answer?.entries.len(), 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn largest_page(&self, events: u32) -> &Self {
        self.change(|state| state.largest_page = events.into())
    }

    /// What it does with a `limit` above its [largest page](Self::largest_page).
    pub fn oversized(&self, oversized: Oversized) -> &Self {
        self.change(|state| state.oversized = oversized)
    }

    /// Takes no more than this many requests in a minute that come with personal access tokens (`user:..`), all counted
    /// together, by tokio's clock: what is more is refused with 429. Unless this is called none is refused, though the
    /// headers speak of 20,000, as the real server's do.
    pub fn rate_limit(&self, requests: u32) -> &Self {
        self.change(|state| (state.rate.limit, state.rate.is_enforced) = (requests, true))
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.world.lock().unleash);
        self
    }
}

impl Api for State {
    fn owns(&self, path: &str) -> bool {
        path.split('/').find(|it| !it.is_empty()).is_some_and(|it| it.eq_ignore_ascii_case("api"))
    }

    fn answer(&mut self, store: &mut Store, request: &Request<Bytes>) -> Answer {
        let access = self.authenticate(request.headers());
        let sent = request.headers().get(AUTHORIZATION).map(|it| token(it.as_bytes())).unwrap_or_default();
        // One of the wrong kind is counted too.
        let is_refused = matches!(&access, Access::Refused(it) if it.status() == StatusCode::UNAUTHORIZED);
        let rate = (sent.starts_with(b"user:") && !is_refused).then(|| self.rate.count());
        let mut answer = match &rate {
            Some(rate) if rate.is_over => rate.refusal(),
            _ => self.admitted(store, request, access),
        };
        if let Some(rate) = rate {
            rate.put_on(answer.headers_mut());
        }
        dressed(answer, request)
    }

    fn refuse(&mut self, status: StatusCode, message: &str) -> Answer {
        self.error(status, "UnknownError", message, &[])
    }
}

impl State {
    fn admitted(&mut self, store: &mut Store, request: &Request<Bytes>, access: Access) -> Answer {
        let path = collapse(request.uri().path());
        match access {
            Access::Refused(refusal) => refusal,
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
        let is_sent = |known: &Vec<String>| known.iter().any(|it| it.as_bytes() == sent);
        if is_sent(&self.wrong_kind) {
            let message = "invalid token: expected a different token type for this endpoint";
            return Access::Refused(json_answer(StatusCode::FORBIDDEN, json!({ "message": message }).to_string()));
        }
        if is_sent(&self.without_permission) {
            return Access::WithoutPermission;
        }
        if self.accepted.is_empty() || is_sent(&self.accepted) {
            return Access::Full;
        }
        if sent.is_empty() {
            return Access::Refused(self.error(
                StatusCode::UNAUTHORIZED,
                "AuthenticationRequired",
                "You must log in to use Unleash. Your request had no authorization header, so we could not authorize you. Try logging in at /auth/simple/login",
                &[("path", "/auth/simple/login".into()), ("type", "password".into()), ("defaultHidden", false.into())],
            ));
        }
        Access::Refused(self.error(
            StatusCode::UNAUTHORIZED,
            "UnauthorizedError",
            "You must log in to use Unleash.",
            &[],
        ))
    }

    fn list(&mut self, store: &mut Store, name: &Name, query: &str) -> Answer {
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
                return self.not_a_text(name, parameter);
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
        json_answer(StatusCode::OK, format!(r#"{{"actionSetEvents":[{}]}}"#, page.join(",")))
    }

    fn page_size(&self, asked: Option<f64>) -> u64 {
        let largest = self.largest_page;
        match asked {
            Some(asked) if asked >= 1.0 && asked.trunc() <= largest as f64 => asked as u64,
            Some(asked) if asked >= 1.0 && self.oversized == Oversized::LargestPage => largest,
            _ => DEFAULT_PAGE.min(largest),
        }
    }

    fn no_such_path(&mut self, path: &str) -> Answer {
        // The server's router writes its own prefix back, however it was sent.
        let rest = path.get(4..).unwrap_or_default();
        let message = format!("The path you were looking for (/api{rest}) is not available.");
        self.error(StatusCode::NOT_FOUND, "NotFoundError", &message, &[])
    }

    fn no_permission(&mut self) -> Answer {
        let message = "You don't have the required permissions to perform this operation. To perform this action, you need the \"ADMIN\" permission.";
        self.error(StatusCode::FORBIDDEN, "PermissionError", message, &[("permissions", json!(["ADMIN"]))])
    }

    fn not_a_text(&mut self, name: &str, parameter: &Parameter) -> Answer {
        let sent = if parameter.nested { "{}".to_owned() } else { json!(parameter.values).to_string() };
        self.bad_data(&format!("/query/{name}"), &format!("must be string. You sent {sent}."))
    }

    /// That such an id is refused was recorded, on the path of integrations; the words weren't.
    fn not_a_number(&mut self, id: &str) -> Answer {
        self.bad_data("/params/id", &format!("must be a number. You sent {}.", json!(id)))
    }

    fn bad_data(&mut self, path: &str, why: &str) -> Answer {
        let body = json!({
            "id": self.error_id(),
            "name": "BadDataError",
            "message": "Request validation failed: your request body or params contain invalid data. Refer to the `details` list for more information.",
            "details": [{ "message": format!("The `{path}` property {why}"), "path": path }],
        });
        json_answer(StatusCode::BAD_REQUEST, body.to_string())
    }

    /// The shape of most errors; some have more fields.
    fn error(&mut self, status: StatusCode, name: &str, message: &str, more: &[(&str, Value)]) -> Answer {
        let mut body = json!({
            "id": self.error_id(),
            "name": name,
            "message": message,
            "details": [{ "message": message }],
        });
        for (key, value) in more {
            body[*key] = value.clone();
        }
        json_answer(status, body.to_string())
    }

    /// Every error has its own id, and the same world the same ones each time.
    fn error_id(&mut self) -> String {
        self.errors += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.errors)
    }
}

/// What a request's credentials are good for.
enum Access {
    Full,
    WithoutPermission,
    Refused(Answer),
}

/// What came for a name of the query.
#[derive(Default)]
struct Parameter {
    values: Vec<String>,
    /// Whether it came as an array or an object: `limit[a]=1`.
    nested: bool,
}

impl Parameter {
    /// Read as JavaScript reads numbers, all but a few rare forms.
    fn number(&self) -> Option<f64> {
        number(self.values.first()?).filter(|it| it.is_finite())
    }
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => Some(u64::from_str_radix(digits, 16).ok()? as f64),
        // Rust has more names for these than JavaScript.
        None if text.trim_start_matches(['+', '-']).starts_with(|it: char| it.is_ascii_alphabetic()) => {
            text.ends_with("Infinity").then_some(f64::INFINITY)
        }
        None => text.parse().ok(),
    }
}

/// The id of an action set: `None` if JavaScript takes it for no number, and the server's failure if the database, which
/// gets it as it came, takes it for none.
fn action_set(id: &str) -> Option<Result<i32, Answer>> {
    let id = id.trim();
    if !id.is_empty() {
        number(id)?;
    }
    if let Ok(number) = id.parse::<i32>() {
        return Some(Ok(number));
    }
    let is_integer = id.trim_start_matches(['+', '-']).bytes().all(|it| it.is_ascii_digit()) && !id.is_empty();
    Some(Err(if is_integer {
        out_of_range("offset $3", id, "integer")
    } else {
        let message = format!("{SELECT} offset $3 - invalid input syntax for type integer: \"{id}\"");
        sql_failure(&message)
    }))
}

/// As JavaScript writes a large number: with all of its digits below 1e21.
fn js(number: f64) -> String {
    if number < 1e21 { format!("{number:.0}") } else { format!("{number:e}").replace('e', "e+") }
}

const SELECT: &str = "select * from \"action_set_events\" where \"action_set_id\" = $1 order by \"id\" desc limit $2";

/// What the database refuses gives its words away.
fn out_of_range(rest: &str, value: &str, kind: &str) -> Answer {
    sql_failure(&format!("{SELECT} {rest} - value \"{value}\" is out of range for type {kind}"))
}

fn sql_failure(message: &str) -> Answer {
    let body = json!({ "name": "UnknownError", "message": message, "details": [{ "message": message }] });
    json_answer(StatusCode::INTERNAL_SERVER_ERROR, body.to_string())
}

/// Which listing is meant, by the path, whose fixed segments count in any letter case.
fn route(method: &Method, path: &str) -> Option<(String, String)> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let [_, admin, projects, project, actions, action_set, events] = segments[..] else { return None };
    let fixed = [(admin, "admin"), (projects, "projects"), (actions, "actions"), (events, "events")];
    if !matches!(*method, Method::GET | Method::HEAD) || fixed.iter().any(|(it, name)| !it.eq_ignore_ascii_case(name)) {
        return None;
    }
    let decoded = |it| percent_decode_str(it).decode_utf8_lossy().into_owned();
    Some((decoded(project), decoded(action_set)))
}

fn name(project: impl Into<String>, action_set: String) -> Name {
    Name::Unleash { project: project.into(), action_set }
}

fn collapse(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for next in path.chars() {
        if next != '/' || !out.ends_with('/') {
            out.push(next);
        }
    }
    out
}

/// The token in a header's value: all of it, or what follows `Bearer`.
fn token(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    match value.split_at_checked("bearer".len()) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case(b"bearer") && matches!(rest.first(), Some(b' ' | b'\t')) =>
        {
            rest.trim_ascii()
        }
        _ => value,
    }
}
