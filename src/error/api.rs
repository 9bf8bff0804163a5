use std::fmt;

/// What a server said of a failure, in its own words.
///
/// Every part may be missing: servers leave out what they like, and a proxy in between knows none of it. A text that
/// contains a part of the client's credentials is withheld: see [`auth`](crate::auth#what-is-shown-of-credentials).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    id: Option<String>,
    name: Option<String>,
    message: Option<String>,
    details: Vec<String>,
}

impl ApiError {
    /// An error that says nothing yet; for the code of a listing of your own that finds the server's refusal in an
    /// answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the server's id of this very failure.
    #[must_use = "returns the changed error"]
    pub fn with_id(mut self, id: Option<String>) -> Self {
        self.id = id.filter(|it| !it.is_empty());
        self
    }

    /// With the server's name or code for this kind of failure.
    #[must_use = "returns the changed error"]
    pub fn with_name(mut self, name: Option<String>) -> Self {
        self.name = name.filter(|it| !it.is_empty());
        self
    }

    /// With the sentence that says what went wrong.
    #[must_use = "returns the changed error"]
    pub fn with_message(mut self, message: Option<String>) -> Self {
        self.message = message.filter(|it| !it.is_empty());
        self
    }

    /// With what is said beyond the message.
    #[must_use = "returns the changed error"]
    pub fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// The server's id of this very failure.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The server's name or code for this kind of failure: `NotFoundError`, say.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The sentence that says what went wrong.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// What is said beyond the message; often the same sentence again.
    #[must_use]
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// Whether it says nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The first of several, with the others among its details.
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
            // Where both are withheld.
            (Some(name), Some(message)) if name != message => write!(f, "{name}: {message}")?,
            (Some(one), _) | (None, Some(one)) => f.write_str(one)?,
            (None, None) => f.write_str("the server gave no reason")?,
        }
        for detail in self.details.iter().filter(|it| self.message.as_ref() != Some(*it)) {
            write!(f, "; {detail}")?;
        }
        Ok(())
    }
}
