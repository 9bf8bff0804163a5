//! The body of a create or an update.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::decode::omitted::Omitted;
use crate::integration::{ActionLog, ActionType, Integration, LogStatus};
use crate::values::id::Id;
use crate::values::integer::whole_or_not;
use crate::values::json::Json;

/// The required fields of a record. A struct literal names each of them, so that none is missing or swapped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ActionLogFields {
    /// The integration that performs the action.
    pub integration_id: Id<Integration>,
    /// The type of action.
    pub action_type: ActionType,
    /// The type of entity that the action applies to.
    pub entity_type: String,
    /// The status.
    pub status: LogStatus,
}

/// The required fields of a record for an action that is about to start. Its status is
/// [pending](LogStatus::Pending).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ActionFields {
    /// The integration that performs the action.
    pub integration_id: Id<Integration>,
    /// The type of action.
    pub action_type: ActionType,
    /// The type of entity that the action applies to.
    pub entity_type: String,
}

/// The input of a create or an update: the fields of a record that the server stores. A field that isn't set isn't
/// sent.
///
/// ```
/// use actionlog::integration::{ActionLogInput, ActionType, LogStatus, ActionLogFields};
/// use serde_json::json;
///
/// let input = ActionLogInput::new(ActionLogFields {
///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
///     action_type: ActionType::Sync,
///     entity_type: "product".into(),
///     status: LogStatus::Success,
/// })
/// .entity_id("4711")
/// .payload(json!({"price": 12}));
/// ```
///
/// It doesn't compile without one of the four required fields:
///
/// ```compile_fail,E0063
/// use actionlog::integration::{ActionLogInput, ActionType, ActionLogFields};
///
/// let input = ActionLogInput::new(ActionLogFields {
///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
///     action_type: ActionType::Sync,
///     entity_type: "product".into(),
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "nothing is written until this is passed to `create`, `update` or `start`"]
pub struct ActionLogInput {
    integration_id: Id<Integration>,
    action_type: ActionType,
    entity_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entity_id: Option<String>,
    status: LogStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "whole_or_not")]
    execution_time: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Json>,
    /// The omitted fields of the record that this input was made from. They are sent back unchanged.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    omitted: Omitted,
    /// Why the input is invalid. Returned when the request is sent; an invalid input can't be serialised either.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none", serialize_with = "refuse")]
    problem: Option<String>,
}

impl ActionLogInput {
    /// An input with the required fields.
    pub fn new(fields: ActionLogFields) -> Self {
        Self {
            integration_id: fields.integration_id,
            action_type: fields.action_type,
            entity_type: fields.entity_type,
            status: fields.status,
            entity_id: None,
            payload: None,
            response: None,
            error_message: None,
            retry_count: None,
            execution_time: None,
            metadata: None,
            omitted: Omitted::default(),
            problem: None,
        }
    }

    /// An input for an action that is about to start, for [`Logs::start`](crate::integration::Logs::start).
    pub fn pending(fields: ActionFields) -> Self {
        let ActionFields { integration_id, action_type, entity_type } = fields;
        Self::new(ActionLogFields { integration_id, action_type, entity_type, status: LogStatus::Pending })
    }

    pub(super) fn of(log: ActionLog) -> Self {
        Self {
            integration_id: log.integration_id,
            action_type: log.action_type,
            entity_type: log.entity_type,
            status: log.status,
            entity_id: log.entity_id,
            payload: log.payload,
            response: log.response,
            error_message: log.error_message,
            // A record without a retry count is read as 0: don't send a field that the server never had.
            retry_count: (log.retry_count > 0).then_some(log.retry_count),
            execution_time: log.execution_time,
            metadata: log.metadata,
            omitted: {
                // The server sets the other fields, so they aren't sent back.
                let mut omitted = log.omitted;
                omitted.retain(|it| OPTIONAL.contains(&it.path()));
                omitted
            },
            problem: None,
        }
    }

    /// The request body, including the omitted fields under their names.
    pub(super) fn as_sent(&self) -> impl Serialize {
        AsSent(self)
    }

    /// Drops the omitted field of this name, as the input now has a value for it.
    fn supersede(&mut self, field: &str) {
        self.omitted.retain(|it| it.path() != field);
    }

    /// The status.
    pub fn status(mut self, status: LogStatus) -> Self {
        self.status = status;
        self
    }

    /// The id of the entity.
    pub fn entity_id(mut self, id: impl Into<String>) -> Self {
        self.supersede("entityId");
        self.entity_id = Some(id.into());
        self
    }

