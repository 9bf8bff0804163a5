//! What to do about a failure, by the request and its answer.

use http::{Method, StatusCode};

use super::verdict::{Circumstance, Dialect};
use crate::error::ErrorKind;
use crate::request::Repeat;

/// What is known of the base URL or the credentials goes first; then what the API knows of its own requests; and then
/// what holds for any server.
pub(super) fn hint(dialect: &Dialect, here: &Circumstance<'_>) -> Option<&'static str> {
    doubled(here).or_else(|| unsigned(here)).or_else(|| (dialect.hint)(here)).or_else(|| general(here))
}

/// Of an answer that is too large, be it by its bytes or by what its lists take.
pub(super) fn too_large(is_page: bool) -> &'static str {
    if is_page { "ask for smaller pages (page_size), or raise max_body_bytes" } else { "raise max_body_bytes" }
}

fn doubled(here: &Circumstance<'_>) -> Option<&'static str> {
    let nothing_there = matches!(here.kind, ErrorKind::NotFound | ErrorKind::NotJson);
    (here.doubled && nothing_there).then_some(
        "the base URL ends with what the path begins with, which then stands there twice: leave that away from the base URL",
    )
}

/// The server says that it got no credentials.
fn unsigned(here: &Circumstance<'_>) -> Option<&'static str> {
    if !matches!(here.kind, ErrorKind::Unauthorized | ErrorKind::Forbidden) {
        return None;
    }
    if here.is_unsigned() {
        return Some(
            "it was sent without credentials: give the builder an api_key, a bearer token or an authenticator (or see to the proxy that is to add them)",
        );
    }
    (here.kind == ErrorKind::Unauthorized && says_that_nothing_came(here.message())).then_some(
        "the server says that no credentials came, and they were sent: does a proxy in between take the header away, or \
         does the server want them in another one?",
    )
}

fn says_that_nothing_came(message: &str) -> bool {
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
            // "no token found" may be said of one that isn't known.
            let found = behind.starts_with("found");
            (matches!(word, "no" | "missing" | "without") && !found)
                || ["missing", "not provided", "absent", "not present", "not sent"]
                    .iter()
                    .any(|it| behind.starts_with(it))
        })
    };
    subjects.into_iter().any(absent)
}

fn general(here: &Circumstance<'_>) -> Option<&'static str> {
    let writes = !matches!(*here.method, Method::GET | Method::HEAD);
    Some(match here.kind {
        ErrorKind::NotJson if here.web_page => {
            "a web page in place of JSON: does the base URL lack a part of its path, or does a login stand in between?"
        }
        ErrorKind::NotJson => "something else than the API answered: is the base URL right?",
        ErrorKind::Redirect => {
            "redirects are not followed, as credentials would travel along: make the right place the base URL"
        }
        ErrorKind::Unauthorized if !here.own => {
            "the credentials aren't accepted: are they mistyped, or no longer valid?"
        }
        ErrorKind::Forbidden => "the credentials are known, and not enough for this",
        ErrorKind::NotFound if here.own => "is the id right, and the base URL?",
        ErrorKind::NotFound => "are the request's path and the ids in it right, and the base URL that it is below?",
        ErrorKind::Conflict if *here.method == Method::POST => {
            "there may be such a thing already: see what the server says, and look it up before you send this again"
        }
        ErrorKind::Conflict if writes => "read the record again, and decide anew",
        ErrorKind::Conflict => "the server holds something that is at odds with the request: see what it says",
        ErrorKind::PreconditionFailed if !here.conditions().if_unchanged => {
            if here.conditions().if_changed && writes {
                "there is such a thing already, if If-None-Match was to see to that: look it up before you send this again"
            } else {
                "no condition was sent that a version could be at odds with: see what the server says"
            }
        }
        ErrorKind::PreconditionFailed => {
            "it changed since it was read (perhaps by an attempt before this one, whose answer was lost): read it again, \
             and decide anew"
        }
        ErrorKind::Rejected => rejected(here.status),
        ErrorKind::RateLimited => "ask less often, and wait for as long as the server says",
        ErrorKind::Server if here.repeat == Repeat::Unsafe => {
            "the server, or a proxy before it, failed, perhaps after it did what was asked: look before you send it again"
        }
        ErrorKind::Server => "the server, or a proxy before it, failed: try again later, and tell who runs it",
        ErrorKind::Refused => "the server says no, whatever the status: see what it says",
        ErrorKind::UnexpectedStatus if here.status == StatusCode::NOT_MODIFIED && here.conditions().if_changed => {
            "nothing changed since the condition that was sent (If-None-Match, If-Modified-Since): take what you have, or \
             leave the condition away"
        }
        ErrorKind::UnexpectedStatus if here.status == StatusCode::NOT_MODIFIED => {
            "no condition was sent that this answers: a cache between here and the server, as a rule"
        }
        ErrorKind::UnexpectedStatus if here.status.is_redirection() => {
            "a redirect that doesn't say where to, and none is followed: is the base URL right?"
        }
        ErrorKind::UnexpectedStatus if here.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "a proxy on the way wants credentials: put them into its URL (http://user:password@host:port)"
        }
        ErrorKind::UnexpectedStatus if here.status == StatusCode::REQUEST_TIMEOUT => timed_out(here.repeat),
        ErrorKind::UnexpectedStatus if here.status.is_success() => {
            "a cache or a proxy in between is the likely author: it must not answer with a part of what was asked for"
        }
        ErrorKind::UnexpectedStatus if here.status == StatusCode::METHOD_NOT_ALLOWED => {
            "the path doesn't take this method: is it the right path, and the base URL what comes before it?"
        }
        _ => return None,
    })
}

fn timed_out(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::Safe => "the server, or a proxy before it, didn't get the whole request in time: try again",
        Repeat::Unsafe => {
            "the server, or a proxy before it, says that it didn't get the whole request in time: look before you send it again"
        }
    }
}

fn rejected(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "the body is more than the server, or a proxy before it, takes",
        StatusCode::PRECONDITION_REQUIRED => {
            "the server wants to know which version is meant: use if_match, with the ETag of the record as it was read"
        }
        StatusCode::URI_TOO_LONG => {
            "the URL is longer than the server, or a proxy before it, takes: shorten what is asked for"
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the URL or the headers are longer than the server, or a proxy before it, takes: what is asked for, the key, or what header() adds"
        }
        _ => "the server doesn't take the request as it is: see what it says",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_as_nothing_came_only_if_it_says_so() {
        for message in [
            "You must log in to use Unleash. Your request had no authorization header, so we could not authorize you.",
            "Missing Authorization header",
            "The API key is missing",
            "Authentication credentials were not provided.",
            "no API key",
            "request without token",
            "x-arklow-auth header missing",
        ] {
            assert!(says_that_nothing_came(message), "{message}");
        }
        for message in [
            "You must log in to use Unleash.",
            "the token is no longer valid",
            "no token found",
            "invalid authorization header",
            "token expired",
            "",
        ] {
            assert!(!says_that_nothing_came(message), "{message}");
        }
    }
}
