//! A canonical form of JSON, for the hashes in a cursor.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde::de::IgnoredAny;

/// Returns the canonical form of a parameter's value. JSON gets sorted object keys and no blanks, because the order of
/// a map differs from process to process. Anything else stays as it is.
///
/// The value may be a user's search term, nested to any depth: nothing here recurses, and the time is linear in the
/// length.
pub(crate) fn canonical(value: &str) -> String {
    let text = value.trim();
    let is_nested = text.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok();
    match is_nested.then(|| Tree::read(text)).flatten() {
        Some(tree) => tree.write(),
        None => value.to_owned(),
    }
}

/// A JSON value in flat memory, so that neither reading nor writing nor dropping it recurses.
struct Tree<'a> {
    text: &'a str,
    /// Children stand before their parent; the root comes last.
    nodes: Vec<Node>,
}

enum Node {
    /// A scalar, or an object with a key that isn't valid Unicode: kept as it stands in the text.
    Verbatim(Range<usize>),
    List(Vec<usize>),
    /// By key. Of duplicate keys the last one counts.
    Object(BTreeMap<String, usize>),
}

/// A list or an object whose end hasn't come yet.
struct Open {
    begin: usize,
    node: Node,
    /// The key of the next value, in an object.
    name: Option<String>,
    /// Whether a key wasn't valid Unicode (half of a surrogate pair, for example).
    unnamed: bool,
}

impl<'a> Tree<'a> {
    /// Parses valid JSON. `None` if the text isn't valid after all.
    fn read(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut tree = Self { text, nodes: Vec::new() };
        let mut open: Vec<Open> = Vec::new();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let node = match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => {
                    at += 1;
                    continue;
                }
                b'[' | b'{' => {
                    let node = if byte == b'[' { Node::List(Vec::new()) } else { Node::Object(BTreeMap::new()) };
                    open.push(Open { begin: at, node, name: None, unnamed: false });
                    at += 1;
                    continue;
                }
                b']' | b'}' => {
                    at += 1;
                    open.pop()?.close(at)
                }
                _ => {
                    let begin = at;
                    at = end_of_scalar(bytes, begin);
                    if let Some(object) = open.last_mut().filter(|it| it.wants_a_name()) {
                        object.take_name(&text[begin..at]);
                        continue;
                    }
                    Node::Verbatim(begin..at)
                }
            };
            tree.nodes.push(node);
            if let Some(around) = open.last_mut() {
                around.take_value(tree.nodes.len() - 1);
            }
        }
        open.is_empty().then_some(tree)
    }

    fn write(&self) -> String {
        enum Step<'b> {
            Value(usize),
            Name(&'b str),
            Text(&'static str),
        }
        let mut out = String::with_capacity(self.text.len());
        // A stack: the next step is the last one.
        let mut steps = Vec::from([Step::Value(self.nodes.len().saturating_sub(1))]);
        while let Some(step) = steps.pop() {
            match step {
                Step::Text(text) => out.push_str(text),
                // Writing to a string can't fail.
                Step::Name(name) => drop(write!(out, "{name:?}:")),
                Step::Value(index) => match self.nodes.get(index) {
                    Some(Node::Verbatim(range)) => out.push_str(&self.text[range.clone()]),
                    Some(Node::List(items)) => {
                        out.push('[');
                        steps.push(Step::Text("]"));
                        for (number, item) in items.iter().enumerate().rev() {
                            steps.push(Step::Value(*item));
                            steps.push(Step::Text(if number == 0 { "" } else { "," }));
                        }
                    }
                    Some(Node::Object(fields)) => {
                        out.push('{');
                        steps.push(Step::Text("}"));
                        for (number, (name, value)) in fields.iter().enumerate().rev() {
                            steps.push(Step::Value(*value));
                            steps.push(Step::Name(name));
                            steps.push(Step::Text(if number == 0 { "" } else { "," }));
                        }
                    }
                    None => {}
                },
            }
        }
        out
    }
}

impl Open {
    fn wants_a_name(&self) -> bool {
        matches!(self.node, Node::Object(_)) && self.name.is_none()
    }

    fn take_name(&mut self, quoted: &str) {
        let name = serde_json::from_str(quoted);
        self.unnamed |= name.is_err();
        self.name = Some(name.unwrap_or_default());
    }

    fn take_value(&mut self, index: usize) {
        match &mut self.node {
            Node::List(items) => items.push(index),
            Node::Object(fields) => drop(fields.insert(self.name.take().unwrap_or_default(), index)),
            Node::Verbatim(_) => {}
        }
    }

    fn close(self, end: usize) -> Node {
        if self.unnamed { Node::Verbatim(self.begin..end) } else { self.node }
    }
}

