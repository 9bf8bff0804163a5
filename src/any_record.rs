//! A record of any of the three logs.

use serde::{Deserialize, Serialize};

use crate::arklow::ActionRecord;
use crate::integration::ActionLog;
use crate::page::Raw;
use crate::record::{LogRecord, forward_log_record};
use crate::unleash::ActionSetEvent;

/// A record of any of the three logs.
///
/// serde tags it by its [source](LogRecord::source): `{"unleash": {..}}`. The tag is the key of an object, and no field
/// beside the record: serde would have to buffer the record, which its [`Json`](crate::Json) wouldn't survive.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # fn main() -> actionlog::serde_json::Result<()> {
/// use actionlog::record::{LogRecord, Outcome};
/// use actionlog::testing::models;
/// use actionlog::{AnyRecord, serde_json};
///
/// let record = AnyRecord::from(models::action_log("60f7b1b3e4b0e8b3f8b3f8b3"));
/// assert_eq!((record.source(), record.outcome()), ("integration", Outcome::Succeeded));
///
/// let text = serde_json::to_string(&record)?;
/// assert!(text.starts_with(r#"{"integration":{"_id":"60f7b1b3e4b0e8b3f8b3f8b3","#));
/// assert_eq!(serde_json::from_str::<AnyRecord>(&text)?, record);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "testing"))] fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AnyRecord {
    /// An action record of Arklow.
    Arklow(ActionRecord),
    /// An integration action log.
    Integration(ActionLog),
    /// An action set event of Unleash.
    Unleash(ActionSetEvent),
}

impl AnyRecord {
    fn record(&self) -> &dyn LogRecord {
        match self {
            Self::Arklow(record) => record,
            Self::Integration(record) => record,
            Self::Unleash(record) => record,
        }
    }
}

impl LogRecord for AnyRecord {
    forward_log_record!(|it| it.record());
}

macro_rules! from_models {
    ($($model:ty => $variant:ident),+) => {
        $(
            impl From<$model> for AnyRecord {
                fn from(record: $model) -> Self {
                    Self::$variant(record)
                }
            }

            /// The raw JSON stays beside the record.
            impl From<Raw<$model>> for Raw<AnyRecord> {
                fn from(record: Raw<$model>) -> Self {
                    record.map(AnyRecord::$variant)
                }
            }
        )+
    };
}

from_models!(ActionRecord => Arklow, ActionLog => Integration, ActionSetEvent => Unleash);
