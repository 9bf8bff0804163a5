//! What doesn't fit a record's model, and was left out for the rest to be read.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json::Json;

/// A field of a record that doesn't fit the model, and that the record comes without.
///
/// See [`strictness`](crate::strictness) for which fields that may be, and what else is accepted for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OmittedField {
    path: String,
    reason: String,
    raw: Json,
}

impl OmittedField {
    pub(crate) fn new(path: String, reason: String, raw: Json) -> Self {
        Self { path, reason, raw }
    }

    /// Where it stands in the record: `state.updated_at`, or `events[2].attempt`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected there. Doesn't quote what stands there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What stands there, as the server sent it.
    #[must_use]
    pub fn raw(&self) -> &Json {
        &self.raw
    }
}

/// The omitted fields of one record: none, as a rule, which takes one pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::box_collection)]
pub(crate) struct Omitted(Option<Box<Vec<OmittedField>>>);

impl Omitted {
    pub(crate) fn fields(&self) -> &[OmittedField] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    /// One that stood there more than once: such a record can't be written back as it was.
    pub(crate) fn twice(&self) -> Option<&str> {
        let fields = self.fields();
        let twice =
            fields.iter().enumerate().find(|(at, it)| fields[..*at].iter().any(|before| before.path == it.path));
        twice.map(|(_, it)| it.path())
    }

    /// Keeps those that are wanted.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&OmittedField) -> bool) {
        if let Some(fields) = &mut self.0 {
            fields.retain(wanted);
        }
        self.0.take_if(|it| it.is_empty());
    }
}

impl From<Vec<OmittedField>> for Omitted {
    fn from(fields: Vec<OmittedField>) -> Self {
        Self((!fields.is_empty()).then(|| Box::new(fields)))
    }
}

impl Serialize for Omitted {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Omitted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Self::from)
    }
}
