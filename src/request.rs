//! A request as plain data: what to send, and how to decode the response.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::decode::HttpResponse;
use crate::decode::bound::Most;
use crate::decode::envelope::{Envelope, ListPage};
use crate::decode::{self, DecodeError};
use crate::error::InvalidRecord;
use crate::error::{CallContext, Error, ErrorKind, Result};

/// Encodes everything but RFC 3986's unreserved characters in a path segment. What matters is `%`, `/` and `\`: a
/// segment stays one segment whatever it holds, also on servers that decode twice.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Decode<T> = Arc<dyn Fn(&HttpResponse, &Reader<'_>) -> Result<T, DecodeError> + Send + Sync>;

/// What decoding needs besides the response.
pub(crate) struct Reader<'a> {
    /// Redacts credentials in what the server sent.
    pub(crate) clean: &'a dyn Fn(String) -> String,
    pub(crate) max_records: MostRecords,
    /// How many bytes the body may have.
    pub(crate) max_body: usize,
    /// The requested page size, for a page of a listing.
    pub(crate) page_size: Option<u32>,
}

/// How many records a response may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MostRecords {
    /// The limit that the user set, if any.
    pub(crate) set: Option<usize>,
}

impl MostRecords {
    /// At least as many as were requested. Servers may return more: some ignore a page size that they don't support and
    /// use their default.
    fn of(self, page_size: Option<u32>) -> usize {
        let page_size = page_size.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        let usual = page_size.map_or(10_000, |it| it.saturating_mul(10).max(1_000));
        self.set.unwrap_or(usual).max(page_size.unwrap_or(0))
    }
}

/// One HTTP request as plain data: method, path, query, body, whether it is idempotent, and how to decode its response
/// into a `T`.
///
/// A request can be built, inspected and tested without a server. If it is invalid (an empty path segment, a body that
/// can't be serialized), sending it returns the reason, before anything is sent.
///
/// The clients build these themselves. Build one for an endpoint that this crate doesn't cover, and send it with a
/// client's `send`.
///
/// ```
/// use actionlog::{Json, Request};
///
/// let request = Request::get("api/admin/projects/{projectId}/actions", ["web shop"]).json::<Json>();
/// assert_eq!(request.path()?, "api/admin/projects/web%20shop/actions");
/// # Ok::<(), actionlog::Error>(())
/// ```
#[must_use = "a request does nothing until you pass it to a client's `send`"]
pub struct Request<T> {
    parts: Arc<RequestParts>,
    /// The encoded parameters that change how the records are shown, or which window of them.
    view: String,
    /// The requested page size, for a page of a listing.
    page_size: Option<u32>,
    decode: Decode<T>,
    gone: Option<Arc<dyn Fn() -> T + Send + Sync>>,
}

/// The parts of a request that all windows of a listing share.
#[derive(Clone)]
struct RequestParts {
    method: Method,
    /// With a leading slash.
    template: Arc<str>,
    path: Result<String, String>,
    /// The encoded parameters that select records, or order them.
    query: String,
    body: Option<Bytes>,
    problem: Option<String>,
    idempotency: Idempotency,
    /// Whether this crate built the request for one of its endpoints. Hints may then name that endpoint.
    own: bool,
}

/// Whether sending a request twice has the same effect as sending it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// It has: the request reads, or sets what it names.
    Idempotent,
    /// It hasn't: each request creates something.
    NotIdempotent,
}

impl Request<()> {
    /// Creates a `GET` request of the path `template`, in which each `{name}` is replaced by the next of `segments`,
    /// encoded.
    pub fn get<S: fmt::Display>(template: impl Into<Cow<'static, str>>, segments: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, template, segments)
    }

    /// Creates a request of any method. `POST` and `PATCH` are [`NotIdempotent`](Idempotency::NotIdempotent), every
    /// other method is [`Idempotent`](Idempotency::Idempotent): change it with [`idempotency`](Self::idempotency).
    pub fn new<S: fmt::Display>(
        method: Method,
        template: impl Into<Cow<'static, str>>,
        segments: impl IntoIterator<Item = S>,
    ) -> Self {
        let template = template.into();
        let path = fill(&template, segments);
        let idempotency = if matches!(method, Method::POST | Method::PATCH) {
            Idempotency::NotIdempotent
        } else {
            Idempotency::Idempotent
        };
        let template = format!("/{template}").into();
        let parts = RequestParts {
            method,
            template,
            path,
            query: String::new(),
            body: None,
            problem: None,
            idempotency,
            own: false,
        };
        Self {
            parts: Arc::new(parts),
            view: String::new(),
            page_size: None,
            decode: Arc::new(|_, _| Ok(())),
            gone: None,
        }
    }
}

impl<T> Request<T> {
    /// Adds a query parameter that *selects* records, or orders them. It is part of the listing's identity.
    pub fn query(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        append(&mut self.parts_mut().query, name.as_ref(), &value.to_string());
        self
    }