/// Returns where the string, number or literal that begins here ends.
fn end_of_scalar(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    if bytes[begin] != b'"' {
        let ends = |it: &u8| matches!(it, b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        return bytes[at..].iter().position(ends).map_or(bytes.len(), |length| at + length);
    }
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    /// The first implementation. Cursors that were made with it must stay valid.
    fn recursive(value: &str) -> String {
        let text = value.trim();
        if let Some(fields) =
            text.starts_with('{').then(|| serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok()).flatten()
        {
            let fields = fields.iter().map(|(name, value)| format!("{name:?}:{}", recursive(value.get())));
            return format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
        }
        if let Some(items) = text.starts_with('[').then(|| serde_json::from_str::<Vec<&RawValue>>(text).ok()).flatten()
        {
            let items = items.iter().map(|value| recursive(value.get()));
            return format!("[{}]", items.collect::<Vec<_>>().join(","));
        }
        value.to_owned()
    }

    #[test]
    fn the_form_is_the_one_of_the_first_implementation() {
        for text in [
            "",
            " a term ",
            "[",
            "{",
            "]",
            "[]",
            " [ ] ",
            "{ }",
            "[1,2 , 3.50e1,true,null , \"a,]b\" ]",
            r#" {"b": [ {"z":1,"a":{}} ], "a" : "x\"]}y" } "#,
            r#"{"a":1,"a":[2],"a":{"c":3,"b":4}}"#,
            r#"{"\u0061":1,"b\n":2}"#,
            // Half of a surrogate pair is no valid key: the object around it stays as it is, and the ones around that
            // don't.
            r#"[{ "\ud800" : [ 1 ] },{ "b" : { "\ud800":1, "a": { "y":1 ,"x":2} }, "a":"\ud800" }]"#,
            r#"{ "\ud800" : 1 , "a" : { "b" : 2 } }"#,
            r#"["a"] x"#,
            r#"["\x"]"#,
            "[01]",
            "[1,]",
            "{\"a\" 1}",
            "\u{a0}[ 1 ]\u{a0}",
            "\"text\"",
            r#"{"$serde_json::private::RawValue": "[ 1 ]", "$serde_json::private::Number": "1"}"#,
            "[ 1e400, -0, 123456789012345678901234567890 ]",
        ] {
            assert_eq!(canonical(text), recursive(text), "{text}");
        }
    }

    /// JSON with blanks, with keys in any order, and with invalid keys.
    fn any(random: &mut fastrand::Rng, depth: u32) -> String {
        let pick = |random: &mut fastrand::Rng, of: &[&str]| of[random.usize(..of.len())].to_owned();
        let kind = random.u32(if depth == 0 { 2..3 } else { 0..3 });
        if kind == 2 {
            return pick(random, &["1", "-2.5e3", "null", "true", r#""a""#, r#""[\"}""#, r#""\ud800""#, r#""\\""#]);
        }
        let parts = (0..random.u32(..4)).map(|_| {
            let blank = pick(random, &["", " ", "\n\t"]);
            let name = pick(random, &[r#""a""#, r#""b""#, r#""\u0061""#, r#""c\n""#, r#""\"{""#, r#""\udc00""#]);
            let value = any(random, depth - 1);
            if kind == 0 { format!("{blank}{value}{blank}") } else { format!("{name}{blank}:{value}{blank}") }
        });
        let parts = parts.collect::<Vec<_>>().join(",");
        if kind == 0 { format!("[{parts}]") } else { format!("{{{parts}}}") }
    }

    #[test]
    fn the_form_is_the_same_for_random_texts() {
        let mut random = fastrand::Rng::with_seed(13);
        let mut changed = 0;
        for _ in 0..20_000 {
            let mut text = any(&mut random, 4);
            // Break the JSON in one of four cases.
            if random.u32(..4) == 0 {
                text.insert(random.usize(..=text.len()), if random.bool() { '"' } else { ']' });
            }
            let form = canonical(&text);
            changed += usize::from(form != text);
            assert_eq!(form, recursive(&text), "{text}");
        }
        assert!(changed > 5_000, "{changed}");
    }

    #[test]
    fn deep_nesting_takes_no_stack_and_linear_time() {
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(500_000), close.repeat(500_000));
        for text in [deep("[", "]"), format!("{}1{}", "{\"a\":".repeat(300_000), "}".repeat(300_000))] {
            let began = std::time::Instant::now();
            assert_eq!(canonical(&text), text);
            assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
        }
        let open = "[".repeat(1_000_000);
        assert_eq!(canonical(&open), open);
    }
}
