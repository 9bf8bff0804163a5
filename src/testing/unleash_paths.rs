//! How the fake Unleash reads paths and tokens.

use http::Method;
use percent_encoding::percent_decode_str;

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
