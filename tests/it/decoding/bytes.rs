//! Arbitrary bytes, and the fuzz corpus.

use std::fs;
use std::path::PathBuf;

use actionlog::Json;
use proptest::prelude::*;

use crate::decoding::generators::{any_bytes, json};
use crate::decoding::{cases, targets};

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_bytes_give_a_page_or_an_error(bytes in any_bytes()) {
        targets::arklow(&bytes);
        targets::integration(&bytes);
        targets::unleash(&bytes);
    }

    #[test]
    fn any_bytes_give_an_error_of_their_status(status in any::<u8>(), bytes in any_bytes()) {
        targets::error_bodies(&[&[status], &*bytes].concat());
    }

    #[test]
    fn any_bytes_give_free_form_json_or_an_error(bytes in any_bytes()) {
        targets::json(&bytes);
    }

    #[test]
    fn any_json_is_kept_unchanged(text in json()) {
        targets::json(text.as_bytes());
        let json: Json = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&json).unwrap(), text);
    }
}

#[test]
fn the_fuzz_corpus_is_decoded_without_a_panic() {
    for (name, target) in targets::TARGETS {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
        assert!(files.len() >= 10, "{} has {} files", folder.display(), files.len());
        for file in files {
            target(&fs::read(file).unwrap());
        }
    }
}
