//! A request as plain data: what is asked, and how its answer is read.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::page::{Entry, Envelope, Listed, Paginate};
use crate::transport::bound::Most;
use crate::transport::decode::{self, DecodeError};

/// What a server answered: status, headers and the whole body, decompressed.
pub type Answer = http::Response<Bytes>;

/// Everything but RFC 3986's unreserved characters is encoded in a path segment. `%`, `/` and `\` are what matters:
/// a segment stays one segment whatever it holds, on servers that decode twice too.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Decode<T> = Arc<dyn Fn(&Answer, &Reader<'_>) -> Result<T, DecodeError> + Send + Sync>;

/// What it takes to read an answer, besides the answer.
pub(crate) struct Reader<'a> {
    /// Takes credentials out of a server's words.
    pub(crate) clean: &'a dyn Fn(String) -> String,
    pub(crate) max_records: MostRecords,
    /// How many bytes the body may have.
    pub(crate) max_body: usize,
    /// How many were asked for, where that's known.
    pub(crate) asked: Option<u32>,
}

/// How many records an answer may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MostRecords {
    /// As it was set, where it was.
    pub(crate) set: Option<usize>,
}

impl MostRecords {
    /// As many as were asked for are always taken. Servers may give more: some ignore a page size that they don't like, and
    /// give their usual one.
    fn of(self, asked: Option<u32>) -> usize {
        let asked = asked.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        let usual = asked.map_or(10_000, |it| it.saturating_mul(10).max(1_000));
        self.set.unwrap_or(usual).max(asked.unwrap_or(0))
    }
}

/// One request: method, path, query, body, whether it is safe to repeat, and how to read its answer as a `T`.
///
/// Plain data: it can be made, looked at and tested without a server. What is wrong with it (an empty path segment, a
/// body that can't be written) is kept and told when it is sent, before anything leaves.
///
/// The clients make these themselves; make your own for an endpoint that this crate doesn't know, and send it with the
/// client's `send`.
///
/// ```
/// use actionlog::{Json, Request};
///
/// let request = Request::get("api/admin/projects/{projectId}/actions", ["web shop"]).json::<Json>();
/// assert_eq!(request.path()?, "api/admin/projects/web%20shop/actions");
/// # Ok::<(), actionlog::Error>(())
/// ```
#[must_use = "a request does nothing until a client sends it"]
pub struct Request<T> {
    asks: Arc<Asks>,
    /// The parameters that say how the records are shown, or which part of them; encoded.
    shape: String,
    /// How many records were asked for, where that's known.
    asked: Option<u32>,
    decode: Decode<T>,
    gone: Option<Arc<dyn Fn() -> T + Send + Sync>>,
}

/// What is asked for: the same for all windows of a listing, which share it.
#[derive(Clone)]
struct Asks {
    method: Method,
    /// With a leading slash.
    template: Arc<str>,
    path: Result<String, String>,
    /// The parameters that say which records are meant, or in which order; encoded.
    query: String,
    body: Option<Bytes>,
    problem: Option<String>,
    repeat: Repeat,
    /// Whether it is one of this crate's own, which hints may speak of.
    own: bool,
}

/// Whether sending a request twice does the same as sending it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// It does: the request reads, or sets what it names.
    Safe,
    /// It does not: each time makes something new.
    Unsafe,
}

impl Request<()> {
    /// A `GET` of the path `template`, each `{name}` in it filled with the next of `segments`, encoded.
    pub fn get<S: fmt::Display>(template: impl Into<Cow<'static, str>>, segments: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, template, segments)
    }

    /// A request of any method. `POST` and `PATCH` are taken as unsafe to repeat, every other method as
    /// safe: see [`repeat`](Self::repeat).
    pub fn new<S: fmt::Display>(
        method: Method,
        template: impl Into<Cow<'static, str>>,
        segments: impl IntoIterator<Item = S>,
    ) -> Self {
        let template = template.into();
        let path = fill(&template, segments);
        let repeat = if matches!(method, Method::POST | Method::PATCH) { Repeat::Unsafe } else { Repeat::Safe };
        let template = format!("/{template}").into();
        let asks = Asks { method, template, path, query: String::new(), body: None, problem: None, repeat, own: false };
        Self { asks: Arc::new(asks), shape: String::new(), asked: None, decode: Arc::new(|_, _| Ok(())), gone: None }
    }
}

