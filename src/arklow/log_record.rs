//! Arklow's records as records of any log.

use std::time::Duration;

use crate::arklow::{ActionRecord, ActionStatus};
use crate::record::{Entity, Ident, LogRecord, Outcome, TimeMeaning, Timestamp};

impl LogRecord for ActionRecord {
    fn source(&self) -> &str {
        "arklow"
    }

    fn key(&self) -> Ident<'_> {
        (&self.id).into()
    }

    fn timestamp(&self) -> Option<Timestamp> {
        let time = self.state.as_ref()?.updated_at?;
        Some(Timestamp::new(time, TimeMeaning::StateChanged))
    }

    fn action(&self) -> Option<&str> {
        let variant = self.definition.as_ref().and_then(|it| it.variant.as_deref());
        variant.or_else(|| self.action_definition_id.as_ref().map(|it| it.as_str()))
    }

    fn target(&self) -> Option<Entity<'_>> {
        // With several destinations, the record doesn't say which one the action went to.
        match self.definition.as_ref()?.destinations.as_deref()? {
            [only] => Some(Entity::new("destination", Ident::from(only.destination_id.as_ref()?))),
            _ => None,
        }
    }

    fn status(&self) -> Option<&str> {
        self.state.as_ref()?.status.as_ref().map(ActionStatus::as_str)
    }

    fn outcome(&self) -> Outcome<'_> {
        match self.state.as_ref().and_then(|it| it.status.as_ref()) {
            Some(ActionStatus::Succeeded) => Outcome::Succeeded,
            Some(ActionStatus::Failed) => Outcome::Failed,
            Some(ActionStatus::Canceled) => Outcome::Canceled,
            Some(ActionStatus::Unknown(status)) => Outcome::Unknown(Some(status)),
            Some(_) => Outcome::Pending,
            None => Outcome::Unknown(None),
        }
    }

    fn error(&self) -> Option<&str> {
        self.state.as_ref()?.error_message.as_deref()
    }

    fn duration(&self) -> Option<Duration> {
        let state = self.state.as_ref()?;
        (state.completed_at? - state.started_at?).to_std().ok()
    }
}
