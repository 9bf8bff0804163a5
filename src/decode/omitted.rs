//! The fields that a record was deserialized without, because they don't fit its model.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::values::json::Json;

/// A field that doesn't fit the record's model, and that the record was deserialized without.
///
/// See [`strictness`](crate::strictness) for the fields that may be omitted, and for the other forms that are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
pub struct OmittedField {
    path: String,
    reason: String,
    raw: Json,
}

impl OmittedField {
    pub(super) fn new(path: String, reason: String, raw: Json) -> Self {
        Self { path, reason, raw }
    }

    /// The path of the field in the record: `state.updated_at`, or `events[2].attempt`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected at the path. Doesn't quote the value.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The raw JSON of the value, as the server sent it.
    #[must_use]
    pub fn raw(&self) -> &Json {
        &self.raw
    }
}

/// The omitted fields of one record. Usually there are none, so an empty list takes the space of one pointer.
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

    /// A field that the record contained more than once, if any. Such a record can't be written back unchanged.
    pub(crate) fn twice(&self) -> Option<&str> {
        let fields = self.fields();
        let twice =
            fields.iter().enumerate().find(|(at, it)| fields[..*at].iter().any(|before| before.path == it.path));
        twice.map(|(_, it)| it.path())
    }

    /// Keeps the fields that the function accepts.
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

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Omitted {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OmittedFields".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<OmittedField>::json_schema(generator)
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
