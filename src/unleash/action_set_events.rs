//! The events of an action set: the call, its query and its listing.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::decode::DecodeError;
use crate::decode::omitted::OmittedField;
use crate::page::{Envelope, Growth, ListPage, Listing, PageSizes, Paginate, RecordKey, Stability};
use crate::request::Request;
use crate::transport::Transport;
use crate::unleash::{ActionSet, ActionSetEvent};
use crate::values::id::Id;
use crate::values::json::Json;

/// The events of action sets: see
/// [`UnleashClient::action_set_events`](crate::unleash::UnleashClient::action_set_events).
#[derive(Clone, Copy, Debug)]
pub struct ActionSetEvents<'a> {
    pub(super) transport: &'a Transport,
}

impl ActionSetEvents<'_> {
    /// The events of one action set, newest first.
    ///
    /// Takes an [`EventsQuery`], or a project and the id of the set.
    ///
    /// The API reports no total. So one more request proves the end of the listing, and the number of events is unknown
    /// until all have been read. [`verify`](crate::Listing::verify) proves by a second scan that none is missing.
    /// Events that are added during a scan are yielded late, at the end of the scan, if they shifted the positions of
    /// the others. Scan again for events that are added later.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
    /// let mut events = client.action_set_events().list(("default", 7)).items();
    /// while let Some(event) = events.next().await {
    ///     let event = event?;
    ///     println!("{} {} {}", event.id, event.created_at, event.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returned when the call is awaited or the stream polled. A project or an id that is empty, `.` or `..`, and a
    /// page size of 0, are [`InvalidRequest`](crate::ErrorKind::InvalidRequest), and no request is sent.
    ///
    /// [Unleash: get action events for a specific action set](https://docs.getunleash.io/api/get-actions-events)
    pub fn list(&self, query: impl Into<EventsQuery>) -> Listing<EventsQuery> {
        Listing::new(self.transport.clone(), query.into())
    }
}

/// Selects the events of one action set of one project.
///
/// ```
/// use actionlog::unleash::EventsQuery;
///
/// let query = EventsQuery::new("default", 7);
/// assert_eq!(query, ("default", 7).into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventsQuery {
    project: String,
    action_set: String,
    /// Why the query is invalid. Returned when the request is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl EventsQuery {
    /// The events of the action set with this id.
    ///
    /// Unleash's ids are signed integers of 32 bits. A larger id makes the listing return
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), and no request is sent: the server would respond with 500.
    pub fn new(project: impl Into<String>, action_set: impl Into<Id<ActionSet>>) -> Self {
        let id = action_set.into();
        let problem = i32::try_from(*id.get()).is_err().then(|| {
            "the action set's id is out of range: Unleash's ids are integers of 32 bits, 2147483647 at most \
             (EventsQuery::with_text_id sends any id unchanged)"
                .to_owned()
        });
        Self { problem, ..Self::with_text_id(project, id.to_string()) }
    }

    /// The events of the action set with this id, which may be any string.
    ///
    /// Use this only if [`new`](Self::new) rejects an id that your server has: the ids of real servers are integers,
    /// and to other ids they sometimes respond with 500.
    pub fn with_text_id(project: impl Into<String>, action_set: impl Into<String>) -> Self {
        Self { project: project.into(), action_set: action_set.into(), problem: None }
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The action set's id.
    #[must_use]
    pub fn action_set(&self) -> &str {
        &self.action_set
    }
}

impl<P: Into<String>, I: Into<Id<ActionSet>>> From<(P, I)> for EventsQuery {
    fn from((project, action_set): (P, I)) -> Self {
        Self::new(project, action_set)
    }
}

impl From<&Self> for EventsQuery {
    fn from(query: &Self) -> Self {
        query.clone()
    }
}

impl fmt::Display for EventsQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "action set {} of project {}", self.action_set, self.project)
    }
}

impl Paginate for EventsQuery {
    type Item = ActionSetEvent;
    type Envelope = ListEnvelope;

    fn request(&self) -> Request<()> {
        let request =
            Request::get("api/admin/projects/{projectId}/actions/{id}/events", [&self.project, &self.action_set]).own();
        match &self.problem {
            Some(problem) => request.invalid(problem),
            None => request,
        }
    }

    fn record_key(event: &ActionSetEvent) -> RecordKey {
        (&event.id).into()
    }

    fn omit(event: &mut ActionSetEvent, fields: Vec<OmittedField>, _: &Json) -> bool {
        event.omitted = fields.into();
        true
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::unbounded(50)
    }

    /// Stable: newest first, by ids that increase.
    fn stability(&self) -> Stability {
        Stability::Stable
    }

    fn growth(&self) -> Growth {
        Growth::AtHead
    }

    fn has_timestamps(&self) -> bool {
        true
    }

    fn is_final(event: &ActionSetEvent) -> Option<bool> {
        event.state.is_final()
    }

    fn timestamp(event: &ActionSetEvent) -> Option<DateTime<Utc>> {
        Some(event.created_at)
    }
}

/// The JSON envelope around the events of a page.
#[derive(Debug)]
pub enum ListEnvelope {}

impl Envelope for ListEnvelope {
    type Of<R: DeserializeOwned> = Body<R>;

    fn open<R: DeserializeOwned>(body: Body<R>) -> Result<ListPage<R>, DecodeError> {
        Ok(ListPage::new(body.events))
    }
}

/// The response body of a page.
#[derive(Debug, Deserialize)]
pub struct Body<R> {
    #[serde(rename = "actionSetEvents")]
    events: Vec<R>,
}
