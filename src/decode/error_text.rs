//! Extracts messages from error bodies. Their structure is undocumented, so this accepts whatever it can read: one
//! message too many is better than none.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::decode::bound;
use crate::error::ApiError;
use crate::values::json::Json;

/// The messages of a part of an error body, joined into one string.
pub(crate) fn text(part: Option<&Json>) -> Option<String> {
    let texts = texts(part);
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The messages of a part of an error body: a string, a number, an object with a message, or a list of these.
pub(crate) fn texts(part: Option<&Json>) -> Vec<String> {
    let mut texts = Vec::new();
    within(DEEPEST, part, &mut texts);
    texts
}

/// Messages nested deeper than this are ignored. Without a limit, a body of nothing but brackets overflows the stack.
const DEEPEST: u8 = 8;

/// The most messages, or errors, that are collected.
const MOST: usize = 100;

/// A longer part isn't parsed. It isn't cut, either: the redaction can't recognize a secret that is cut in the middle.
const LONGEST: usize = 64 * 1024;

fn within(depth: u8, part: Option<&Json>, texts: &mut Vec<String>) {
    let (Some(part), Some(depth)) = (part, depth.checked_sub(1)) else { return };
    if texts.len() >= MOST {
        return;
    }
    if part.as_str().len() > LONGEST {
        return texts.push(too_long(part.as_str().len()));
    }
    if let Ok(list) = part.parse::<Vec<Json>>() {
        return list.iter().for_each(|it| within(depth, Some(it), texts));
    }
    if let Ok(fields) = part.parse::<BTreeMap<String, Json>>() {
        let named = ["message", "description", "detail", "error", "title"].iter().find_map(|name| fields.get(*name));
        return within(depth, named, texts);
    }
    match part.parse::<String>() {
        Ok(text) => texts.push(text),
        // A number or a bool.
        Err(_) if !part.is_null() => texts.push(part.as_str().chars().take(64).collect()),
        Err(_) => {}
    }
}

fn too_long(length: usize) -> String {
    format!("{length} bytes, not shown")
}

/// Deserializes the error part of a body. A part longer than [`LONGEST`] isn't even copied: a note about its length
/// takes its place. Only for parts that are borrowed from a body in memory.
pub(crate) fn short<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    let Some(raw) = Option::<&'de RawValue>::deserialize(from)? else { return Ok(None) };
    let length = raw.get().len();
    if length <= LONGEST {
        return Ok(Some(Json::from_raw(raw.to_owned())));
    }
    Json::from_text(format!("\"{}\"", too_long(length))).map(Some).map_err(D::Error::custom)
}

/// Deserializes errors that a page contains beside its records. Fails for more than [`MOST`] of them: with so many
/// errors it is unknown which records the page is missing.
pub(crate) fn few<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut errors: A) -> Result<(), A::Error> {
            let mut count = 0;
            while errors.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
                if count > MOST {
                    return Err(bound::over("errors", MOST));
                }
            }
            Ok(())
        }
    }

    let Some(raw) = Option::<&'de RawValue>::deserialize(from)? else { return Ok(None) };
    if raw.get().starts_with('[') {
        serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Few).map_err(D::Error::custom)?;
    }
    if raw.get().len() > 4 * LONGEST {
        return Err(bound::over("bytes of errors", 4 * LONGEST));
    }
    Ok(Some(Json::from_raw(raw.to_owned())))
}

/// The errors of a list, or the single error that takes the place of a list.
pub(crate) fn errors(part: Option<&Json>) -> Vec<ApiError> {
    let Some(part) = part.filter(|it| !it.is_null()) else { return Vec::new() };
    if part.as_str().len() > 4 * LONGEST {
        return Vec::from([ApiError::new().with_message(Some(too_long(part.as_str().len())))]);
    }
    let list = part.parse::<Vec<Json>>().unwrap_or_else(|_| Vec::from([part.clone()]));
    list.iter()
        .take(MOST)
        .map(|it| {
            let is_short = it.as_str().len() <= LONGEST;
            let fields = is_short.then(|| it.parse::<BTreeMap<String, Json>>().ok()).flatten().unwrap_or_default();
            let code = fields.get("code").or_else(|| fields.get("name"));
            ApiError::new().with_name(text(code)).with_message(text(Some(it)))
        })
        .collect()
}
