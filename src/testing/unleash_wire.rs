//! How the fake Unleash parses paths, tokens and query parameters, and the errors of its database.

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::decode::HttpResponse;
use crate::testing::wire;

/// The first number that is too large for an offset, which the database stores in 64 bits.
pub(super) const OFFSETS_END: f64 = 9_223_372_036_854_775_808.0;

/// The project and the id of the action set in a path. Letter case is ignored in the fixed segments.
pub(super) fn route(method: &Method, path: &str) -> Option<(String, String)> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let [_, admin, projects, project, actions, action_set, events] = segments[..] else { return None };
    let fixed = [(admin, "admin"), (projects, "projects"), (actions, "actions"), (events, "events")];
    if !matches!(*method, Method::GET | Method::HEAD) || fixed.iter().any(|(it, name)| !it.eq_ignore_ascii_case(name)) {
        return None;
    }
    let decoded = |it| percent_decode_str(it).decode_utf8_lossy().into_owned();
    Some((decoded(project), decoded(action_set)))
}

pub(super) fn collapse(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for next in path.chars() {
        if next != '/' || !out.ends_with('/') {
            out.push(next);
        }
    }
    out
}

/// The token in a header's value: the whole value, or the part after `Bearer`.
pub(super) fn token(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    match value.split_at_checked("bearer".len()) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case(b"bearer") && matches!(rest.first(), Some(b' ' | b'\t')) =>
        {
            rest.trim_ascii()
        }
        _ => value,
    }
}

/// The values of a query parameter.
#[derive(Default)]
pub(super) struct Parameter {
    pub(super) values: Vec<String>,
    /// Whether it was sent as an array or an object: `limit[a]=1`.
    pub(super) nested: bool,
}

impl Parameter {
    /// The number, parsed as in JavaScript except for a few rare formats.
    pub(super) fn number(&self) -> Option<f64> {
        number(self.values.first()?).filter(|it| it.is_finite())
    }
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => Some(u64::from_str_radix(digits, 16).ok()? as f64),
        // Rust parses more names of infinity and NaN than JavaScript does.
        None if text.trim_start_matches(['+', '-']).starts_with(|it: char| it.is_ascii_alphabetic()) => {
            text.ends_with("Infinity").then_some(f64::INFINITY)
        }
        None => text.parse().ok(),
    }
}

/// The id of an action set. `None` if JavaScript doesn't parse it as a number. The error is the response of the server
/// if the database, which gets the string unchanged, rejects it.
pub(super) fn action_set(id: &str) -> Option<Result<i32, HttpResponse>> {
    let id = id.trim();
    if !id.is_empty() {
        number(id)?;
    }
    if let Ok(number) = id.parse::<i32>() {
        return Some(Ok(number));
    }
    let is_integer = id.trim_start_matches(['+', '-']).bytes().all(|it| it.is_ascii_digit()) && !id.is_empty();
    Some(Err(if is_integer {
        out_of_range("offset $3", id, "integer")
    } else {
        let message = format!("{SELECT} offset $3 - invalid input syntax for type integer: \"{id}\"");
        sql_failure(&message)
    }))
}

/// Formats a large number as JavaScript does: with all digits below 1e21.
pub(super) fn js(number: f64) -> String {
    if number < 1e21 { format!("{number:.0}") } else { format!("{number:e}").replace('e', "e+") }
}

const SELECT: &str = "select * from \"action_set_events\" where \"action_set_id\" = $1 order by \"id\" desc limit $2";

/// The server's error for a value that the database rejects, which exposes the SQL.
pub(super) fn out_of_range(rest: &str, value: &str, kind: &str) -> HttpResponse {
    sql_failure(&format!("{SELECT} {rest} - value \"{value}\" is out of range for type {kind}"))
}

fn sql_failure(message: &str) -> HttpResponse {
    let body = json!({ "name": "UnknownError", "message": message, "details": [{ "message": message }] });
    wire::json(StatusCode::INTERNAL_SERVER_ERROR, body.to_string())
}