impl<T> Request<T> {
    /// Adds a query parameter that says *which* records are asked for.
    pub fn query(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        append(&mut self.asks().query, name.as_ref(), &value.to_string());
        self
    }

    /// Adds a query parameter that says how the records are *shown*, or which part of them: the listing is the same
    /// one without it. Offsets, page sizes and includes are of this kind. Those stand behind the others.
    pub fn shape(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        append(&mut self.shape, name.as_ref(), &value.to_string());
        self
    }

    /// Sends `body` as JSON.
    pub fn body(mut self, body: impl Serialize) -> Self {
        match serde_json::to_vec(&body) {
            Ok(bytes) => self.asks().body = Some(bytes.into()),
            Err(error) => self = self.invalid(format!("the body can't be written as JSON: {error}")),
        }
        self
    }

    /// Marks the request as one that can't be sent, and says why. The first reason stays.
    pub fn invalid(mut self, why: impl Into<String>) -> Self {
        self.asks().problem.get_or_insert_with(|| why.into());
        self
    }

    /// Says whether the request may be repeated, where the method doesn't say it right.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.asks().repeat = repeat;
        self
    }

    /// Marks a request as one of this crate's own.
    pub(crate) fn own(mut self) -> Self {
        self.asks().own = true;
        self
    }

    pub(crate) fn is_own(&self) -> bool {
        self.asks.own
    }

    /// What is asked, to be changed: for this one alone.
    fn asks(&mut self) -> &mut Asks {
        Arc::make_mut(&mut self.asks)
    }

    /// Reads the answer's body as JSON into a `U`. A status that isn't one of a whole answer (205, 206, 226) is an error.
    pub fn json<U: DeserializeOwned>(self) -> Request<U> {
        self.read(|answer| {
            decode::whole(answer)?;
            decode::json(answer.body())
        })
    }

    /// Reads the answer's body as a page of records, whose JSON is an `E` around records of type `R`.
    ///
    /// A record that can't be read is an [`Entry::Unreadable`]; the others come as they should. A status of success that
    /// isn't one of a whole page (206 Partial Content, say) is an error. So is a page with more than 10,000 records, unless
    /// [`max_page_records`](crate::ClientBuilder::max_page_records) says otherwise.
    pub fn page<E: Envelope, R: DeserializeOwned>(self) -> Request<Listed<Entry<R>>> {
        self.read_by(|answer, reader| page::<E, R>(answer, reader, |_, _, _| false))
    }

    /// Reads the answer's body as a page of the listing `Q`, as [`page`](Self::page) does; but a record of which a field
    /// doesn't fit comes without that, if the listing has it [kept](Paginate::omit).
    pub fn page_of<Q: Paginate>(self) -> Request<Listed<Entry<Q::Item>>> {
        self.read_by(|answer, reader| page::<Q::Envelope, Q::Item>(answer, reader, Q::omit))
    }

    /// Reads the answer by a function of your own. It sees answers of success only (2xx).
    ///
    /// A large answer is read in a thread for what blocks, where the call is made in a Tokio runtime.
    pub fn read<U>(self, decode: impl Fn(&Answer) -> Result<U, DecodeError> + Send + Sync + 'static) -> Request<U> {
        self.read_by(move |answer, _| decode(answer))
    }

    /// Reads the answer by a function that is told how.
    pub(crate) fn read_by<U>(
        self,
        decode: impl Fn(&Answer, &Reader<'_>) -> Result<U, DecodeError> + Send + Sync + 'static,
    ) -> Request<U> {
        Request { asks: self.asks, shape: self.shape, asked: self.asked, decode: Arc::new(decode), gone: None }
    }

    /// Says how many records are asked for at most.
    pub(crate) fn asks_for(mut self, records: u32) -> Self {
        self.asked = Some(records);
        self
    }

    /// Whether it asks for a page, of which smaller ones may be asked for.
    pub(crate) fn is_of_page(&self) -> bool {
        self.asked.is_some()
    }

    /// Changes what was read from the answer.
    pub fn map<U>(self, change: impl Fn(T) -> U + Send + Sync + 'static) -> Request<U>
    where
        T: 'static,
    {
        let decode = Arc::clone(&self.decode);
        let gone = self.gone.clone();
        let change = Arc::new(change);
        let again = Arc::clone(&change);
        let mut mapped = self.read_by(move |answer, reader| decode(answer, reader).map(&*change));
        mapped.gone = gone.map(|gone| Arc::new(move || again(gone())) as _);
        mapped
    }

    /// For a deletion: says what it gives if a *repeated* attempt finds nothing. The attempt before may well have
    /// deleted it, and its answer got lost.
    pub fn if_gone(mut self, value: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.gone = Some(Arc::new(value));
        self
    }

    pub(crate) fn already_gone(&self, status: StatusCode, may_have_been_done: bool) -> Option<T> {
        let missing = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        (missing && may_have_been_done).then(|| self.gone.as_ref().map(|value| value()))?
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.asks.method
    }

    /// The path's template, as given.
    #[must_use]
    pub fn template(&self) -> &str {
        self.asks.template.strip_prefix('/').unwrap_or_default()
    }

    /// The path below the base URL, encoded, without a leading slash.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if a segment is empty, or is or holds `.` or `..` between slashes, encoded or not (`../x`,
    /// `%2e%2e`: behind some proxies each asks for another path), or there are fewer or more segments than the template takes.
    pub fn path(&self) -> Result<&str> {
        self.asks.path.as_deref().map_err(|why| Error::new(ErrorKind::InvalidRequest, why.clone()))
    }

    /// The query, encoded, without the `?`. Empty if there is none.
    #[must_use]
    pub fn query_string(&self) -> String {
        [self.asks.query.as_str(), &self.shape].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("&")
    }

    /// The parameters that say which records are meant, or in which order.
    pub(crate) fn selects(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.asks.query.as_bytes())
    }

    /// The body, if there is one.
    #[must_use]
    pub fn body_bytes(&self) -> Option<&Bytes> {
        self.asks.body.as_ref()
    }

    /// Whether the request is safe to repeat.
    #[must_use]
    pub fn repeats(&self) -> Repeat {
        self.asks.repeat
    }

    /// Checks that the request can be sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`], with what is wrong.
    pub fn validate(&self) -> Result<()> {
        match &self.asks.problem {
            Some(why) => Err(Error::new(ErrorKind::InvalidRequest, why.clone())),
            None => self.path().map(drop),
        }
    }

    /// Reads an answer the way this request's answers are read.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub fn decode(&self, answer: &Answer) -> Result<T, DecodeError> {
        let max_body = answer.body().len();
        let reader = Reader { clean: &|text| text, max_records: MostRecords::default(), max_body, asked: None };
        self.decode_by(answer, &reader)
    }

    pub(crate) fn decode_by(&self, answer: &Answer, reader: &Reader<'_>) -> Result<T, DecodeError> {
        (self.decode)(answer, &Reader { asked: reader.asked.or(self.asked), ..*reader })
    }

    pub(crate) fn operation(&self, api: &'static str) -> Operation {
        Operation { api, method: self.asks.method.clone(), template: Arc::clone(&self.asks.template) }
    }
}

