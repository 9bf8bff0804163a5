//! Deserializes a record that doesn't fit its model, without the fields that don't fit.
//!
//! This module knows nothing about the models. Where deserialization fails, it removes the field that contains the
//! error and tries again. If a required field is removed, the object that contains it is removed too; if that object is
//! the record itself, the record is invalid.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::decode::omitted::OmittedField;
use crate::decode::path::{self, Path, Step, at, deepest, each_value, printed, scanned, steps, without};
use crate::decode::{Problem, bound, tracked};
use crate::values::json::Json;

/// The most nested fields that are removed one by one. Beyond this number, whole top-level fields are removed: each
/// removal costs another pass, and a list may contain any number of errors.
const SINGLE: usize = 16;

/// The most passes over one record, beyond those that remove single nested fields. No model of this crate has as many
/// top-level fields.
const TOP_LEVEL: usize = 48;

/// Deserializes a record, and returns it with the omitted fields.
///
/// # Errors
///
/// Why the record is invalid even without these fields. `None` if the reason is the original one.
pub(super) fn read<R: DeserializeOwned>(text: &str) -> Result<(R, Vec<OmittedField>), Option<Unfit>> {
    let mut omitted: Vec<(Path, Unfit)> = Vec::new();
    for pass in 0..SINGLE + TOP_LEVEL {
        let paths: Vec<&[Step]> = omitted.iter().map(|(path, _)| &**path).collect();
        let rest = if paths.is_empty() { Cow::Borrowed(text) } else { without(text, &paths).ok_or(None)?.into() };
        scanned(&rest);
        let read = tracked::<R>(&rest);
        drop(rest);
        let (path, cause) = match read {
            Ok(record) => return Ok((record, bound::omitting(|| fields(text, omitted))?)),
            Err(error) => match error.into_problem() {
                Problem::Unfit { path, reason } => to_remove(text, &omitted, path, reason, pass >= SINGLE),
                _ => return Err(None),
            },
        };
        if path.is_empty() || omitted.iter().any(|(it, _)| path.starts_with(it)) {
            return Err(Some(cause));
        }
        omitted.retain(|(it, _)| !it.starts_with(&path));
        omitted.push((path, cause));
    }
    Err(None)
}

/// The field to remove because of an error, and why. An empty path if there is none.
fn to_remove(text: &str, omitted: &[(Path, Unfit)], path: String, reason: String, whole: bool) -> (Path, Unfit) {
    let mut printed = path;
    let mut path = steps(&printed);
    let named = |what: &str| {
        let name = reason.split('`').nth(1).filter(|_| reason.starts_with(what))?;
        Some([&*path, &[Step::Key(name.to_owned())]].concat())
    };
    // If the missing field was removed before, report why it was removed.
    let missed = named("missing field");
    // serde reports a duplicate field at the object's path; the field's path is more precise.
    if let Some(twice) = named("duplicate field").filter(|it| at(text, it).is_some()) {
        printed = path::printed(&twice);
        path = twice;
    }
    let cause = omitted.iter().find(|(it, _)| Some(it) == missed.as_ref()).map(|(_, cause)| cause.clone());
    let cause = cause.unwrap_or(Unfit { path: printed, reason });
    if whole {
        path.truncate(1);
    }
    // Keys outside the model may contain any characters, so that the printed path is ambiguous. Go up to a path that
    // exists.
    path.truncate(deepest(text, &path).1);
    // Only fields are removed. Removing an element would shift the positions of the others in its list.
    while path.pop_if(|it| matches!(it, Step::Index(_))).is_some() {}
    (path, cause)
}

/// An error and its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) path: String,
    pub(super) reason: String,
}

/// The removed fields in the order of the record. A field that the record contains several times is listed each time.
///
/// # Errors
///
/// If they take more memory than is left for them: each takes many times the memory of its JSON.
fn fields(text: &str, omitted: Vec<(Path, Unfit)>) -> Result<Vec<OmittedField>, Option<Unfit>> {
    let mut values = Vec::with_capacity(omitted.len());
    let mut has_room = true;
    for (which, (path, cause)) in omitted.iter().enumerate() {
        let Some((Step::Key(last), object)) = path.split_last() else { return Err(None) };
        // Beside the strings, an allocation for each of three, and the entry of `values`.
        let each = size_of::<OmittedField>() + path.iter().map(size).sum::<usize>() + cause.reason.len() + 64;
        each_value(at(text, object).ok_or(None)?, last, |value| {
            has_room = has_room && bound::take_for_omitted(each);
            if has_room {
                values.push((path::offset(text, value), which, value));
            }
        });
    }
    if !has_room {
        let reason = format!("more than {} bytes of fields that don't fit", bound::most_for_omitted());
        return Err(Some(Unfit { path: String::new(), reason }));
    }
    values.sort_unstable_by_key(|(offset, ..)| *offset);
    let field = |(_, which, value): (usize, usize, &str)| {
        let (path, cause) = omitted.get(which)?;
        Some(OmittedField::new(printed(path), cause.reason.clone(), Json::from_text(value).ok()?))
    };
    values.into_iter().map(field).collect::<Option<_>>().ok_or(None)
}

