//! Records and results for unit tests, without JSON and without a server.
//!
//! The models are `#[non_exhaustive]`, so other crates can't build them by struct literals. Each function here makes a
//! model with its required fields only; set the fields that your test is about.
//!
//! ```
//! use actionlog::integration::{ActionLog, LogStatus};
//! use actionlog::testing::models;
//!
//! /// The function under test.
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
use crate::decode::omitted::Omitted;
use crate::error::{ApiError, Error, ErrorKind};
use crate::integration::{ActionLog, ActionType, Deleted, LogStatus};
use crate::page::{Collected, ListPage, Page, Summary, TotalScope, Verdict, Window};
use crate::unleash::{
    self, ActionEventState, ActionSet, ActionSetEvent, ActionSetEventState, Signal, SignalFilter, SignalSource,
};
use crate::values::id::Id;
use crate::values::json::Json;

/// The timestamp of all models in this module: 2026-01-01T00:00:00Z.
#[must_use]
pub fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

/// An integration action log: integration `integration-1` successfully updated a product.
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

/// The result of a deletion, with the server's message.
#[must_use]
pub fn deleted(message: impl Into<Option<String>>) -> Deleted {
    Deleted { message: message.into() }
}

/// An Arklow action record with only an id.
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

/// An Arklow action's state, with this status, in the first attempt.
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

/// An Arklow action definition with only an id.
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

/// A link from a definition to a destination, with only the destination.
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

/// An Arklow destination with only an id.
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

/// An event of an Arklow action with only an id.
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

/// A successful run of an Unleash action set, with this id, [`signal`] 1 and [`action_set`] 1.
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

/// An Unleash signal with this id, of signal endpoint 1, without a payload.
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

/// An Unleash action set with this id and these actions, of the project `default`.
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

/// An action of an Unleash action set, with this name and state. It is the first action of the set.
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

/// The first page of a listing, with these records and their number as the total.
#[must_use]
pub fn page<T>(records: impl IntoIterator<Item = T>) -> Page<T> {
    let entries: Vec<_> = records.into_iter().map(Ok).collect();
    let (received, window) = (entries.len(), Window { offset: 0, limit: 50 });
    let total = Some(received as u64);
    Page::of(window, ListPage::new(entries).with_total(total), received, TotalScope::Listing)
}

/// The summary of a scan that delivered this number of records in one request and ended with this verdict.
#[must_use]
pub fn summary(delivered: u64, verdict: Verdict) -> Summary {
    Summary {
        delivered,
        late: 0,
        invalid: 0,
        repeats: 0,
        lost_positions: 0,
        totals: Some((delivered, delivered)),
        scans: 1,
        requests: 1,
        scanned_to_end: false,
        verdict,
    }
}

/// The result of a scan that collected these records and ended with this verdict.
pub fn collected<T>(records: impl IntoIterator<Item = T>, verdict: Verdict) -> Collected<T> {
    let items: Vec<T> = records.into_iter().collect();
    let summary = summary(items.len() as u64, verdict);
    Collected { items, invalid: Vec::new(), partial: Vec::new(), error: None, summary, cursor: None, part_read: None }
}

/// An error of this kind. It is transient if errors of this kind are.
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
    Error::new(kind, "an error made by a test")
}

/// The error of a response with this status and error body. Its kind, and whether it is transient, are those that the
/// client derives from the status. An invalid status becomes 500.
#[must_use]
pub fn error_of_status(status: u16, api: impl Into<Option<ApiError>>) -> Error {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error(ErrorKind::of_status(status))
        .with_status(status)
        .with_transient(crate::error::is_transient_status(status))
        .with_api(api.into())
}
