//! Paths into raw JSON: what is at a path, and the JSON without the fields at some paths.
//!
//! The raw JSON is scanned and never parsed into a tree, so nothing here takes more memory than the JSON itself,
//! whatever it holds. A call scans each object and list on its path once.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

pub(super) type Path = Vec<Step>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Parses a path as [`serde_path_to_error`] prints it, as far as it can be a path of model fields.
pub(super) fn steps(path: &str) -> Path {
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

pub(super) fn printed(path: &[Step]) -> String {
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

/// The raw JSON at a path, or at the longest part of the path that exists, and the number of steps in that part. Of a
/// field that occurs several times, the last one.
pub(super) fn deepest<'a>(text: &'a str, path: &[Step]) -> (&'a str, usize) {
    let mut here = (text, 0);
    for step in path {
        let mut found = None;
        match step {
            Step::Key(key) => {
                members(here.0, |name| name == key, |is_it, value| found = is_it.then_some(value).or(found))
            }
            Step::Index(index) => elements(here.0, |at, value| found = (at == *index).then_some(value).or(found)),
        };
        let Some(found) = found else { break };
        here = (found, here.1 + 1);
    }
    here
}

/// The raw JSON at a path.
pub(super) fn at<'a>(text: &'a str, path: &[Step]) -> Option<&'a str> {
    Some(deepest(text, path)).filter(|it| it.1 == path.len()).map(|it| it.0)
}

/// Calls a function with each value that a field has in the object `text`, in their order.
pub(super) fn each_value<'a>(text: &'a str, field: &str, mut each: impl FnMut(&'a str)) -> Option<()> {
    members(
        text,
        |name| name == field,
        |is_it, value| {
            if is_it {
                each(value)
            }
        },
    )
}

/// Where a part of a text begins in it.
pub(super) fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr().wrapping_sub(text.as_ptr().addr())
}

/// The JSON without the fields at these paths, wherever they occur. All other fields stay as they were written.
pub(super) fn without(text: &str, paths: &[&[Step]]) -> Option<String> {
    let mut cuts = Vec::new();
    cut(text, text, paths, &mut cuts)?;
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for cut in cuts {
        out.push_str(text.get(end..cut.start)?);
        end = cut.end;
    }
    out.push_str(text.get(end..)?);
    Some(out)
}

/// Finds what to cut from a part of the whole text, in order.
fn cut(whole: &str, part: &str, paths: &[&[Step]], cuts: &mut Vec<Range<usize>>) -> Option<()> {
    let mut all_cut = Some(());
    let kind = part.trim_start().chars().next();
    if kind == Some('[') {
        elements(part, |index, value| {
            let below = below(paths, |step| *step == Step::Index(index));
            if !below.is_empty() && all_cut.is_some() {
                all_cut = cut(whole, value, &below, cuts);
            }
        })?;
    }
    if kind != Some('{') {
        return all_cut;
    }
    // A field is cut together with what is between it and the field before it.
    let mut start = offset(whole, part) + part.find('{')? + 1;
    let (mut is_first, mut is_cut) = (true, false);
    let below = |name: &str| below(paths, |step| matches!(step, Step::Key(key) if key == name));
    members(part, below, |below, value| {
        let end = offset(whole, value) + value.len();
        if below.iter().any(|it| it.is_empty()) {
            join(cuts, start..end);
            is_cut = true;
        } else {
            // If all fields before the first one that stays are cut, so is its comma.
            if is_first && is_cut {
                let comma = whole.get(start..).and_then(|it| it.find(',')).unwrap_or_default();
                join(cuts, start..start + comma + 1);
            }
            is_first = false;
            if !below.is_empty() && all_cut.is_some() {
                all_cut = cut(whole, value, &below, cuts);
            }
        }
        start = end;
    })?;
    all_cut
}

/// The rest of each path whose first step is this one.
fn below<'a>(paths: &[&'a [Step]], is: impl Fn(&Step) -> bool) -> Vec<&'a [Step]> {
    paths.iter().filter_map(|path| path.split_first()).filter(|(step, _)| is(step)).map(|(_, rest)| rest).collect()
}

/// Adds a range to a list of ranges, or extends the last one.
fn join(cuts: &mut Vec<Range<usize>>, range: Range<usize>) {
    match cuts.last_mut().filter(|last| last.end == range.start) {
        Some(last) => last.end = range.end,
        None => cuts.push(range),
    }
}

/// Calls `each` with the members of an object in their order, duplicates included: what `of` returns for the name, and
/// the raw JSON of the value. `None` if the text isn't an object.
fn members<'a, M>(text: &'a str, of: impl Fn(&str) -> M, each: impl FnMut(M, &'a str)) -> Option<()> {
    struct Object<O, E>(O, E);

    impl<'de, M, O: Fn(&str) -> M, E: FnMut(M, &'de str)> Visitor<'de> for Object<O, E> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(of) = map.next_key_seed(Name(&self.0))? {
                (self.1)(of, map.next_value::<&RawValue>()?.get());
            }
            Ok(())
        }
    }

    scanned(text);
    serde_json::Deserializer::from_str(text).deserialize_map(Object(of, each)).ok()
}

