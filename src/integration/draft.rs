//! What is written: the body of a create or an update.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use super::models::milliseconds;
use super::{ActionLog, ActionType, Integration, LogStatus};
use crate::id::Id;
use crate::json::Json;
use crate::omitted::Omitted;

/// What a record must say, by name: none can be forgotten, and none taken for another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct RequiredFields {
    /// The integration that does it.
    pub integration_id: Id<Integration>,
    /// What kind of thing it does.
    pub action_type: ActionType,
    /// What kind of entity it does it to.
    pub entity_type: String,
    /// How it went.
    pub status: LogStatus,
}

/// What a record must say of an action that is about to begin: its status is [pending](LogStatus::Pending).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct ActionFields {
    /// The integration that does it.
    pub integration_id: Id<Integration>,
    /// What kind of thing it does.
    pub action_type: ActionType,
    /// What kind of entity it does it to.
    pub entity_type: String,
}

/// A record to be written. What isn't set isn't sent.
///
/// ```
/// use actionlog::integration::{ActionLogDraft, ActionType, LogStatus, RequiredFields};
/// use serde_json::json;
///
/// let draft = ActionLogDraft::new(RequiredFields {
///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
///     action_type: ActionType::Sync,
///     entity_type: "product".into(),
///     status: LogStatus::Success,
/// })
/// .entity_id("4711")
/// .payload(json!({"price": 12}));
/// ```
///
/// Without one of the four it doesn't compile:
///
/// ```compile_fail,E0063
/// use actionlog::integration::{ActionLogDraft, ActionType, RequiredFields};
///
/// let draft = ActionLogDraft::new(RequiredFields {
///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
///     action_type: ActionType::Sync,
///     entity_type: "product".into(),
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a draft does nothing until it is created or updated"]
pub struct ActionLogDraft {
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
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "milliseconds")]
    execution_time: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Json>,
    /// What the record had that this was made of, and that fits none of the fields.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    omitted: Omitted,
    /// What is wrong with it; told when it is sent, or stored in place of that.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none", serialize_with = "refuse")]
    problem: Option<String>,
}

impl ActionLogDraft {
    /// A draft that says what it must.
    pub fn new(fields: RequiredFields) -> Self {
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

    /// A draft of an action that is about to begin, for [`Logs::begin`](super::Logs::begin).
    pub fn pending(fields: ActionFields) -> Self {
        let ActionFields { integration_id, action_type, entity_type } = fields;
        Self::new(RequiredFields { integration_id, action_type, entity_type, status: LogStatus::Pending })
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
            // 0 is what a record has that doesn't say.
            retry_count: (log.retry_count > 0).then_some(log.retry_count),
            execution_time: log.execution_time,
            metadata: log.metadata,
            omitted: {
                // The others are the server's to write.
                let mut omitted = log.omitted;
                omitted.retain(|it| WRITTEN.contains(&it.path()));
                omitted
            },
            problem: None,
        }
    }

    /// As it's sent: with what fits no field where it stood.
    pub(super) fn as_sent(&self) -> impl Serialize {
        AsSent(self)
    }

    /// Says something in place of what was there before.
    fn say(&mut self, field: &str) {
        self.omitted.retain(|it| it.path() != field);
    }

    /// How it went.
    pub fn status(mut self, status: LogStatus) -> Self {
        self.status = status;
        self
    }

    /// Which entity.
    pub fn entity_id(mut self, id: impl Into<String>) -> Self {
        self.say("entityId");
        self.entity_id = Some(id.into());
        self
    }

    /// What was sent. Must be a JSON object; if it isn't, that is told when the draft is sent, before anything leaves.
    pub fn payload(mut self, payload: impl Serialize) -> Self {
        self.payload = self.object("payload", &payload);
        self
    }

    /// What came back. Must be a JSON object, as [`payload`](Self::payload).
    pub fn response(mut self, response: impl Serialize) -> Self {
        self.response = self.object("response", &response);
        self
    }

