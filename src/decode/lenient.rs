//! Deserializes a record that doesn't fit its model, without the fields that don't fit.
//!
//! This module knows nothing about the models. Where deserialization fails, it removes the field that contains the
//! error and tries again. If a required field is removed, the object that contains it is removed too; if that object is
//! the record itself, the record is invalid.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::decode::omitted::OmittedField;
use crate::decode::{Problem, typed};
use crate::values::json::Json;

/// The most nested fields that are removed one by one. Beyond this number, whole top-level fields are removed: each
/// removal costs another pass, and a list may contain any number of errors.
const SINGLE: usize = 16;

/// A longer record isn't tried again: its parts take several times its own memory, and each pass takes time.
const LONGEST: usize = 1024 * 1024;

/// Deserializes a record, and returns it with the omitted fields.
///
/// # Errors
///
/// Why the record is invalid even without these fields. `None` if the reason is the original one.
pub(super) fn read<R: DeserializeOwned>(text: &str) -> Result<(R, Vec<OmittedField>), Option<Unfit>> {
    if text.len() > LONGEST {
        return Err(None);
    }
    let mut omitted: Vec<(Path, Unfit)> = Vec::new();
    loop {
        let paths: Vec<&[Step]> = omitted.iter().map(|(path, _)| &**path).collect();
        let Problem::Unfit { path: mut printed, reason } = (match typed::<R>(&without(text, &paths).ok_or(None)?) {
            Ok(record) => return Ok((record, fields(text, omitted).ok_or(None)?)),
            Err(error) => error.into_problem(),
        }) else {
            return Err(None);
        };
        let mut path = steps(&printed);
        let named = |what: &str| {
            let name = reason.split('`').nth(1).filter(|_| reason.starts_with(what))?;
            Some([&*path, &[Step::Key(name.to_owned())]].concat())
        };
        // If the missing field was removed before, report why it was removed.
        let missed = named("missing field");
        // serde reports a duplicate field at the object's path; the field's path is more precise.
        if let Some(twice) = named("duplicate field").filter(|it| at(text, it).is_some()) {
            printed = self::printed(&twice);
            path = twice;
        }
        let cause = omitted.iter().find(|(it, _)| Some(it) == missed.as_ref()).map(|(_, cause)| cause.clone());
        let cause = cause.unwrap_or(Unfit { path: printed, reason });
        if omitted.len() >= SINGLE {
            path.truncate(1);
        }
        // Keys outside the model may contain any characters, so that the printed path is ambiguous. Go up to a path
        // that exists.
        while !path.is_empty() && at(text, &path).is_none() {
            path.pop();
        }
        // Only fields are removed. Removing an element would shift the positions of the others in its list.
        while path.pop_if(|it| matches!(it, Step::Index(_))).is_some() {}
        if path.is_empty() || omitted.iter().any(|(it, _)| path.starts_with(it)) {
            return Err(Some(cause));
        }
        omitted.retain(|(it, _)| !it.starts_with(&path));
        omitted.push((path, cause));
    }
}

/// An error and its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) path: String,
    pub(super) reason: String,
}

type Path = Vec<Step>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Parses a path as [`serde_path_to_error`] prints it, as far as it can be a path of model fields.
fn steps(path: &str) -> Path {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|it| !it.is_empty()) {
        let (key, indices) = part.split_once('[').map_or((part, None), |(key, rest)| (key, rest.strip_suffix(']')));
        if !key.is_empty() {
            steps.push(Step::Key(key.to_owned()));
        }
        for index in indices.into_iter().flat_map(|it| it.split("][")) {
            let Ok(index) = index.parse() else { return steps };
            steps.push(Step::Index(index));
        }
    }
    steps
}

/// The removed fields in the order of the record. A field that the record contains several times is listed each time.
/// `None` if it occurs more than [`SINGLE`] times: each entry takes many times the memory of its JSON.
fn fields(text: &str, omitted: Vec<(Path, Unfit)>) -> Option<Vec<OmittedField>> {
    let mut fields = Vec::with_capacity(omitted.len());
    for (path, cause) in omitted {
        let (Step::Key(last), object) = path.split_last()? else { return None };
        let members = members(at(text, object)?)?;
        let all: Vec<_> = members.iter().filter(|(name, _)| name == last).collect();
        if all.len() > SINGLE {
            return None;
        }
        for (_, value) in all {
            let raw = Json::from_text(value.get()).ok()?;
            let field = OmittedField::new(printed(&path), cause.reason.clone(), raw);
            fields.push((value.get().as_ptr() as usize, field));
        }
    }
    fields.sort_by_key(|(address, _)| *address);
    Some(fields.into_iter().map(|(_, field)| field).collect())
}

