//! The server's own description of a failure.

use std::fmt;

/// The server's own description of a failure: id, name, message and details.
///
/// Every field may be missing: the servers omit them at will, and a proxy in between sends none. A field that contains
/// part of the client's credentials is withheld: see [`auth`](crate::auth#what-is-shown-of-credentials).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    id: Option<String>,
    name: Option<String>,
    message: Option<String>,
    details: Vec<String>,
}

impl ApiError {
    /// An error without any field set, for a custom listing that finds a failure in a response body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the server's id for this occurrence of the failure. An empty string counts as `None`.
    #[must_use = "returns the changed error"]
    pub fn with_id(mut self, id: Option<String>) -> Self {
        self.id = id.filter(|it| !it.is_empty());
        self
    }

    /// Sets the server's name or code for this kind of failure. An empty string counts as `None`.
    #[must_use = "returns the changed error"]
    pub fn with_name(mut self, name: Option<String>) -> Self {
        self.name = name.filter(|it| !it.is_empty());
        self
    }

    /// Sets the message that describes the failure. An empty string counts as `None`.
    #[must_use = "returns the changed error"]
    pub fn with_message(mut self, message: Option<String>) -> Self {
        self.message = message.filter(|it| !it.is_empty());
        self
    }

    /// Sets the details that the server sent beside the message.
    #[must_use = "returns the changed error"]
    pub fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// The server's id for this occurrence of the failure.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The server's name or code for this kind of failure, such as `NotFoundError`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The message that describes the failure.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The details beside the message. They often repeat it.
    #[must_use]
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// Whether no field is set.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The first of several errors, with the others as its details.
    pub(crate) fn first_of(errors: Vec<Self>) -> Self {
        let mut errors = errors.into_iter();
        let mut first = errors.next().unwrap_or_default();
        first.details.extend(errors.map(|it| it.to_string()));
        first
    }

    pub(crate) fn map_text(self, change: impl Fn(String) -> String) -> Self {
        Self {
            id: self.id.map(&change),
            name: self.name.map(&change),
            message: self.message.map(&change),
            details: self.details.into_iter().map(&change).collect(),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.message) {
            // Both are the same if both are withheld: print that once.
            (Some(name), Some(message)) if name != message => write!(f, "{name}: {message}")?,
            (Some(one), _) | (None, Some(one)) => f.write_str(one)?,
            (None, None) => f.write_str("the server sent no reason")?,
        }
        for detail in self.details.iter().filter(|it| self.message.as_ref() != Some(*it)) {
            write!(f, "; {detail}")?;
        }
        Ok(())
    }
}