/// Calls a function with the name of a member, which is not copied.
struct Name<'f, O>(&'f O);

impl<'de, M, O: Fn(&str) -> M> DeserializeSeed<'de> for Name<'_, O> {
    type Value = M;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<M, D::Error> {
        from.deserialize_str(self)
    }
}

impl<M, O: Fn(&str) -> M> Visitor<'_> for Name<'_, O> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<M, E> {
        Ok((self.0)(name))
    }
}

/// Calls `each` with the index and the raw JSON of the elements of a list. `None` if the text isn't a list.
fn elements<'a>(text: &'a str, each: impl FnMut(usize, &'a str)) -> Option<()> {
    struct List<E>(E);

    impl<'de, E: FnMut(usize, &'de str)> Visitor<'de> for List<E> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            let mut index = 0;
            while let Some(value) = list.next_element::<&RawValue>()? {
                (self.0)(index, value.get());
                index += 1;
            }
            Ok(())
        }
    }

    scanned(text);
    serde_json::Deserializer::from_str(text).deserialize_seq(List(each)).ok()
}

#[cfg(not(test))]
pub(super) fn scanned(_: &str) {}

#[cfg(test)]
pub(super) use counted::scanned;

/// Counts the bytes that are scanned, for tests of how often a record is.
#[cfg(test)]
pub(super) mod counted {
    use std::cell::Cell;

    thread_local! {
        static SCANNED: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn scanned(text: &str) {
        SCANNED.set(SCANNED.get() + text.len());
    }

    /// The bytes that were scanned since the last call on this thread.
    pub(crate) fn take() -> usize {
        SCANNED.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_path_parses_to_itself() {
        for text in ["a", "a.b", "a[0]", "a[0].b", "a.b[10][2].c"] {
            assert_eq!(printed(&steps(text)), text);
        }
        assert_eq!(steps(""), []);
    }

    #[test]
    fn everything_else_stays_as_it_was_written() {
        let text = r#" {"a": 1.50, "b": [ {"c": 1e400 , "d": "\ud800"}, [ ] ], "a": 2, "e": { } } "#;
        let cases = [
            (vec!["a"], r#" { "b": [ {"c": 1e400 , "d": "\ud800"}, [ ] ], "e": { } } "#),
            (vec!["a", "b[0].c"], r#" { "b": [ { "d": "\ud800"}, [ ] ], "e": { } } "#),
            (vec!["b[0].d", "e"], r#" {"a": 1.50, "b": [ {"c": 1e400}, [ ] ], "a": 2 } "#),
            (vec!["b"], r#" {"a": 1.50, "a": 2, "e": { } } "#),
            (vec!["a", "b", "e"], " { } "),
            (vec!["b[0].c", "b[0].d"], r#" {"a": 1.50, "b": [ { }, [ ] ], "a": 2, "e": { } } "#),
            (vec!["x", "b[5].c", "b.c", "a.b", "e[0]"], text),
        ];
        for (paths, expected) in cases {
            let paths: Vec<_> = paths.into_iter().map(steps).collect();
            let paths: Vec<_> = paths.iter().map(Vec::as_slice).collect();
            assert_eq!(without(text, &paths).as_deref().map(blanks), Some(blanks(expected)), "{paths:?}");
        }
        assert_eq!(without("{\"\\u0061\":1}", &[&steps("a")]).as_deref(), Some("{}"));
        assert_eq!(without("7", &[&steps("a")]).as_deref(), Some("7"));
        for text in ["{", r#"{"a": 1"#, "[7"] {
            assert_eq!(without(text, &[&steps("a")]), None, "{text}");
        }
    }

    /// Blanks don't matter where one is.
    fn blanks(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace("{ ", "{").replace(" }", "}").replace(" ,", ",")
    }

    #[test]
    fn a_path_leads_to_the_last_of_several_values_or_as_far_as_it_exists() {
        let text = r#" {"a": 1.50, "b": [ {"c": 1e400 , "d": "\ud800"}, [ ] ], "a": 2, "e": { } } "#;
        assert_eq!(at(text, &steps("b[0].c")), Some("1e400"));
        assert_eq!(at(text, &steps("a")), Some("2"));
        assert_eq!(at(text, &steps("b[7]")), None);
        assert_eq!(deepest(text, &steps("b[7].c")).1, 1);
        assert_eq!(deepest(text, &steps("e.f.g")), ("{ }", 1));
        let mut all = Vec::new();
        each_value(text, "a", |it| all.push(it)).unwrap();
        assert_eq!(all, ["1.50", "2"]);
    }
}