    /// Adds a query parameter that changes how the records are *shown*, or which window of them: offsets, page sizes
    /// and includes, for example. The listing's identity doesn't depend on it. In the query, these parameters follow
    /// the others.
    pub fn view_param(mut self, name: impl AsRef<str>, value: impl fmt::Display) -> Self {
        append(&mut self.view, name.as_ref(), &value.to_string());
        self
    }

    /// Sets the body: `body` as JSON.
    pub fn body(mut self, body: impl Serialize) -> Self {
        match serde_json::to_vec(&body) {
            Ok(bytes) => self.parts_mut().body = Some(bytes.into()),
            Err(error) => self = self.invalid(format!("the body can't be serialized as JSON: {error}")),
        }
        self
    }

    /// Marks the request as invalid, with the reason. The first reason stays.
    pub fn invalid(mut self, why: impl Into<String>) -> Self {
        self.parts_mut().problem.get_or_insert_with(|| why.into());
        self
    }

    /// Sets whether the request is idempotent, where the default for its method is wrong.
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.parts_mut().idempotency = idempotency;
        self
    }

    /// Marks the request as built by this crate for one of its endpoints.
    pub(crate) fn own(mut self) -> Self {
        self.parts_mut().own = true;
        self
    }

    pub(crate) fn is_own(&self) -> bool {
        self.parts.own
    }

    /// Returns the shared parts for a change that affects this request only.
    fn parts_mut(&mut self) -> &mut RequestParts {
        Arc::make_mut(&mut self.parts)
    }

    /// Decodes the response body as JSON into a `U`. A success status that doesn't stand for a whole response (205,
    /// 206, 226) is an error.
    pub fn json<U: DeserializeOwned>(self) -> Request<U> {
        self.read(|response| {
            decode::whole(response)?;
            decode::json(response.body())
        })
    }

    /// Decodes the response body as a page of records: an envelope `E` around records of type `R`.
    ///
    /// A record that doesn't fit `R` is an [`InvalidRecord`]; the others are decoded. A success status that doesn't
    /// stand for a whole page (206 Partial Content, for example) is an error. So is a page with more than 10,000
    /// records, unless [`max_page_records`](crate::ClientBuilder::max_page_records) sets another limit.
    pub fn page<E: Envelope, R: DeserializeOwned>(self) -> Request<ListPage<Result<R, InvalidRecord>>> {
        self.read_by(|response, reader| page::<E, R>(response, reader, |_, _, _| false))
    }

    /// Decodes the response with a custom function. The function gets only responses of success (2xx).
    ///
    /// In a Tokio runtime, a large response is decoded on a blocking thread.
    pub fn read<U>(
        self,
        decode: impl Fn(&HttpResponse) -> Result<U, DecodeError> + Send + Sync + 'static,
    ) -> Request<U> {
        self.read_by(move |response, _| decode(response))
    }

    /// Decodes the response with a function that also gets the limits.
    pub(crate) fn read_by<U>(
        self,
        decode: impl Fn(&HttpResponse, &Reader<'_>) -> Result<U, DecodeError> + Send + Sync + 'static,
    ) -> Request<U> {
        Request { parts: self.parts, view: self.view, page_size: self.page_size, decode: Arc::new(decode), gone: None }
    }

    /// Sets the page size that the request asks for.
    pub(crate) fn with_page_size(mut self, records: u32) -> Self {
        self.page_size = Some(records);
        self
    }

    /// Returns whether this requests a page, so that a smaller page could be requested instead.
    pub(crate) fn is_of_page(&self) -> bool {
        self.page_size.is_some()
    }

    /// Maps the decoded value.
    pub fn map<U>(self, change: impl Fn(T) -> U + Send + Sync + 'static) -> Request<U>
    where
        T: 'static,
    {
        let decode = Arc::clone(&self.decode);
        let gone = self.gone.clone();
        let change = Arc::new(change);
        let again = Arc::clone(&change);
        let mut mapped = self.read_by(move |response, reader| decode(response, reader).map(&*change));
        mapped.gone = gone.map(|gone| Arc::new(move || again(gone())) as _);
        mapped
    }

    /// For a deletion: returns `value` if a *retry* gets 404 or 410. The attempt before it may have deleted the
    /// resource, with its response lost.
    pub fn if_gone(mut self, value: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.gone = Some(Arc::new(value));
        self
    }

    pub(crate) fn already_gone(&self, status: StatusCode, may_have_been_done: bool) -> Option<T> {
        let missing = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        (missing && may_have_been_done).then(|| self.gone.as_ref().map(|value| value()))?
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Returns the path template, as it was passed.
    #[must_use]
    pub fn template(&self) -> &str {
        self.parts.template.strip_prefix('/').unwrap_or_default()
    }

    /// Returns the path below the base URL, encoded, without a leading slash.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] if a segment is empty, if it is or holds `.` or `..` between slashes, encoded or
    /// not (`../x`, `%2e%2e`: behind some proxies these request another path), or if the number of segments isn't that
    /// of the template.
    pub fn path(&self) -> Result<&str> {
        self.parts.path.as_deref().map_err(|why| Error::new(ErrorKind::InvalidRequest, why.clone()))
    }

    /// Returns the encoded query without the `?`. Empty if there are no parameters.
    #[must_use]
    pub fn query_string(&self) -> String {
        [self.parts.query.as_str(), &self.view].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("&")
    }

    /// Returns the parameters that select records, or order them.
    pub(crate) fn selects(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.parts.query.as_bytes())
    }

    /// Returns the body, if there is one.
    #[must_use]
    pub fn body_bytes(&self) -> Option<&Bytes> {
        self.parts.body.as_ref()
    }

    /// Returns whether the request is idempotent.
    #[must_use]
    pub fn get_idempotency(&self) -> Idempotency {
        self.parts.idempotency
    }

    /// Checks that the request can be sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`], with the reason.
    pub fn validate(&self) -> Result<()> {
        match &self.parts.problem {
            Some(why) => Err(Error::new(ErrorKind::InvalidRequest, why.clone())),
            None => self.path().map(drop),
        }
    }

    /// Decodes a response as this request would.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for what doesn't fit.
    pub fn decode(&self, response: &HttpResponse) -> Result<T, DecodeError> {
        let max_body = response.body().len();
        let reader = Reader { clean: &|text| text, max_records: MostRecords::default(), max_body, page_size: None };
        self.decode_by(response, &reader)
    }

    pub(crate) fn decode_by(&self, response: &HttpResponse, reader: &Reader<'_>) -> Result<T, DecodeError> {
        (self.decode)(response, &Reader { page_size: reader.page_size.or(self.page_size), ..*reader })
    }

    pub(crate) fn operation(&self, api: &'static str) -> CallContext {
        CallContext { api, method: self.parts.method.clone(), template: Arc::clone(&self.parts.template) }
    }
}

pub(crate) fn page<E: Envelope, R: DeserializeOwned>(
    response: &HttpResponse,
    reader: &Reader<'_>,
    omit: decode::Omit<R>,
) -> Result<ListPage<Result<R, InvalidRecord>>, DecodeError> {
    decode::whole_page(response)?;
    let most = Most { records: reader.max_records.of(reader.page_size), body: reader.max_body };
    let mut listed = decode::page::<E, R>(response.body(), most, omit)?;
    listed.errors = listed.errors.into_iter().map(|it| it.map_text(reader.clean)).collect();
    listed.records.iter_mut().filter_map(|it| it.as_mut().err()).for_each(|it| it.change_reason(reader.clean));
    Ok(listed)
}

/// Appends a pair to an encoded query.
fn append(query: &mut String, name: &str, value: &str) {
    let begun = std::mem::take(query);
    *query = form_urlencoded::Serializer::new(begun).append_pair(name, value).finish();
}

/// Fills the placeholders of a template. The errors name the placeholder and not the value, which may be confidential.
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
                return Err(format!("the path template holds the invalid segment {part:?}"));
            }
            path.push_str(part);
            continue;
        };
        let Some(value) = segments.next() else { return Err(format!("the path parameter {name} is missing")) };
        path.push_str(&encode(&value.to_string()).map_err(|why| format!("the path parameter {name} is {why}"))?);
    }
    match segments.next() {
        Some(_) => Err(format!("too many segments for the path template /{template}")),
        None => Ok(path),
    }
}

