//! Source code as the tests of the layout read it: without comments, literals and tests, and the paths in it.

/// Replaces comments, strings and characters by blanks. Every line stays where it is.
pub(super) fn code(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let length = literal(rest, out.chars().next_back());
        let (skipped, behind) = rest.split_at(length.max(first.len_utf8()));
        let blank = |it: char| if length > 0 && it != '\n' { ' ' } else { it };
        out.extend(skipped.chars().map(blank));
        rest = behind;
    }
    out
}

fn is_of_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// The length of the comment, the string or the character that some code begins with, or 0.
fn literal(code: &str, before: Option<char>) -> usize {
    let until = |from: usize, end: &str| code[from..].find(end).map_or(code.len(), |at| from + at + end.len());
    if code.starts_with("//") {
        return code.find('\n').unwrap_or(code.len());
    }
    let raw = code.strip_prefix('b').unwrap_or(code).strip_prefix('r').filter(|_| !before.is_some_and(is_of_word));
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return until(code.len() - raw.len() + hashes + 1, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    match code.strip_prefix(['"', '\'']) {
        Some(held) if code.starts_with('"') => {
            let mut is_escaped = false;
            let end = held.find(|it| {
                let is_end = it == '"' && !is_escaped;
                is_escaped = it == '\\' && !is_escaped;
                is_end
            });
            end.map_or(code.len(), |at| at + 2)
        }
        Some(held) if held.starts_with('\\') => until(3, "'"),
        // Otherwise it is a lifetime.
        Some(held) => held
            .chars()
            .next()
            .map_or(0, |it| if held[it.len_utf8()..].starts_with('\'') { 2 + it.len_utf8() } else { 0 }),
        None => 0,
    }
}

/// Removes each item that only tests have.
pub(super) fn without_tests(code: &str) -> String {
    let (mut out, mut rest) = (String::new(), code);
    while let Some(at) = rest.match_indices("#[cfg(").map(|it| it.0).find(|at| {
        let condition = &rest[at + "#[cfg(".len()..];
        condition.starts_with("test)") || condition.starts_with("all(test,")
    }) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // A field, too, may be one that only tests have.
        rest = &rest[item(rest, &[';', ','])..];
    }
    out + rest
}

/// The length of an item with its attributes: up to the end of its block, or the first of these ends outside of
/// brackets.
fn item(code: &str, ends: &[char]) -> usize {
    let (mut depth, mut angles, mut before) = (0, 0, ' ');
    for (at, it) in code.char_indices() {
        match it {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            // Within a block these compare.
            '<' if depth == 0 => angles += 1,
            '>' if depth == 0 && !matches!(before, '-' | '=') => angles -= 1,
            _ => {}
        }
        if depth < 0 || depth == 0 && (it == '}' || angles == 0 && ends.contains(&it)) {
            return at + usize::from(depth == 0);
        }
        before = it;
    }
    code.len()
}

/// A path, and the name under which a `use` brings it in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) name: String,
}

/// The paths of a tree such as `a::{b, c::{d, e as f}}`, or the single path that some code begins with.
pub(super) fn imports(tree: &str) -> Vec<Import> {
    let mut found = Vec::new();
    tree_at(tree, &[], &mut found);
    found
}

/// Reads one tree below a prefix, and returns what follows it.
fn tree_at<'a>(tree: &'a str, prefix: &[String], found: &mut Vec<Import>) -> &'a str {
    let mut path = prefix.to_vec();
    let mut rest = tree.trim_start();
    while rest.starts_with(is_of_word) {
        let (word, behind) = rest.split_at(rest.find(|it| !is_of_word(it)).unwrap_or(rest.len()));
        if word != "self" {
            path.push(word.to_owned());
        }
        rest = behind;
        match rest.strip_prefix("::") {
            Some(behind) => rest = behind.trim_start(),
            None => break,
        }
    }
    if let Some(mut rest) = rest.strip_prefix('{') {
        while !rest.trim_start().starts_with('}') && !rest.trim().is_empty() {
            rest = tree_at(rest, &path, found).trim_start().trim_start_matches(',');
        }
        return rest.trim_start().strip_prefix('}').unwrap_or_default();
    }
    rest = rest.strip_prefix('*').unwrap_or(rest);
    let mut name = path.last().cloned().unwrap_or_default();
    if let Some(alias) = rest.strip_prefix(" as ") {
        let end = alias.find(|it| !is_of_word(it)).unwrap_or(alias.len());
        (name, rest) = (alias[..end].to_owned(), &alias[end..]);
    }
    found.push(Import { path, name });
    rest
}

/// A function that has a body.
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    /// What stands before `fn`: attributes and visibility.
    pub(super) attributes: &'a str,
    /// From `fn` to the closing brace.
    pub(super) text: &'a str,
}

pub(super) fn functions(code: &str) -> Vec<Function<'_>> {
    let starts = code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(is_of_word));
    starts
        .filter_map(|(at, _)| {
            let text = &code[at..];
            let text = &text[..item(text, &[';'])];
            let name = text[3..].split(|it| !is_of_word(it)).next()?;
            let attributes = code[..at].rsplit(['{', '}', ';']).next()?;
            text.ends_with('}').then_some(Function { name, attributes, text })
        })
        .collect()
}

#[test]
fn code_is_read_without_comments_literals_and_tests() {
    let text = r####"
fn long<'a>(it: &'a str) -> char {
    // } "
    let all = ["}\"", r#"}""#, br"}", b"\\"];
    if it < "}" { '}' } else { '\'' }
}
#[cfg(all(test, feature = "testing"))]
use crate::only::{In, Tests};
#[cfg(not(test))]
use crate::a::{self, B, c::{D, e as f}};
#[cfg(test)]
mod tests { fn first() { crate::in_tests(); } }
type Pointer = fn(u8) -> u8;
fn behind<A, B>() -> u8 where A: Fn(B) -> u8, B: Copy {
    crate::g::h::<u8>()
}
trait T { fn declared(&self) -> [u8; 3]; }
"####;
    let code = without_tests(&code(text));
    let found: Vec<_> = functions(&code).iter().map(|it| (it.name, it.text.lines().count())).collect();
    assert_eq!(found, [("long", 5), ("behind", 3)], "{code}");
    let paths: Vec<_> = code.match_indices("crate::").flat_map(|(at, _)| imports(&code[at..])).collect();
    let paths: Vec<_> = paths.iter().map(|it| (it.path.join("::"), it.name.as_str())).collect();
    let found: Vec<_> = paths.iter().map(|it| (it.0.as_str(), it.1)).collect();
    assert_eq!(
        found,
        [
            ("crate::a", "a"),
            ("crate::a::B", "B"),
            ("crate::a::c::D", "D"),
            ("crate::a::c::e", "f"),
            ("crate::g::h", "h")
        ]
    );
}
