//! What the JSON Schemas of all models have in common.

use schemars::Schema;
use serde_json::Value;

/// Removes the links within these docs from the descriptions of a schema, which are the docs' own sentences.
pub(crate) fn without_doc_links(schema: &mut Schema) {
    for (name, value) in schema.ensure_object().iter_mut() {
        clean(name, value);
    }
}

fn clean(name: &str, value: &mut Value) {
    match value {
        Value::String(text) if name == "description" => *text = plain(text),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| clean(name, value)),
        Value::Array(items) => items.iter_mut().for_each(|it| clean("", it)),
        _ => {}
    }
}

/// `[text](crate::path)` becomes `text`, and so does `[text]`. Links to the web stay.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((label, behind)) = link.split_once(']') else {
            plain.push('[');
            rest = link;
            continue;
        };
        match behind.strip_prefix('(').and_then(|it| it.split_once(')')) {
            Some((target, behind)) if target.starts_with("http") => {
                plain.push_str(&format!("[{label}]({target})"));
                rest = behind;
            }
            Some((_, behind)) => {
                plain.push_str(label);
                rest = behind;
            }
            None => {
                plain.push_str(label);
                rest = behind;
            }
        }
    }
    plain + rest
}
