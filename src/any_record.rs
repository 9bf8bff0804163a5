//! A record of any of the three logs.

use serde::{Deserialize, Serialize};

use crate::page::Raw;
use crate::record::{LogRecord, forward_log_record};

/// Declares an enum of records of several logs: [`LogRecord`] for it, and the conversions of each log's records.
macro_rules! any_record {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident($model:ty),)+
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant($model),)+
        }

        impl $name {
            fn record(&self) -> &dyn LogRecord {
                match self {
                    $(Self::$variant(record) => record,)+
                }
            }
        }

        impl LogRecord for $name {
            forward_log_record!(|it| it.record());
        }

        $(
            impl From<$model> for $name {
                fn from(record: $model) -> Self {
                    Self::$variant(record)
                }
            }

            /// The raw JSON stays beside the record.
            impl From<Raw<$model>> for Raw<$name> {
                fn from(record: Raw<$model>) -> Self {
                    record.map($name::$variant)
                }
            }
        )+
    };
}

// The registry of records: a new API is one variant here.
any_record! {
    /// A record of any of the three logs.
    ///
    /// serde tags it by its [source](LogRecord::source): `{"unleash": {..}}`. The tag is the key of an object, and no
    /// field beside the record: serde would have to buffer the record, which its [`Json`](crate::Json) wouldn't
    /// survive.
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
        Arklow(crate::arklow::ActionRecord),
        /// An integration action log.
        Integration(crate::integration::ActionLog),
        /// An action set event of Unleash.
        Unleash(crate::unleash::ActionSetEvent),
    }
}
