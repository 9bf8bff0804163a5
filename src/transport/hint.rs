//! Hints: what to do about a failed request, chosen by the request and its response.

use http::{Method, StatusCode};

use crate::error::ErrorKind;
use crate::request::Idempotency;
use crate::transport::dialect::{Dialect, HintContext};

/// The most specific hint wins: mistakes in the base URL or the credentials first, then what the API's [`Dialect`]
/// knows of its own requests, then what holds for any HTTP server.
pub(super) fn hint(dialect: &Dialect, here: &HintContext<'_>) -> Option<&'static str> {
    doubled(here).or_else(|| unsigned(here)).or_else(|| (dialect.hint)(here)).or_else(|| general(here))
}

/// The hint for a response that exceeds a size limit, either by its bytes or by the memory that its lists take.
pub(super) fn too_large(is_page: bool) -> &'static str {
    if is_page { "request smaller pages (page_size), or raise max_body_bytes" } else { "raise max_body_bytes" }
}

fn doubled(here: &HintContext<'_>) -> Option<&'static str> {
    let nothing_there = matches!(here.kind, ErrorKind::NotFound | ErrorKind::NotJson);
    (here.doubled && nothing_there).then_some(
        "the base URL ends with the segments that the request path begins with, so the URL contains them twice: remove \
         them from the base URL",
    )
}

/// The hint where the request carried no credentials, or where the server reports that it received none.
fn unsigned(here: &HintContext<'_>) -> Option<&'static str> {
    if !matches!(here.kind, ErrorKind::Unauthorized | ErrorKind::Forbidden) {
        return None;
    }
    // What the client knows for sure comes before what the server's message seems to say.
    if here.is_unsigned() {
        return Some(
            "the request was sent without credentials: set api_key, bearer or authenticator on the builder (or check \
             the proxy that should add them)",
        );
    }
    (here.kind == ErrorKind::Unauthorized && reports_missing_credentials(here.message())).then_some(
        "the server reports missing credentials, but the request carried them: check whether a proxy strips the \
         header, or whether the server expects a different one",
    )
}

fn reports_missing_credentials(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let subjects = ["authorization", "auth header", "x-arklow-auth", "credentials", "api key", "apikey", "token"];
    let absent = |subject: &str| {
        message.match_indices(subject).any(|(at, _)| {
            let before = message[..at].trim_end();
            let before = before.strip_suffix(" an").or_else(|| before.strip_suffix(" the")).unwrap_or(before);
            let behind = message[at + subject.len()..].trim_start();
            let behind = behind.strip_prefix("header ").unwrap_or(behind);
            let behind =
                ["is ", "was ", "were ", "are "].iter().find_map(|it| behind.strip_prefix(it)).unwrap_or(behind);
            let word = before.rsplit(|it: char| !it.is_ascii_alphabetic()).next().unwrap_or_default();
            // "no token found" may mean a token that was sent but is unknown to the server.
            let found = behind.starts_with("found");
            (matches!(word, "no" | "missing" | "without") && !found)
                || ["missing", "not provided", "absent", "not present", "not sent"]
                    .iter()
                    .any(|it| behind.starts_with(it))
        })
    };
    subjects.into_iter().any(absent)
}

/// The hint that holds for any HTTP server.
fn general(here: &HintContext<'_>) -> Option<&'static str> {
    Some(match here.kind {
        ErrorKind::NotJson if here.web_page => {
            "the server returned a web page instead of JSON: check whether the base URL lacks part of its path, or \
             whether a login page intercepts the request"
        }
        ErrorKind::NotJson => "the response doesn't come from the API: check the base URL",
        ErrorKind::Redirect => {
            "redirects aren't followed, because the credentials would be sent along: use the redirect's target as the \
             base URL"
        }
        ErrorKind::Unauthorized if !here.own => {
            "the server rejected the credentials: check that they are spelled correctly and haven't expired"
        }
        ErrorKind::Forbidden => "the server accepted the credentials, but they lack the permission for this request",
        ErrorKind::NotFound if here.own => "check the id and the base URL",
        ErrorKind::NotFound => "check the request's path, the ids in it, and the base URL",
        ErrorKind::Conflict => conflict(here),
        ErrorKind::PreconditionFailed => precondition_failed(here),
        ErrorKind::BadRequest => rejected(here.status),
        ErrorKind::RateLimited => "send fewer requests, and wait for as long as the server asks (retry_after)",
        ErrorKind::Server => failed(here.idempotency),
        ErrorKind::ApiFailure => "the API reported a failure in the body of a successful response: read its message",
        ErrorKind::UnexpectedStatus => return unexpected(here),
        _ => return None,
    })
}

/// Whether the request may change something.
fn writes(here: &HintContext<'_>) -> bool {
    !matches!(*here.method, Method::GET | Method::HEAD)
}

fn conflict(here: &HintContext<'_>) -> &'static str {
    if *here.method == Method::POST {
        "the record may already exist: read the server's message, and look the record up before you send the request \
         again"
    } else if writes(here) {
        "read the record again, and apply your change to the current version"
    } else {
        "the request conflicts with the server's current state: read the server's message"
    }
}

fn precondition_failed(here: &HintContext<'_>) -> &'static str {
    let conditions = here.conditions();
    if conditions.if_unchanged {
        "the record has changed since it was read (possibly by an earlier attempt of this call whose response was \
         lost): read it again, and apply your change to the current version"
    } else if conditions.if_changed && writes(here) {
        "the record already exists, if that is what If-None-Match guarded against: look it up before you send the \
         request again"
    } else {
        "the request carried no precondition (If-Match, If-Unmodified-Since): read the server's message"
    }
}

fn failed(idempotency: Idempotency) -> &'static str {
    match idempotency {
        Idempotency::Idempotent => {
            "the server, or a proxy in front of it, failed: try again later, and report it to the server's operator"
        }
        Idempotency::NotIdempotent => {
            "the server, or a proxy in front of it, failed, possibly after it had applied the request: check whether \
             it took effect before you send it again"
        }
    }
}

/// The hint for a status that the API doesn't use.
fn unexpected(here: &HintContext<'_>) -> Option<&'static str> {
    Some(match here.status {
        StatusCode::NOT_MODIFIED if here.conditions().if_changed => {
            "nothing has changed since the version in the request's condition (If-None-Match, If-Modified-Since): use \
             the copy that you have, or remove the condition"
        }
        StatusCode::NOT_MODIFIED => {
            "the request carried no condition that a 304 could refer to: a cache between client and server probably \
             sent it"
        }
        status if status.is_redirection() => {
            "the server sent a redirect without a target, and redirects aren't followed: check the base URL"
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "the proxy requires credentials: put them into its URL (http://user:password@host:port)"
        }
        StatusCode::REQUEST_TIMEOUT => timed_out(here.idempotency),
        status if status.is_success() => {
            "a cache or a proxy probably sent this response: it must not return only part of the requested data"
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            "the path doesn't support this method: check the path and the base URL in front of it"
        }
        _ => return None,
    })
}

fn timed_out(idempotency: Idempotency) -> &'static str {
    match idempotency {
        Idempotency::Idempotent => {
            "the server, or a proxy in front of it, didn't receive the whole request in time: try again"
        }
        Idempotency::NotIdempotent => {
            "the server, or a proxy in front of it, reports that it didn't receive the whole request in time: check \
             whether the request took effect before you send it again"
        }
    }
}

fn rejected(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            "the body exceeds the limit of the server or of a proxy in front of it: send a smaller one"
        }
        StatusCode::PRECONDITION_REQUIRED => {
            "the server requires a conditional request: call if_match with the ETag of the record as you read it"
        }
        StatusCode::URI_TOO_LONG => {
            "the URL exceeds the limit of the server or of a proxy in front of it: shorten the query"
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the URL or the headers exceed the limit of the server or of a proxy in front of it: shorten the query, \
             the key, or the headers that header() adds"
        }
        _ => "the server rejected the request: read its message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_as_missing_credentials_only_if_it_says_so() {
        for message in [
            "You must log in to use Unleash. Your request had no authorization header, so we could not authorize you.",
            "Missing Authorization header",
            "The API key is missing",
            "Authentication credentials were not provided.",
            "no API key",
            "request without token",
            "x-arklow-auth header missing",
        ] {
            assert!(reports_missing_credentials(message), "{message}");
        }
        for message in [
            "You must log in to use Unleash.",
            "the token is no longer valid",
            "no token found",
            "invalid authorization header",
            "token expired",
            "",
        ] {
            assert!(!reports_missing_credentials(message), "{message}");
        }
    }
}