fn size(step: &Step) -> usize {
    match step {
        Step::Key(key) => key.len() + 1,
        Step::Index(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::decode::path::counted;

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

    /// The omitted fields of a record, and how many times its length was scanned.
    fn scans(text: &str) -> (usize, usize) {
        counted::take();
        let omitted = omitted(text).map(|it| it.len()).unwrap();
        (omitted, counted::take().div_ceil(text.len()))
    }

    #[test]
    fn an_omitted_field_costs_at_most_five_scans_for_each_level_in_a_record_of_any_size() {
        for size in [100, 8 << 20] {
            let more = "x".repeat(size);
            let text = |odd: &str| format!(r#"{{"id": 1, {odd}, "more": "{more}"}}"#);
            assert_eq!(scans(&text(r#""note": 5"#)), (1, 5));
            assert_eq!(scans(&text(r#""note": 5, "list": 7"#)), (2, 9));
            assert_eq!(scans(&text(r#""note": 5, "list": 7, "inner": "x""#)), (3, 13));
            assert_eq!(scans(&text(r#""note": "a", "note": "b""#)), (2, 6));
            assert_eq!(scans(&text(r#""inner": {"key": 1, "note": 7}"#)), (1, 6));
            let inner = format!(r#"{{"id": 1, "inner": {{"key": 1, "note": 5, "more": "{more}"}}}}"#);
            assert_eq!(scans(&inner), (1, 8));
        }
    }

    #[test]
    fn a_field_that_occurs_many_times_is_listed_each_time_at_no_more_cost() {
        for times in [2, 17, 100, 20_000] {
            let text = format!(r#"{{{}"id": 1}}"#, r#""note": 5, "#.repeat(times));
            assert_eq!(scans(&text), (times, 5));
        }
    }

    #[test]
    fn omitted_fields_take_at_most_the_memory_of_a_pages_lists() {
        let text = |times: usize| format!(r#"{{{}"id": 1}}"#, r#""note": 5, "#.repeat(times));
        let read = |times: usize, body: usize| {
            let most = bound::Most { records: 1, body };
            bound::within(most, || read::<Outer>(&text(times))).unwrap().map(|(_, omitted)| omitted.len())
        };
        assert_eq!(read(50_000, 0), Ok(50_000));
        let why = read(200_000, 0).unwrap_err().unwrap();
        assert!(why.reason.contains("more than 16777216 bytes of fields that don't fit"), "{}", why.reason);
        assert_eq!(read(200_000, 64 << 20), Ok(200_000));
        // Outside of a page too.
        assert!(super::read::<Outer>(&text(200_000)).is_err());
    }

    #[test]
    fn a_list_of_many_invalid_elements_takes_a_bounded_number_of_passes() {
        let list = vec![r#"{"key": 1, "note": 7}"#; 5_000].join(",");
        let text = format!(r#"{{"id": 1, "list": [{list}], "note": 5}}"#);
        let names = omitted(&text).unwrap();
        assert_eq!(names.iter().map(|it| &*it.0).collect::<Vec<_>>(), ["list", "note"]);
        let (_, scans) = scans(&text);
        assert!(scans <= 6 * (SINGLE + 2), "{scans}");
    }

    #[test]
    fn a_map_of_many_invalid_values_takes_a_bounded_number_of_passes() {
        type Map = std::collections::HashMap<String, u8>;
        let text = |bad: usize| {
            let bad: Vec<_> = (0..bad).map(|it| format!(r#""{it}": "x""#)).collect();
            format!(r#"{{"good": 1, {}}}"#, bad.join(","))
        };
        let (read, omitted) = read::<Map>(&text(60)).unwrap();
        assert_eq!((read.len(), omitted.len()), (1, 60));
        counted::take();
        let text = text(50_000);
        assert_eq!(super::read::<Map>(&text).unwrap_err(), None);
        assert!(counted::take().div_ceil(text.len()) <= 4 * (SINGLE + TOP_LEVEL));
    }
}