    /// More about it. Must be a JSON object, as [`payload`](Self::payload).
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = self.object("metadata", &metadata);
        self
    }

    /// Why it failed.
    pub fn error_message(mut self, message: impl Into<String>) -> Self {
        self.say("errorMessage");
        self.error_message = Some(message.into());
        self
    }

    /// Takes the error message away, for a record that had failed and then succeeded.
    pub fn clear_error_message(mut self) -> Self {
        self.say("errorMessage");
        self.error_message = None;
        self
    }

    /// How often it was tried again.
    pub fn retry_count(mut self, retries: u64) -> Self {
        self.say("retryCount");
        self.retry_count = Some(retries);
        self
    }

    /// How long it took; sent in milliseconds, with a fraction.
    pub fn took(mut self, time: Duration) -> Self {
        self.say("executionTime");
        self.execution_time = Some(time.as_secs_f64() * 1000.0);
        self
    }

    /// What came back of something that is done: it can't be refused any more.
    pub(crate) fn any_response(mut self, response: &impl Serialize) -> Self {
        let text = match Json::from_serialize(response) {
            Ok(json) if json.is_null() => return self,
            Ok(json) if json.as_str().starts_with('{') => return Self { response: Some(json), ..self },
            Ok(json) => format!(r#"{{"value":{json}}}"#),
            Err(error) => serde_json::json!({ "unwritable": error.to_string() }).to_string(),
        };
        self.response = Json::from_text(text).ok();
        self
    }

    /// Of an action that is about to begin, and doesn't say that it's over.
    pub(super) fn begun(mut self) -> Self {
        if self.status != LogStatus::Pending {
            let why = format!("what begins is pending, and the draft's status is {}", self.status);
            self.problem.get_or_insert(why);
        }
        self
    }

    fn object(&mut self, name: &str, value: &impl Serialize) -> Option<Json> {
        self.say(name);
        let problem = match Json::from_serialize(value) {
            Ok(json) if json.as_str().starts_with('{') => return Some(json),
            Ok(_) => format!("the {name} isn't a JSON object"),
            Err(error) => format!("the {name} can't be written as JSON: {error}"),
        };
        self.problem.get_or_insert(problem);
        None
    }

    pub(super) fn problem(&self) -> Option<Cow<'_, str>> {
        let twice = || {
            let field = self.omitted.twice()?;
            Some(format!("the record that this was made of has `{field}` twice: set it to what is meant").into())
        };
        self.problem.as_deref().map(Cow::Borrowed).or_else(twice)
    }
}

/// As [`ActionLogDraft::pending`].
impl From<ActionFields> for ActionLogDraft {
    fn from(fields: ActionFields) -> Self {
        Self::pending(fields)
    }
}

impl From<RequiredFields> for ActionLogDraft {
    fn from(fields: RequiredFields) -> Self {
        Self::new(fields)
    }
}

/// As [`ActionLog::into_draft`].
impl From<ActionLog> for ActionLogDraft {
    fn from(log: ActionLog) -> Self {
        Self::of(log)
    }
}

/// As [`ActionLog::to_draft`].
impl From<&ActionLog> for ActionLogDraft {
    fn from(log: &ActionLog) -> Self {
        log.to_draft()
    }
}

impl From<&Self> for ActionLogDraft {
    fn from(draft: &Self) -> Self {
        draft.clone()
    }
}

/// A draft that lacks what it was to say isn't written anywhere.
fn refuse<S: Serializer>(problem: &Option<String>, _: S) -> Result<S::Ok, S::Error> {
    Err(S::Error::custom(problem.as_deref().unwrap_or_default()))
}

/// The fields that a draft may say, beside the four that it must.
const WRITTEN: [&str; 7] =
    ["entityId", "payload", "response", "errorMessage", "retryCount", "executionTime", "metadata"];

/// A draft's own fields, and those that fit none of them under their names.
struct AsSent<'a>(&'a ActionLogDraft);

impl Serialize for AsSent<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.omitted.is_empty() {
            return self.0.serialize(to);
        }
        let draft = ActionLogDraft { omitted: Omitted::default(), ..self.0.clone() };
        let text = serde_json::to_string(&draft).map_err(S::Error::custom)?;
        let mut fields: BTreeMap<String, Json> = serde_json::from_str(&text).map_err(S::Error::custom)?;
        fields.extend(self.0.omitted.fields().iter().map(|it| (it.path().to_owned(), it.raw().clone())));
        fields.serialize(to)
    }
}
