//! Digests of records, by which a follower sees that one has changed.

use std::hash::Hasher;

use crate::cursor::canonical::canonical;

/// Returns 64 bits of a record's raw JSON. The order of the keys and the blanks between them don't count, because a
/// server may write the same record in several ways. The same on all machines, in all runs and versions.
pub(crate) fn digest(json: &str) -> u64 {
    let mut hasher = siphasher::sip::SipHasher24::new();
    hasher.write(canonical(json).as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_and_blanks_do_not_count_and_everything_else_does() {
        let one = digest(r#"{"id":1,"state":{"a":[1,2],"b":null}}"#);
        assert_eq!(one, digest("{ \"state\" : {\"b\": null, \"a\": [1, 2]},\n\"id\": 1 }"));
        for other in [
            r#"{"id":1,"state":{"a":[2,1],"b":null}}"#,
            r#"{"id":1,"state":{"a":[1,2]}}"#,
            r#"{"id":"1","state":{"a":[1,2],"b":null}}"#,
            r#"{"id":1.0,"state":{"a":[1,2],"b":null}}"#,
        ] {
            assert_ne!(one, digest(other), "{other}");
        }
    }
}