fn page<E: Envelope, R: DeserializeOwned>(
    answer: &Answer,
    reader: &Reader<'_>,
    omit: decode::Omit<R>,
) -> Result<Listed<Entry<R>>, DecodeError> {
    decode::whole_page(answer)?;
    let most = Most { records: reader.max_records.of(reader.asked), body: reader.max_body };
    let mut listed = decode::page::<E, R>(answer.body(), most, omit)?;
    listed.errors = listed.errors.into_iter().map(|it| it.map_text(reader.clean)).collect();
    listed.records.iter_mut().for_each(|it| it.change_reason(reader.clean));
    Ok(listed)
}

/// Adds a pair to an encoded query.
fn append(query: &mut String, name: &str, value: &str) {
    let begun = std::mem::take(query);
    *query = form_urlencoded::Serializer::new(begun).append_pair(name, value).finish();
}

/// Fills a template's places. The reasons name the place, not the value: values may be anything.
fn fill<S: fmt::Display>(template: &str, segments: impl IntoIterator<Item = S>) -> Result<String, String> {
    let mut segments = segments.into_iter();
    let mut path = String::with_capacity(template.len() + 32);
    for part in template.split('/') {
        if !path.is_empty() {
            path.push('/');
        }
        let Some(name) = part.strip_prefix('{').and_then(|it| it.strip_suffix('}')) else {
            if part.is_empty()
                || has_dots(part)
                || !part.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@".contains(&it))
            {
                return Err(format!("the path's template can't hold the segment {part:?}"));
            }
            path.push_str(part);
            continue;
        };
        let Some(value) = segments.next() else { return Err(format!("the path's {name} is missing")) };
        path.push_str(&encode(&value.to_string()).map_err(|why| format!("the path's {name} is {why}"))?);
    }
    match segments.next() {
        Some(_) => Err(format!("the path /{template} takes fewer segments")),
        None => Ok(path),
    }
}