/// Returns whether some server or proxy would find a segment `.` or `..` in this one, which leads out of the base path.
/// This includes segments that are percent-encoded, that follow an encoded slash or backslash, and that have parameters
/// or a query behind them. Proxies decode `%2F` before they resolve `..`, and some servers decode what a proxy has
/// already decoded.
fn has_dots(segment: &str) -> bool {
    if !segment.contains(['.', '%']) {
        return false;
    }
    let mut text = Cow::Borrowed(segment);
    // No client encodes an id more often than this, and each round takes time.
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
        "." => Err("\".\", which would request another path"),
        ".." => Err("\"..\", which would request another path"),
        segment if has_dots(segment) => {
            Err("one with \".\" or \"..\" between slashes (encoded or not), which may request another path")
        }
        segment => Ok(utf8_percent_encode(segment, SEGMENT).to_string()),
    }
}

/// Encodes each segment of a path.
pub(crate) fn encode_path(path: &str) -> Result<String, String> {
    let segments: Result<Vec<_>, _> = path.split('/').map(encode).collect();
    segments.map(|it| it.join("/")).map_err(|why| format!("a path segment is {why}"))
}

impl<T> Clone for Request<T> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            view: self.view.clone(),
            page_size: self.page_size,
            decode: Arc::clone(&self.decode),
            gone: self.gone.clone(),
        }
    }
}

/// Shows the template and the names of the parameters, but neither values nor body.
impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestParts { method, body, problem, idempotency, .. } = &*self.parts;
        let parameters = self.selects().chain(form_urlencoded::parse(self.view.as_bytes()));
        f.debug_struct("Request")
            .field("method", method)
            .field("template", &self.template())
            .field("query", &parameters.map(|(name, _)| name).collect::<Vec<_>>())
            .field("body", &body.as_ref().map(|it| format_args!("{} bytes", it.len()).to_string()))
            .field("problem", problem)
            .field("idempotency", idempotency)
            .finish_non_exhaustive()
    }
}