    /// The payload that the integration sent. It must serialise to a JSON object: otherwise the call returns
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) and sends no request.
    pub fn payload(mut self, payload: impl Serialize) -> Self {
        self.payload = self.object("payload", &payload);
        self
    }

    /// The response that the integration received. It must serialise to a JSON object, as for
    /// [`payload`](Self::payload).
    pub fn response(mut self, response: impl Serialize) -> Self {
        self.response = self.object("response", &response);
        self
    }

    /// Further data. It must serialise to a JSON object, as for [`payload`](Self::payload).
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = self.object("metadata", &metadata);
        self
    }

    /// The error message of a failed action.
    pub fn error_message(mut self, message: impl Into<String>) -> Self {
        self.supersede("errorMessage");
        self.error_message = Some(message.into());
        self
    }

    /// Removes the error message, for an action that failed before and then succeeded.
    pub fn clear_error_message(mut self) -> Self {
        self.supersede("errorMessage");
        self.error_message = None;
        self
    }

    /// The number of retries.
    pub fn retry_count(mut self, retries: u64) -> Self {
        self.supersede("retryCount");
        self.retry_count = Some(retries);
        self
    }

    /// The execution time. It is sent in milliseconds, with a fraction.
    pub fn took(mut self, time: Duration) -> Self {
        self.supersede("executionTime");
        self.execution_time = Some(time.as_secs_f64() * 1000.0);
        self
    }

    /// The response of an action that has already run. Any value is accepted, as an error would come too late.
    pub(super) fn any_response(mut self, response: &impl Serialize) -> Self {
        let text = match Json::from_serialize(response) {
            Ok(json) if json.is_null() => return self,
            Ok(json) if json.as_str().starts_with('{') => return Self { response: Some(json), ..self },
            Ok(json) => format!(r#"{{"value":{json}}}"#),
            Err(error) => serde_json::json!({ "unwritable": error.to_string() }).to_string(),
        };
        self.response = Json::from_text(text).ok();
        self
    }

    /// Makes the input invalid unless its status is pending, as that of a starting action must be.
    pub(super) fn starting(mut self) -> Self {
        if self.status != LogStatus::Pending {
            let why = format!("an action starts with the status pending, and the input has the status {}", self.status);
            self.problem.get_or_insert(why);
        }
        self
    }

    fn object(&mut self, name: &str, value: &impl Serialize) -> Option<Json> {
        self.supersede(name);
        let problem = match Json::from_serialize(value) {
            Ok(json) if json.as_str().starts_with('{') => return Some(json),
            Ok(_) => format!("the {name} isn't a JSON object"),
            Err(error) => format!("the {name} can't be written as JSON: {error}"),
        };
        self.problem.get_or_insert(problem);
        None
    }

    pub(super) fn problem(&self) -> Option<Cow<'_, str>> {
        let repeated = || {
            let field = self.omitted.twice()?;
            let why = format!(
                "the record that this input was made from has `{field}` twice: set the field to the value that you \
                 want to keep"
            );
            Some(why.into())
        };
        self.problem.as_deref().map(Cow::Borrowed).or_else(repeated)
    }
}

/// As [`ActionLogInput::pending`].
impl From<ActionFields> for ActionLogInput {
    fn from(fields: ActionFields) -> Self {
        Self::pending(fields)
    }
}

impl From<ActionLogFields> for ActionLogInput {
    fn from(fields: ActionLogFields) -> Self {
        Self::new(fields)
    }
}

/// As [`ActionLog::into_input`].
impl From<ActionLog> for ActionLogInput {
    fn from(log: ActionLog) -> Self {
        Self::of(log)
    }
}

/// As [`ActionLog::to_input`].
impl From<&ActionLog> for ActionLogInput {
    fn from(log: &ActionLog) -> Self {
        log.to_input()
    }
}

impl From<&Self> for ActionLogInput {
    fn from(input: &Self) -> Self {
        input.clone()
    }
}

/// An invalid input lacks a field that the user set, so it is never serialised.
fn refuse<S: Serializer>(problem: &Option<String>, _: S) -> Result<S::Ok, S::Error> {
    Err(S::Error::custom(problem.as_deref().unwrap_or_default()))
}

/// The optional fields of an input.
const OPTIONAL: [&str; 7] =
    ["entityId", "payload", "response", "errorMessage", "retryCount", "executionTime", "metadata"];

/// The fields of an input, and the omitted fields under their names.
struct AsSent<'a>(&'a ActionLogInput);

impl Serialize for AsSent<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.omitted.is_empty() {
            return self.0.serialize(to);
        }
        let input = ActionLogInput { omitted: Omitted::default(), ..self.0.clone() };
        let text = serde_json::to_string(&input).map_err(S::Error::custom)?;
        let mut fields: BTreeMap<String, Json> = serde_json::from_str(&text).map_err(S::Error::custom)?;
        fields.extend(self.0.omitted.fields().iter().map(|it| (it.path().to_owned(), it.raw().clone())));
        fields.serialize(to)
    }
}

impl ActionLog {
    /// An [`ActionLogInput`] with all writable fields of this record.
    ///
    /// An update *replaces* the record: a field that its input doesn't set is removed. To change some fields only,
    /// start here. Fields that were [omitted](Self::omitted) are sent back as the server sent them, unless you set
    /// them.
    ///
    /// ```no_run
    /// use actionlog::integration::LogStatus;
    ///
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let log = client.logs().get("60f7b1b3e4b0e8b3f8b3f8b3").await?;
    /// let id = log.id.clone();
    /// client.logs().update(id, log.into_input().status(LogStatus::Success)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_input(self) -> ActionLogInput {
        ActionLogInput::of(self)
    }

    /// As [`into_input`](Self::into_input), but clones the record:
    /// `update(&log.id, log.to_input().status(LogStatus::Success))`.
    pub fn to_input(&self) -> ActionLogInput {
        ActionLogInput::of(self.clone())
    }
}
