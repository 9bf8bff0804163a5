//! The events of an action set.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ActionSet, ActionSetEvent};
use crate::id::Id;
use crate::json::Json;
use crate::omitted::OmittedField;
use crate::page::{Envelope, Growth, Identity, Listed, Listing, Order, PageSizes, Paginate};
use crate::request::Request;
use crate::transport::Transport;
use crate::transport::decode::DecodeError;

/// The events of action sets: see
/// [`UnleashClient::action_set_events`](super::UnleashClient::action_set_events).
#[derive(Clone, Copy, Debug)]
pub struct ActionSetEvents<'a> {
    pub(super) transport: &'a Transport,
}

impl ActionSetEvents<'_> {
    /// The events of one action set, newest first.
    ///
    /// Takes an [`EventsQuery`], or a project and the id of the set.
    ///
    /// The API gives no total: the end of the listing is proved by one more request, and how many events there are is
    /// only known when they have been read. Its verdict is never [`Complete`](crate::Verdict::Complete). Events that come
    /// while one reads are given late, at the end, where they show by a shift; read again for those that come after.
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
    /// Told when it is awaited or polled: an empty project or id, `.` or `..`, and a page size of 0 before anything is
    /// sent.
    ///
    /// [Unleash: get action events for a specific action set](https://docs.getunleash.io/api/get-actions-events)
    pub fn list(&self, query: impl Into<EventsQuery>) -> Listing<EventsQuery> {
        Listing::new(self.transport.clone(), query.into())
    }
}

/// Which events are meant: those of one action set of one project.
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
    /// What is wrong with it; told when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl EventsQuery {
    /// The events of the action set with this id.
    ///
    /// An id that doesn't fit 32 bits, the signed integers of Unleash's ids, is told when the listing is asked for, before
    /// anything is sent: the server would answer 500.
    pub fn new(project: impl Into<String>, action_set: impl Into<Id<ActionSet>>) -> Self {
        let id = action_set.into();
        let problem = i32::try_from(*id.get()).is_err().then(|| {
            "the action set's id is none of Unleash's, which are integers of 32 bits: 2147483647 at most \
             (EventsQuery::with_text_id sends it as it is)"
                .to_owned()
        });
        Self { problem, ..Self::with_text_id(project, id.to_string()) }
    }

    /// The events of the action set with this id, which may be any text.
    ///
    /// A way out only: servers give ids that are integers, and answer 500 to others at times.
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
    type Envelope = Around;

    fn request(&self) -> Request<()> {
        let request =
            Request::get("api/admin/projects/{projectId}/actions/{id}/events", [&self.project, &self.action_set]).own();
        match &self.problem {
            Some(problem) => request.invalid(problem),
            None => request,
        }
    }

    fn identity(event: &ActionSetEvent) -> Identity {
        (&event.id).into()
    }

    fn omit(event: &mut ActionSetEvent, fields: Vec<OmittedField>, _: &Json) -> bool {
        event.omitted = fields.into();
        true
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::unbounded(50)
    }

    /// The newest first, by ids that increase.
    fn order(&self) -> Order {
        Order::Fixed
    }

    fn growth(&self) -> Growth {
        Growth::AtHead
    }

    fn bears_time(&self) -> bool {
        true
    }

    fn time_of(event: &ActionSetEvent) -> Option<DateTime<Utc>> {
        Some(event.created_at)
    }
}

/// The JSON around the events.
#[derive(Debug)]
pub enum Around {}

impl Envelope for Around {
    type Of<R: DeserializeOwned> = Body<R>;

    fn open<R: DeserializeOwned>(body: Body<R>) -> Result<Listed<R>, DecodeError> {
        Ok(Listed::new(body.events))
    }
}

/// An answer's body.
#[derive(Debug, Deserialize)]
pub struct Body<R> {
    #[serde(rename = "actionSetEvents")]
    events: Vec<R>,
}
