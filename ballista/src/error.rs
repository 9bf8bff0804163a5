//! What can go wrong beside the engine's own errors.

use std::fmt;

use actionlog::Verdict;
use datafusion::error::DataFusionError;

/// Why a table can't be read, or why what was read is no result.
#[non_exhaustive]
pub enum Problem {
    /// A setting of a profile is missing or can't be used.
    Settings(String),
    /// An error of the crate: the server refused or failed, or couldn't be reached.
    Api(actionlog::Error),
    /// All parts were read, and that these are all records isn't proved.
    NotProved {
        /// The name of the table.
        table: String,
        /// What the parts come to.
        verdict: Verdict,
        /// How many records the parts delivered.
        delivered: u64,
        /// How many times a part was read.
        reads: u64,
    },
    /// The rows are taken although they aren't proved, and the session that asks can't be told so.
    NotReported {
        /// The name of the table.
        table: String,
        /// What the parts come to.
        verdict: Verdict,
    },
    /// The rows that came aren't those that the parts delivered.
    RowsDiffer(String),
}

/// How the message of a [`Problem::NotProved`] begins. An error that comes from an executor is a string.
pub const NOT_PROVED: &str = "not proved complete: ";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(message) => f.write_str(message),
            Self::Api(error) => write!(f, "{error}"),
            Self::RowsDiffer(what) => write!(
                f,
                "the rows of a log aren't the rows that were read ({what}): the engine has lost or repeated some. \
                 There is no result; please report this"
            ),
            Self::NotReported { table, verdict } => write!(
                f,
                "{table} is {verdict}, and that can't be reported to the process that asks: let executors connect to \
                 the address from which it reaches the scheduler"
            ),
            Self::NotProved { table, verdict, delivered, reads } => {
                let ask = if verdict.is_incomplete() {
                    "ask again"
                } else {
                    "read twice and compare (--verify), ask again when the log is at rest, or take the rows as they \
                     are (--allow-unverified)"
                };
                write!(
                    f,
                    "{NOT_PROVED}{table} is {verdict}; {delivered} records were delivered by {reads} reads of its \
                     parts. To go on: {ask}"
                )
            }
        }
    }
}

/// The message: Ballista sends an executor's error on in this form.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Api(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl From<actionlog::Error> for Problem {
    fn from(error: actionlog::Error) -> Self {
        Self::Api(error)
    }
}

impl From<Problem> for DataFusionError {
    fn from(problem: Problem) -> Self {
        Self::External(Box::new(problem))
    }
}
