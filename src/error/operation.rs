//! Names an API operation without its values.

use http::Method;

/// The call that an event belongs to: the API, the method and the path template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Operation<'a> {
    /// The API, as error messages name it.
    pub api: &'static str,
    /// The HTTP method.
    pub method: &'a Method,
    /// The path below the base URL, with placeholders instead of ids: `/v1/logs/{logId}`.
    pub template: &'a str,
}
