//! Integration action logs as records of any log.

use std::time::Duration;

use crate::integration::{ActionLog, LogStatus};
use crate::record::{Entity, Ident, LogRecord, Outcome, Timestamp};

impl LogRecord for ActionLog {
    fn source(&self) -> &str {
        "integration"
    }

    fn key(&self) -> Ident<'_> {
        (&self.id).into()
    }

    fn timestamp(&self) -> Option<Timestamp> {
        self.created_at.map(Timestamp::created)
    }

    fn actor(&self) -> Option<Entity<'_>> {
        Some(Entity::new("integration", Ident::from(&self.integration_id)))
    }

    fn action(&self) -> Option<&str> {
        Some(self.action_type.as_str())
    }

    fn target(&self) -> Option<Entity<'_>> {
        Some(Entity::new(&self.entity_type, self.entity_id.as_deref().map(Ident::from)))
    }

    fn status(&self) -> Option<&str> {
        Some(self.status.as_str())
    }

    fn outcome(&self) -> Outcome<'_> {
        match &self.status {
            LogStatus::Pending | LogStatus::Retrying => Outcome::Pending,
            LogStatus::Success => Outcome::Succeeded,
            LogStatus::Failed => Outcome::Failed,
            LogStatus::Unknown(status) => Outcome::Unknown(Some(status)),
        }
    }

    fn error(&self) -> Option<&str> {
        self.error_message.as_deref()
    }

    fn duration(&self) -> Option<Duration> {
        self.took()
    }
}
