//! The encodings in which servers echo what they received.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD as BASE64, BASE64_URL_SAFE_NO_PAD as BASE64_URL};

/// A way to encode a string.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    write: fn(&str) -> String,
}

impl Form {
    pub(crate) fn write(&self, text: &str) -> String {
        (self.write)(text)
    }
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|it| if it.is_ascii_alphanumeric() { char::from(it).into() } else { format!("%{it:02X}") })
        .collect()
}

fn all_percent(text: &str) -> String {
    text.bytes().map(|it| format!("%{it:02x}")).collect()
}

fn html(text: &str) -> String {
    text.chars().map(|it| if it.is_alphanumeric() { it.into() } else { format!("&#{};", u32::from(it)) }).collect()
}

fn escaped(text: &str) -> String {
    let unit = |it: char| it.encode_utf16(&mut [0; 2]).iter().map(|it| format!("\\u{it:04x}")).collect::<String>();
    text.chars().map(|it| if it.is_ascii_alphanumeric() { it.into() } else { unit(it) }).collect()
}

fn quoted(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// All encodings. None of them yields a quotation mark, a backslash or a line break where JSON can't have one.
pub(crate) fn forms() -> Vec<Form> {
    let form = |name, write| Form { name, write };
    vec![
        form("as it is", str::to_owned),
        form("in capitals", str::to_uppercase),
        form("percent-encoded", percent),
        form("percent-encoded in full", all_percent),
        form("doubly percent-encoded", |it| percent(&percent(it))),
        form("percent-encoded four times", |it| percent(&percent(&percent(&all_percent(it))))),
        form("with HTML's references", html),
        form("with HTML's references, in hexadecimal digits", |it| {
            it.chars().map(|it| format!("&#x{:X};", u32::from(it))).collect()
        }),
        form("with HTML's references, doubly", |it| html(it).replace('&', "&amp;")),
        form("with JSON's escapes", escaped),
        form("as JSON within JSON", |it| quoted(&quoted(it))),
        form("in base64", |it| BASE64.encode(it)),
        form("in base64, behind one byte", |it| BASE64.encode(format!("~{it}"))),
        form("in base64, behind two bytes", |it| BASE64.encode(format!("u:{it}~"))),
        form("in base64 of the other alphabet", |it| BASE64_URL.encode(it)),
        form("in base64, percent-encoded", |it| percent(&BASE64.encode(it))),
        form("in hexadecimal digits", |it| it.bytes().map(|it| format!("{it:02x}")).collect()),
        form("as a dump", |it| it.bytes().map(|it| format!("{it:02X}")).collect::<Vec<_>>().join(" ")),
        form("letter by letter", |it| it.chars().map(String::from).collect::<Vec<_>>().join(" ")),
        form("with dashes", |it| {
            let chars: Vec<_> = it.chars().collect();
            chars.chunks(3).map(|it| it.iter().collect::<String>()).collect::<Vec<_>>().join("-")
        }),
    ]
}
