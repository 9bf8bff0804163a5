//! A second reading of a record that doesn't fit its model: without the fields that don't.
//!
//! It knows nothing of the models. Where one says that something doesn't fit, the field that holds it is taken away, and
//! the rest is read again; a field that can't be missing takes the object that it is in with it; and if that is the record
//! itself, the record is invalid.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::decode::{Problem, typed};
use crate::json::Json;
use crate::omitted::OmittedField;

/// Beyond this many, whole fields of the record are left out instead of single ones deep inside: each takes a reading of its
/// own, and a list may hold any number.
const SINGLE: usize = 16;

/// A longer record isn't read again: its parts take several times the memory that it does, and each reading its time.
const LONGEST: usize = 1024 * 1024;

/// Reads the text as a record, with the fields that had to be left out.
///
/// # Errors
///
/// What makes it none without them either: `None` if that is no more than what was in the way in the first place.
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
        // What it misses was taken away: why is what is wrong with it.
        let missed = named("missing field");
        // It's said of the object, and is of the field.
        if let Some(twice) = named("duplicate field").filter(|it| at(text, it).is_some()) {
            printed = self::printed(&twice);
            path = twice;
        }
        let cause = omitted.iter().find(|(it, _)| Some(it) == missed.as_ref()).map(|(_, cause)| cause.clone());
        let cause = cause.unwrap_or(Unfit { path: printed, reason });
        if omitted.len() >= SINGLE {
            path.truncate(1);
        }
        // Names in what isn't of the model may be anything, and not such that a path can be told from them.
        while !path.is_empty() && at(text, &path).is_none() {
            path.pop();
        }
        // What is left out is a field: of an element of a list without its place the others' would be wrong.
        while path.pop_if(|it| matches!(it, Step::Index(_))).is_some() {}
        if path.is_empty() || omitted.iter().any(|(it, _)| path.starts_with(it)) {
            return Err(Some(cause));
        }
        omitted.retain(|(it, _)| !it.starts_with(&path));
        omitted.push((path, cause));
    }
}

/// What doesn't fit, and where.
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

/// A path as [`serde_path_to_error`] prints it; as far as it can be one of fields of a model.
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

/// In the order in which they stand there. One that stands there more than once is told each time; `None` if that is
/// beyond all reason, as each of them takes many times the memory that its text does.
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
    fields.sort_by_key(|(place, _)| *place);
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

/// What stands there.
fn at<'a>(text: &'a str, path: &[Step]) -> Option<&'a str> {
    path.iter().try_fold(text, |text, step| match step {
        Step::Key(key) => members(text)?.into_iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.get()),
        Step::Index(index) => elements(text)?.get(*index).map(|it| it.get()),
    })
}

/// The text without the fields at these paths. What isn't on the way to one is as it was.
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

/// An object's members, in their order, and those of the same name too.
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
    fn a_path_is_read_as_it_is_printed() {
        for text in ["a", "a.b", "a[0]", "a[0].b", "a.b[10][2].c"] {
            assert_eq!(printed(&path(text)), text);
        }
        assert_eq!(path(""), []);
    }

    #[test]
    fn what_is_not_left_out_stays_as_it_was_written() {
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
    fn a_field_that_does_not_fit_is_left_out_with_no_more_than_it_takes_along() {
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
            // Twice there, both are left out: which of them is meant isn't known.
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
    fn what_makes_a_record_invalid_is_said_and_not_what_could_be_left_out() {
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
    fn a_record_of_more_than_a_mebibyte_is_not_read_again() {
        let text = |more: usize| format!(r#"{{"id": 1, "note": 5, "more": "{}"}}"#, "x".repeat(more));
        let most = LONGEST - text(0).len();
        assert!(read::<Outer>(&text(most)).is_ok());
        assert_eq!(read::<Outer>(&text(most + 1)).unwrap_err(), None);
    }

    #[test]
    fn a_field_that_is_there_beyond_all_reason_makes_the_record_invalid() {
        let text = |times: usize| format!(r#"{{{}"id": 1}}"#, r#""note": 5, "#.repeat(times));
        assert_eq!(omitted(&text(SINGLE)).map(|it| it.len()), Some(SINGLE));
        assert_eq!(omitted(&text(SINGLE + 1)), None);
    }

    #[test]
    fn a_list_of_any_number_of_odd_elements_takes_a_bounded_number_of_readings() {
        let list = vec![r#"{"key": 1, "note": 7}"#; 5_000].join(",");
        let begun = std::time::Instant::now();
        let omitted = omitted(&format!(r#"{{"id": 1, "list": [{list}], "note": 5}}"#)).unwrap();
        assert_eq!(omitted.iter().map(|it| &*it.0).collect::<Vec<_>>(), ["list", "note"]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    }
}
