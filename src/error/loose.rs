//! Words out of the bodies of errors, whose shape nobody promises: better a word too many than none.

use std::collections::BTreeMap;

use crate::error::ApiError;
use crate::json::Json;

/// What a part of an error says, as one text.
pub(crate) fn text(part: Option<&Json>) -> Option<String> {
    let texts = texts(part);
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What a part of an error says: a text, a number, an object that has a message, or a list of such.
pub(crate) fn texts(part: Option<&Json>) -> Vec<String> {
    within(DEEPEST, part)
}

/// Nobody hides a sentence deeper than this. A body of brackets alone would take all of the stack.
const DEEPEST: u8 = 8;

fn within(depth: u8, part: Option<&Json>) -> Vec<String> {
    let (Some(part), Some(depth)) = (part, depth.checked_sub(1)) else { return Vec::new() };
    if let Ok(list) = part.parse::<Vec<Json>>() {
        return list.iter().flat_map(|it| within(depth, Some(it))).collect();
    }
    if let Ok(fields) = part.parse::<BTreeMap<String, Json>>() {
        let named = ["message", "description", "detail", "error", "title"].iter().find_map(|name| fields.get(*name));
        return within(depth, named);
    }
    match part.parse::<String>() {
        Ok(text) => Vec::from([text]),
        // A number, or a bool.
        Err(_) if !part.is_null() => Vec::from([part.as_str().chars().take(64).collect()]),
        Err(_) => Vec::new(),
    }
}

/// The errors of a list, or the one that stands in a list's place.
pub(crate) fn errors(part: Option<&Json>) -> Vec<ApiError> {
    let Some(part) = part.filter(|it| !it.is_null()) else { return Vec::new() };
    let list = part.parse::<Vec<Json>>().unwrap_or_else(|_| Vec::from([part.clone()]));
    list.iter()
        .map(|it| {
            let fields = it.parse::<BTreeMap<String, Json>>().unwrap_or_default();
            let code = fields.get("code").or_else(|| fields.get("name"));
            ApiError::new().with_name(text(code)).with_message(text(Some(it)))
        })
        .collect()
}
