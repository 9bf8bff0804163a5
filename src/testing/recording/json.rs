//! Rewrites single values of a JSON text, and leaves all else byte for byte.

use serde_json::value::RawValue;

/// What a field's name says about its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Nothing.
    #[default]
    None,
    /// Its strings are secret, but for times.
    Text,
    /// Its strings and numbers are secret.
    Named,
}

/// A part of a JSON text.
pub(super) enum Place<'a> {
    /// The name of a field.
    Name(&'a str),
    /// A string.
    Text { value: &'a str, secrecy: Secrecy },
    /// A number, as it is written.
    Number { value: &'a str, secrecy: Secrecy },
}

/// A string as JSON.
pub(super) fn string(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// An object or a list that isn't closed yet.
struct Open {
    /// What holds for all values in it.
    inherited: Secrecy,
    is_object: bool,
    /// The secrecy of the field whose value comes next. `None` before a field's name.
    field: Option<Secrecy>,
}

/// The objects and lists that aren't closed yet, the innermost last.
#[derive(Default)]
struct Nesting(Vec<Open>);

impl Nesting {
    /// Follows a punctuation mark of JSON.
    fn follow(&mut self, mark: u8) {
        match mark {
            b'{' | b'[' => {
                self.0.push(Open { inherited: self.secrecy(), is_object: mark == b'{', field: None });
            }
            b'}' | b']' => drop(self.0.pop()),
            b',' => {
                if let Some(it) = self.0.last_mut() {
                    it.field = None;
                }
            }
            _ => {}
        }
    }

    /// What holds for the value that comes next.
    fn secrecy(&self) -> Secrecy {
        self.0.last().map_or(Secrecy::None, |it| it.field.unwrap_or(it.inherited))
    }

    /// Takes a string: it names a field, or it is a value.
    fn place<'a>(&mut self, value: &'a str, secrecy: impl Fn(&str) -> Secrecy) -> Place<'a> {
        let holds = self.secrecy();
        match self.0.last_mut().filter(|it| it.is_object && it.field.is_none()) {
            Some(object) => {
                let own = secrecy(value);
                object.field = Some(if own == Secrecy::None { object.inherited } else { own });
                Place::Name(value)
            }
            None => Place::Text { value, secrecy: holds },
        }
    }
}

/// Replaces the parts of a JSON text for which `replace` returns another. `secrecy` judges a field by its name.
///
/// Returns the text, and how many parts were replaced; or `None` if the text isn't JSON.
pub(super) fn rewrite(
    text: &str,
    mut replace: impl FnMut(Place<'_>) -> Option<String>,
    secrecy: impl Fn(&str) -> Secrecy,
) -> Option<(String, usize)> {
    // The scan below relies on it, and a `RawValue` accepts any depth.
    serde_json::from_str::<&RawValue>(text).ok()?;
    let (mut out, mut replaced, mut at) = (String::with_capacity(text.len()), 0, 0);
    let mut nesting = Nesting::default();
    while let Some(first) = text.as_bytes().get(at) {
        let token = &text[at..token_end(text, at)];
        at += token.len();
        let new = match first {
            b'"' => replace(nesting.place(&unescape(token), &secrecy)),
            b'-' | b'0'..=b'9' => replace(Place::Number { value: token, secrecy: nesting.secrecy() }),
            mark => {
                nesting.follow(*mark);
                None
            }
        };
        replaced += usize::from(new.is_some());
        out.push_str(new.as_deref().unwrap_or(token));
    }
    Some((out, replaced))
}

/// The index behind the string, the number or the single character that begins at `start`.
fn token_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    match bytes.get(start) {
        Some(b'"') => string_end(bytes, start),
        Some(b'-' | b'0'..=b'9') => {
            bytes[start..].iter().position(|it| !is_of_number(*it)).map_or(bytes.len(), |it| start + it)
        }
        _ => start + text[start..].chars().next().map_or(1, char::len_utf8),
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// The index behind the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The content of a JSON string. A lone surrogate, which is no character, leaves it as it is written.
fn unescape(token: &str) -> String {
    serde_json::from_str(token).unwrap_or_else(|_| token.trim_matches('"').to_owned())
}

/// Whether any string, name or number of a body makes `is_so` true; or the whole body, if it isn't JSON.
pub(super) fn any(body: &[u8], is_so: &impl Fn(&str) -> bool) -> bool {
    let text = String::from_utf8_lossy(body);
    let mut found = false;
    let mut look = |value: &str| {
        found |= is_so(value);
        None
    };
    let is_json = rewrite(
        &text,
        |place| match place {
            Place::Name(value) | Place::Text { value, .. } | Place::Number { value, .. } => look(value),
        },
        |_| Secrecy::None,
    );
    if is_json.is_none() { is_so(&text) } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Option<(String, usize)> {
        let secrecy = |name: &str| if name == "secret" { Secrecy::Named } else { Secrecy::None };
        rewrite(
            text,
            |place| match place {
                Place::Text { secrecy: Secrecy::Named, .. } => Some("\"x\"".to_owned()),
                Place::Number { secrecy: Secrecy::Named, .. } => Some("0".to_owned()),
                _ => None,
            },
            secrecy,
        )
    }

    #[test]
    fn only_the_values_of_the_field_change() {
        for (text, expected, replaced) in [
            (r#"{"a" : 1.10, "secret":"s" , "b":"secret"}"#, r#"{"a" : 1.10, "secret":"x" , "b":"secret"}"#, 1),
            (r#"{"secret":[1,{"b":"s"},null,true],"b":"s"}"#, r#"{"secret":[0,{"b":"x"},null,true],"b":"s"}"#, 2),
            (r#"["secret","s",{"secret":-1e9}]"#, r#"["secret","s",{"secret":0}]"#, 1),
            (r#"{"sec\u0072et":"a\"b","a":"\ud800"}"#, r#"{"sec\u0072et":"x","a":"\ud800"}"#, 1),
            (r#"{"secret":{},"a":["é","ü"]}"#, r#"{"secret":{},"a":["é","ü"]}"#, 0),
            (r#""s""#, r#""s""#, 0),
        ] {
            assert_eq!(hidden(text), Some((expected.to_owned(), replaced)), "{text}");
        }
        assert_eq!(hidden("not JSON"), None);
        assert_eq!(hidden(r#"{"secret":"#), None);
    }

    #[test]
    fn any_depth_is_fine() {
        let deep = format!("{}\"s\"{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(hidden(&deep), Some((deep.clone(), 0)));
    }
}
