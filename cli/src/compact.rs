//! JSON on one line.

/// Removes the whitespace between the tokens of valid JSON, so that it fits on one line. Numbers, strings and the order
/// of keys stay as they were sent.
#[must_use]
pub fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut start, mut in_string, mut escaped) = (0, false, false);
    for (index, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => {
                out.push_str(json.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    out.push_str(json.get(start..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_space_between_tokens_goes() {
        for (json, expected) in [
            ("{}", "{}"),
            (" { \"a\" :\t[1 , 2.50,\r\n \"x \\\" y\\\\\" ] } ", r#"{"a":[1,2.50,"x \" y\\"]}"#),
            ("\"a  b\"", "\"a  b\""),
            ("{\"ü \": \"\\u0000\\n\"}", "{\"ü \":\"\\u0000\\n\"}"),
            ("90071992547409931234 ", "90071992547409931234"),
        ] {
            assert_eq!(compact(json), expected);
        }
    }
}
