//! Words out of the bodies of errors, whose shape nobody promises: better a word too many than none.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::json::Json;
use crate::transport::bound;

/// What a part of an error says, as one text.
pub(crate) fn text(part: Option<&Json>) -> Option<String> {
    let texts = texts(part);
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What a part of an error says: a text, a number, an object that has a message, or a list of such.
pub(crate) fn texts(part: Option<&Json>) -> Vec<String> {
    let mut texts = Vec::new();
    within(DEEPEST, part, &mut texts);
    texts
}

/// Nobody hides a sentence deeper than this. A body of brackets alone would take all of the stack.
const DEEPEST: u8 = 8;

/// Nobody reads more sentences, or errors, than these.
const MOST: usize = 100;

/// What a server says of an error is taken up to this; more isn't looked into. It isn't cut, either: a secret that is cut
/// in the middle couldn't be told.
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
        // A number, or a bool.
        Err(_) if !part.is_null() => texts.push(part.as_str().chars().take(64).collect()),
        Err(_) => {}
    }
}

fn too_long(length: usize) -> String {
    format!("{length} bytes, which aren't shown")
}

/// Reads what a server may say of an error, where it isn't longer than anything that is said. What is longer isn't even
/// copied: a word on how long it is takes its place. For texts that are all there.
pub(crate) fn short<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    let Some(raw) = Option::<&'de RawValue>::deserialize(from)? else { return Ok(None) };
    let length = raw.get().len();
    if length <= LONGEST {
        return Ok(Some(Json::from_raw(raw.to_owned())));
    }
    Json::from_text(format!("\"{}\"", too_long(length))).map(Some).map_err(D::Error::custom)
}

/// Reads errors that stand beside records, of which there are so many at most. It can't be told what is missing of a page
/// that has more of them.
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

/// The errors of a list, or the one that stands in a list's place.
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
