//! Unleash's events as records of any log.

use crate::record::{Entity, Ident, LogRecord, Outcome, Timestamp};
use crate::unleash::{ActionEvent, ActionEventState, ActionSetEvent, ActionSetEventState};

impl ActionSetEvent {
    /// The action that decided the run: the one that failed, otherwise the one being executed, otherwise the last.
    fn deciding_action(&self) -> Option<&ActionEvent> {
        let actions = &self.action_set.actions;
        let running = || actions.iter().find(|it| it.state == ActionEventState::Started);
        self.failed_action().or_else(running).or(actions.last())
    }
}

impl LogRecord for ActionSetEvent {
    fn source(&self) -> &str {
        "unleash"
    }

    fn key(&self) -> Ident<'_> {
        (&self.id).into()
    }

    fn timestamp(&self) -> Option<Timestamp> {
        Some(Timestamp::created(self.created_at))
    }

    fn actor(&self) -> Option<Entity<'_>> {
        Some(Entity::new("service account", Ident::from(self.action_set.actor_id.as_ref()?)))
    }

    fn action(&self) -> Option<&str> {
        self.deciding_action().map(|it| it.action.as_str())
    }

    fn target(&self) -> Option<Entity<'_>> {
        Some(Entity::new("project", Ident::from(self.action_set.project.as_str())))
    }

    fn status(&self) -> Option<&str> {
        Some(self.state.as_str())
    }

    fn outcome(&self) -> Outcome<'_> {
        match &self.state {
            ActionSetEventState::Started => Outcome::Pending,
            ActionSetEventState::Success => Outcome::Succeeded,
            ActionSetEventState::Failed => Outcome::Failed,
            ActionSetEventState::Unknown(state) => Outcome::Unknown(Some(state)),
        }
    }

    fn error(&self) -> Option<&str> {
        self.failed_action()?.details.as_deref()
    }
}
