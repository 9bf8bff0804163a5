//! Records and results for unit tests, without JSON and without a server.
//!
//! The crate's models may grow and so can't be written as literals. Each function here makes one with what it must have
//! and nothing else; set the fields that your test is about.
//!
//! ```
//! use actionlog::integration::{ActionLog, LogStatus};
//! use actionlog::testing::models;
//!
//! /// What is under test.
//! fn alarm(log: &ActionLog) -> Option<String> {
//!     (log.status == LogStatus::Failed).then(|| log.error_message.clone().unwrap_or_default())
//! }
//!
//! let mut log = models::action_log("60f7b1b3e4b0e8b3f8b3f8b3");
//! assert_eq!(alarm(&log), None);
//! log.status = LogStatus::Failed;
//! log.error_message = Some("no mapping".to_owned());
//! assert_eq!(alarm(&log).as_deref(), Some("no mapping"));
//! ```
//!
//! Times are [`time()`] unless set.

use chrono::{DateTime, Utc};
use http::StatusCode;

use crate::arklow::{self, ActionDefinition, ActionRecord, ActionState, Destination, DestinationLink};
use crate::error::{ApiError, Error, ErrorKind};
use crate::id::Id;
use crate::integration::{ActionLog, ActionType, Deleted, LogStatus};
use crate::json::Json;
use crate::omitted::Omitted;
use crate::page::{Collected, Entry, Listed, Page, Summary, Total, Verdict, Window};
use crate::unleash::{
    self, ActionEventState, ActionSet, ActionSetEvent, ActionSetEventState, Signal, SignalFilter, SignalSource,
};

/// The time that everything here happens at: 2026-01-01T00:00:00Z.
#[must_use]
pub fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

/// An integration action log: a product that integration `integration-1` updated with success.
#[must_use]
pub fn action_log(id: impl Into<Id<ActionLog>>) -> ActionLog {
    ActionLog {
        id: id.into(),
        integration_id: "integration-1".into(),
        action_type: ActionType::Update,
        entity_type: "product".to_owned(),
        entity_id: None,
        status: LogStatus::Success,
        payload: None,
        response: None,
        error_message: None,
        retry_count: 0,
        execution_time: None,
        metadata: None,
        created_at: Some(time()),
        updated_at: Some(time()),
        omitted: Omitted::default(),
    }
}

/// What a deletion gives, with what the server says of it.
#[must_use]
pub fn deleted(message: impl Into<Option<String>>) -> Deleted {
    Deleted { message: message.into() }
}

/// An Arklow action record: nothing but its id.
#[must_use]
pub fn action_record(id: impl Into<Id<ActionRecord>>) -> ActionRecord {
    ActionRecord {
        id: id.into(),
        org_id: None,
        action_definition_id: None,
        input: None,
        timeout: None,
        tags: None,
        state: None,
        definition: None,
        events: None,
        omitted: Omitted::default(),
    }
}

/// An Arklow action's state, of this status and first attempt.
#[must_use]
pub fn action_state(status: impl Into<arklow::ActionStatus>) -> ActionState {
    ActionState {
        status: Some(status.into()),
        attempt: Some(0),
        updated_at: Some(time()),
        available_at: None,
        timeout_at: None,
        started_at: None,
        completed_at: None,
        error_message: None,
    }
}

/// An Arklow action's definition: nothing but its id.
#[must_use]
pub fn action_definition(id: impl Into<Id<ActionDefinition>>) -> ActionDefinition {
    ActionDefinition {
        id: Some(id.into()),
        org_id: None,
        variant: None,
        version: None,
        alias: None,
        schema: None,
        deleted_at: None,
        destinations: None,
    }
}

/// The link from a definition to a destination: nothing but the destination.
#[must_use]
pub fn destination_link(destination: Destination) -> DestinationLink {
    DestinationLink {
        id: None,
        action_definition_id: None,
        destination_id: destination.id.clone(),
        org_id: None,
        is_default: None,
        destination: Some(destination),
    }
}

/// An Arklow destination: nothing but its id.
#[must_use]
pub fn destination(id: impl Into<Id<Destination>>) -> Destination {
    Destination {
        id: Some(id.into()),
        org_id: None,
        updated_at: None,
        label: None,
        kind: None,
        config: None,
        deleted_at: None,
        tags: None,
        credential_id: None,
    }
}