/// Whether some server or proxy would find a segment `.` or `..` in this one, which leads out of the base path: also
/// percent-encoded, behind a slash or a backslash that is encoded, and with parameters or a query behind it. Proxies decode `%2F` before
/// they resolve `..`, and some servers decode what a proxy has decoded before.
fn has_dots(segment: &str) -> bool {
    if !segment.contains(['.', '%']) {
        return false;
    }
    let mut text = Cow::Borrowed(segment);
    // Nobody encodes an id more often than this, and each round takes time.
    for _ in 0..8 {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == *text {
            let piece = |it: &str| {
                let name = it.split([';', '?', '#']).next().unwrap_or_default();
                matches!(name.trim_matches(|it: char| it.is_whitespace() || it.is_control()), "." | "..")
            };
            return text.split(['/', '\\']).any(piece);
        }
        text = Cow::Owned(decoded);
    }
    true
}

fn encode(segment: &str) -> Result<String, &'static str> {
    match segment {
        "" => Err("empty"),
        "." => Err("\".\", which would ask for another path"),
        ".." => Err("\"..\", which would ask for another path"),
        segment if has_dots(segment) => {
            Err("one with \".\" or \"..\" between slashes (encoded or not), which may ask for another path")
        }
        segment => Ok(utf8_percent_encode(segment, SEGMENT).to_string()),
    }
}

/// Encodes each segment of a path.
pub(crate) fn encode_path(path: &str) -> Result<String, String> {
    let segments: Result<Vec<_>, _> = path.split('/').map(encode).collect();
    segments.map(|it| it.join("/")).map_err(|why| format!("a segment of it is {why}"))
}

impl<T> Clone for Request<T> {
    fn clone(&self) -> Self {
        Self {
            asks: Arc::clone(&self.asks),
            shape: self.shape.clone(),
            asked: self.asked,
            decode: Arc::clone(&self.decode),
            gone: self.gone.clone(),
        }
    }
}

/// Shows the template and the parameters' names, and neither values nor body.
impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asks { method, body, problem, repeat, .. } = &*self.asks;
        let parameters = self.selects().chain(form_urlencoded::parse(self.shape.as_bytes()));
        f.debug_struct("Request")
            .field("method", method)
            .field("template", &self.template())
            .field("query", &parameters.map(|(name, _)| name).collect::<Vec<_>>())
            .field("body", &body.as_ref().map(|it| format_args!("{} bytes", it.len()).to_string()))
            .field("problem", problem)
            .field("repeat", repeat)
            .finish_non_exhaustive()
    }
}