fn printed(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => out.extend([".", key]),
            Step::Index(index) => out.push_str(&format!("[{index}]")),
        }
    }
    out
}

/// The raw JSON at a path.
fn at<'a>(text: &'a str, path: &[Step]) -> Option<&'a str> {
    path.iter().try_fold(text, |text, step| match step {
        Step::Key(key) => members(text)?.into_iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.get()),
        Step::Index(index) => elements(text)?.get(*index).map(|it| it.get()),
    })
}

/// The JSON without the fields at these paths. Everything outside these paths stays as it was written.
fn without(text: &str, paths: &[&[Step]]) -> Option<String> {
    if paths.is_empty() {
        return Some(text.to_owned());
    }
    let below = |is: &dyn Fn(&Step) -> bool| -> Vec<&[Step]> {
        paths.iter().filter_map(|path| path.split_first()).filter(|(step, _)| is(step)).map(|(_, rest)| rest).collect()
    };
    let mut out = String::with_capacity(text.len());
    if let Some(members) = members(text) {
        for (name, value) in members {
            let below = below(&|step| matches!(step, Step::Key(key) if *key == name));
            if below.iter().any(|it| it.is_empty()) {
                continue;
            }
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push_str(&serde_json::to_string(&name).ok()?);
            out.push(':');
            out.push_str(&without(value.get(), &below)?);
        }
        out.push_str(if out.is_empty() { "{}" } else { "}" });
    } else {
        for (index, value) in elements(text)?.into_iter().enumerate() {
            out.push(if out.is_empty() { '[' } else { ',' });
            out.push_str(&without(value.get(), &below(&|step| *step == Step::Index(index)))?);
        }
        out.push_str(if out.is_empty() { "[]" } else { "]" });
    }
    Some(out)
}

/// The members of an object in their order, including duplicates.
fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    struct Members<'a>(Vec<(String, &'a RawValue)>);

    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Object;

            impl<'de> Visitor<'de> for Object {
                type Value = Members<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry().map_err(A::Error::custom)? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }

            from.deserialize_map(Object)
        }
    }

    serde_json::from_str::<Members<'_>>(text).ok().map(|it| it.0)
}