/// An event of an Arklow action: nothing but its id.
#[must_use]
pub fn action_event(id: impl Into<Id<arklow::ActionEvent>>) -> arklow::ActionEvent {
    arklow::ActionEvent {
        id: Some(id.into()),
        action_record_id: None,
        org_id: None,
        kind: None,
        status: None,
        attempt: None,
        available_at: None,
        timeout_at: None,
        message: None,
        data: None,
    }
}

/// A run of an Unleash action set, with this id, that succeeded: [`signal`] 1 and [`action_set`] 1.
#[must_use]
pub fn action_set_event(id: impl Into<Id<ActionSetEvent>>) -> ActionSetEvent {
    let (signal, action_set) = (signal(1), action_set(1, []));
    ActionSetEvent {
        id: id.into(),
        action_set_id: action_set.id,
        signal_id: signal.id,
        created_at: time(),
        state: ActionSetEventState::Success,
        signal,
        action_set,
        omitted: Omitted::default(),
    }
}

/// An Unleash signal, with this id, of the signal endpoint 1, without a payload.
#[must_use]
pub fn signal(id: impl Into<Id<Signal>>) -> Signal {
    Signal {
        id: id.into(),
        payload: None,
        created_at: time(),
        source: SignalSource::SignalEndpoint,
        source_id: Id::new(1),
        created_by_source_token_id: None,
    }
}

/// An Unleash action set, with this id, of the project `default`, with these actions.
#[must_use]
pub fn action_set(id: impl Into<Id<ActionSet>>, actions: impl IntoIterator<Item = unleash::ActionEvent>) -> ActionSet {
    ActionSet {
        id: id.into(),
        project: "default".to_owned(),
        created_at: time(),
        created_by_user_id: Some(Id::new(1)),
        name: Some("action set".to_owned()),
        description: None,
        actor_id: Some(Id::new(1)),
        enabled: true,
        actions: actions.into_iter().collect(),
        filter: SignalFilter {
            source: Some(SignalSource::SignalEndpoint),
            source_id_raw: Json::from(serde_json::json!(1)),
            payload: Json::from(serde_json::json!({})),
        },
    }
}

/// An action of an Unleash action set, of this name and in this state: the first in the order.
#[must_use]
pub fn action_of_set(action: impl Into<String>, state: impl Into<ActionEventState>) -> unleash::ActionEvent {
    unleash::ActionEvent {
        id: Id::new(1),
        created_at: time(),
        created_by_user_id: Some(Id::new(1)),
        action: action.into(),
        sort_order: Some(1),
        execution_params: None,
        state: state.into(),
        details: None,
    }
}

/// A page of these records, the first one of its listing, with their number as the total.
#[must_use]
pub fn page<T>(records: impl IntoIterator<Item = T>) -> Page<T> {
    let entries: Vec<_> = records.into_iter().map(Entry::Record).collect();
    let (received, window) = (entries.len(), Window { offset: 0, limit: 50 });
    let total = Some(received as u64);
    Page::of(window, Listed::new(entries).with_total(total), received, Total::OfListing)
}

/// How a reading went that gave so many records in one request, and came to this verdict.
#[must_use]
pub fn summary(seen: u64, verdict: Verdict) -> Summary {
    Summary {
        seen,
        late: 0,
        unreadable: 0,
        repeats: 0,
        lost_places: 0,
        totals: Some((seen, seen)),
        requests: 1,
        read_on: false,
        verdict,
    }
}

/// All of a listing at once, by a reading that came to this verdict.
pub fn collected<T>(records: impl IntoIterator<Item = T>, verdict: Verdict) -> Collected<T> {
    let items: Vec<T> = records.into_iter().collect();
    let summary = summary(items.len() as u64, verdict);
    Collected {
        items,
        unreadable: Vec::new(),
        partial: Vec::new(),
        error: None,
        summary,
        cursor: None,
        part_read: None,
    }
}

/// An error of this kind, transient as such ones are.
///
/// ```
/// use actionlog::ErrorKind;
/// use actionlog::testing::models;
///
/// assert!(models::error(ErrorKind::Timeout).is_transient());
/// assert!(models::error(ErrorKind::NotFound).is_not_found());
/// ```
#[must_use]
pub fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "an error, as a test asked for")
}

/// The error of an answer with this status, of the kind and as transient as the client would take it, with what the
/// server said. A number that can't be a status is 500.
#[must_use]
pub fn error_of_status(status: u16, said: impl Into<Option<ApiError>>) -> Error {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error(ErrorKind::of_status(status))
        .with_status(status)
        .with_transient(crate::error::is_transient_status(status))
        .with_api(said.into())
}