fn elements(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        steps(text)
    }

    #[test]
    fn a_printed_path_parses_to_itself() {
        for text in ["a", "a.b", "a[0]", "a[0].b", "a.b[10][2].c"] {
            assert_eq!(printed(&path(text)), text);
        }
        assert_eq!(path(""), []);
    }

    #[test]
    fn everything_else_stays_as_it_was_written() {
        let text = r#" {"a": 1.50, "b": [ {"c": 1e400 , "d": "\ud800"}, [ ] ], "a": 2, "e": { } } "#;
        let (a, c, e) = (path("a"), path("b[0].c"), path("e"));
        assert_eq!(without(text, &[&a, &c]).unwrap(), r#"{"b":[{"d":"\ud800"},[ ]],"e":{ }}"#);
        assert_eq!(without(text, &[&e]).unwrap(), r#"{"a":1.50,"b":[ {"c": 1e400 , "d": "\ud800"}, [ ] ],"a":2}"#);
        assert_eq!(without(r#"{"a": 1}"#, &[&a]).unwrap(), "{}");
        assert_eq!(at(text, &c).unwrap(), "1e400");
        assert_eq!(at(text, &a).unwrap(), "2");
        assert!(at(text, &path("b[7]")).is_none());
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        id: u8,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        key: u8,
        #[serde(default)]
        note: Option<String>,
    }

    fn omitted(text: &str) -> Option<Vec<(String, String)>> {
        let (_, omitted) = read::<Outer>(text).ok()?;
        Some(omitted.iter().map(|it| (it.path().to_owned(), it.raw().to_string())).collect())
    }

    /// What was left out, by its path; `None` if the record is invalid.
    type Expected = Option<&'static [(&'static str, &'static str)]>;

    #[test]
    fn only_the_smallest_object_that_does_not_fit_is_omitted() {
        let cases: [(&str, Expected); 15] = [
            (r#"{"id": 1, "note": 7}"#, Some(&[("note", "7")])),
            (r#"{"id": 1, "inner": {"key": 1, "note": [ 1 ]}}"#, Some(&[("inner.note", "[ 1 ]")])),
            (r#"{"id": 1, "inner": {"note": "x"}}"#, Some(&[("inner", r#"{"note": "x"}"#)])),
            (r#"{"id": 1, "inner": {"key": "x", "note": 1}}"#, Some(&[("inner", r#"{"key": "x", "note": 1}"#)])),
            (r#"{"note": 1, "id": 1, "inner": 5}"#, Some(&[("note", "1"), ("inner", "5")])),
            (r#"{"id": 1, "list": [{"key": 1}, {"key": 2, "note": 3}]}"#, Some(&[("list[1].note", "3")])),
            (r#"{"id": 1, "list": [{"key": 1}, 7]}"#, Some(&[("list", r#"[{"key": 1}, 7]"#)])),
            (r#"{"id": "1", "note": 1}"#, None),
            (r#"{"note": 1}"#, None),
            // If a field occurs twice, both are omitted: which one is meant is unknown.
            (r#"{"note": "a", "id": 1, "note": "b"}"#, Some(&[("note", "\"a\""), ("note", "\"b\"")])),
            (r#"{"note": 5, "id": 1, "note": "b"}"#, Some(&[("note", "5"), ("note", "\"b\"")])),
            (r#"{"inner": 5, "note": 6, "id": 1, "note": 7}"#, Some(&[("inner", "5"), ("note", "6"), ("note", "7")])),
            (
                r#"{"id": 1, "list": [{"key": 1, "note": "a", "note": "b"}]}"#,
                Some(&[("list[0].note", "\"a\""), ("list[0].note", "\"b\"")]),
            ),
            (r#"{"id": 1, "inner": {"key": 1, "key": 2}}"#, Some(&[("inner", r#"{"key": 1, "key": 2}"#)])),
            (r#"{"id": 1, "id": 1}"#, None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|it| it.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect());
            assert_eq!(omitted(text), expected, "{text}");
        }
        for text in ["", "7", "[]", "{", r#"{"id": 1"#] {
            assert_eq!(omitted(text), None, "{text}");
        }
    }

    #[test]
    fn an_invalid_record_reports_the_required_field_and_not_the_omittable_one() {
        let why = |text: &str| read::<Outer>(text).unwrap_err().map(|it| (it.path, it.reason)).unwrap();
        let (path, reason) = why(r#"{"note": 1, "id": "x"}"#);
        assert!(path == "id" && reason.contains("expected u8"), "{path}: {reason}");
        let (path, reason) = why(r#"{"note": 1, "inner": {"key": 1, "note": 2}}"#);
        assert!(path.is_empty() && reason.contains("missing field `id`"), "{path}: {reason}");

        let (path, reason) = why(r#"{"id": 1, "note": 1, "id": 1}"#);
        assert!(path == "id" && reason.starts_with("duplicate field `id`"), "{path}: {reason}");

        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct Deep {
            inner: Inner,
        }
        let why = read::<Deep>(r#"{"inner": {"key": "x", "note": 5}}"#).unwrap_err().unwrap();
        assert_eq!(why.path, "inner.key");
    }

    #[test]
    fn a_record_of_more_than_a_mebibyte_is_not_tried_again() {
        let text = |more: usize| format!(r#"{{"id": 1, "note": 5, "more": "{}"}}"#, "x".repeat(more));
        let most = LONGEST - text(0).len();
        assert!(read::<Outer>(&text(most)).is_ok());
        assert_eq!(read::<Outer>(&text(most + 1)).unwrap_err(), None);
    }

    #[test]
    fn a_field_that_occurs_too_often_makes_the_record_invalid() {
        let text = |times: usize| format!(r#"{{{}"id": 1}}"#, r#""note": 5, "#.repeat(times));
        assert_eq!(omitted(&text(SINGLE)).map(|it| it.len()), Some(SINGLE));
        assert_eq!(omitted(&text(SINGLE + 1)), None);
    }

    #[test]
    fn a_list_of_many_invalid_elements_takes_a_bounded_number_of_passes() {
        let list = vec![r#"{"key": 1, "note": 7}"#; 5_000].join(",");
        let begun = std::time::Instant::now();
        let omitted = omitted(&format!(r#"{{"id": 1, "list": [{list}], "note": 5}}"#)).unwrap();
        assert_eq!(omitted.iter().map(|it| &*it.0).collect::<Vec<_>>(), ["list", "note"]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    }
}
