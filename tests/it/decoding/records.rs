//! Records of random JSON: nothing is lost, and one invalid record costs no other.

use std::fmt;

use actionlog::page::{InvalidRecord, Listing, Paginate};
use proptest::prelude::*;
use serde::Serialize;

use crate::decoding::generators::{arklow_record, integration_record, planted, unleash_record};
use crate::decoding::{
    PLANTED, TIME, arklow, arklow_page, at, cases, entries, good, integration, integration_page, only, read, targets,
    unleash, unleash_page,
};
use crate::support::all_shown;

/// Checks that the record is decoded, and that its free-form parts are written back unchanged.
fn survives<Q: Paginate<Item: Serialize>>(listing: &Listing<Q>, page: &str, text: &str, free: &[&[&str]]) {
    let written = serde_json::to_string(&only(listing, page)).unwrap();
    for path in free {
        assert_eq!(at(&written, path), at(text, path), "{path:?} in {written}");
    }
    let raw = only(&listing.clone().with_raw(), page);
    assert_eq!(serde_json::to_string(&raw).unwrap(), text);
}

// The fuzz targets also check that a record is the same once it is written and read again.

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn any_arklow_record_survives_decoding_and_encoding(text in arklow_record()) {
        let page = arklow_page(std::slice::from_ref(&text));
        survives(arklow(), &page, &text, &[&["input"], &["tags"], &["definition", "schema"]]);
        targets::arklow(page.as_bytes());
    }

    #[test]
    fn any_integration_log_survives_decoding_and_encoding(text in integration_record()) {
        let page = integration_page(std::slice::from_ref(&text));
        survives(integration(), &page, &text, &[&["payload"], &["response"], &["metadata"]]);
        targets::integration(page.as_bytes());
    }

    #[test]
    fn any_unleash_event_survives_decoding_and_encoding(text in unleash_record()) {
        let page = unleash_page(std::slice::from_ref(&text));
        survives(unleash(), &page, &text, &[&["signal", "payload"], &["actionSet", "match", "sourceId"]]);
        targets::unleash(page.as_bytes());
    }
}

/// The same with a field that doesn't fit, and the path of that field.
fn bad(api: usize, id: usize, way: usize, instead: &str) -> (String, &'static str) {
    let good = good(api, id);
    let [from, to] = match (way, api) {
        (0, _) => return (instead.to_owned(), ""),
        (1, 0) => [format!(r#""{id}""#), format!("{{{instead}:1}}")],
        (1, 1) => [r#""integrationId":"i""#.to_owned(), format!(r#""integrationId":[{instead}]"#)],
        (1, _) => [TIME.to_owned(), instead.to_owned()],
        (2, 0) => [format!(r#""id":"{id}","#), format!(r#""timeout":{instead},"#)],
        (2, 1) => [r#""status":"success""#.to_owned(), format!(r#""status":[{instead}],"retryCount":{instead}"#)],
        (2, _) => [r#""signalId":1"#.to_owned(), format!(r#""signalId":{instead}"#)],
        (_, 0) => [format!(r#""{id}""#), format!("[{instead}]")],
        (_, 1) => [r#""entityType":"e""#.to_owned(), format!(r#""entityType":[{instead}]"#)],
        (_, _) => [r#""project":"p""#.to_owned(), format!(r#""project":[{instead}]"#)],
    };
    let paths =
        [["id", "integrationId", "createdAt"], ["", "status", "signalId"], ["id", "entityType", "actionSet.project"]];
    (good.replacen(&from, &to, 1), paths[way - 1][api])
}

fn one_bad<Q: Paginate<Item: PartialEq + fmt::Debug>>(
    listing: &Listing<Q>,
    page: fn(&[String]) -> String,
    mut records: Vec<String>,
    place: usize,
    bad: &str,
    path: &str,
) -> InvalidRecord {
    let expected = entries(listing, &page(&records));
    records.insert(place, bad.to_owned());
    let mut got = entries(listing, &page(&records));
    let Err(invalid) = got.remove(place) else { panic!("{bad} was read") };
    assert_eq!(got, expected);
    assert_eq!((invalid.index(), invalid.path(), invalid.raw().as_str()), (place, path, bad));
    invalid
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn an_invalid_record_affects_no_other_and_no_message_shows_its_values(
        api in 0..3_usize,
        others in 0..6_usize,
        place in any::<prop::sample::Index>(),
        way in 0..4_usize,
        instead in planted(),
    ) {
        let records: Vec<_> = (0..others).map(|id| good(api, id)).collect();
        let place = place.index(others + 1);
        let (bad, path) = bad(api, 77, way, &instead);
        let invalid = match api {
            0 => one_bad(arklow(), arklow_page, records, place, &bad, path),
            1 => one_bad(integration(), integration_page, records, place, &bad, path),
            _ => one_bad(unleash(), unleash_page, records, place, &bad, path),
        };
        let id_is_there = way != 0 && api != 0;
        prop_assert_eq!(invalid.id(), id_is_there.then_some("77"));
        let error = actionlog::Error::from(invalid);
        let shown = all_shown(&error);
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
    }

    #[test]
    fn no_message_about_a_page_shows_its_values(instead in planted(), api in 0..3_usize, way in 0..3_usize) {
        let body = match (api, way) {
            (_, 0) => instead,
            (0, 1) => format!(r#"{{"data":{instead}}}"#),
            (0, _) => format!(r#"{{"data":{{"items":{{"a":{instead}}}}}}}"#),
            (1, 1) => format!(r#"{{"success":{instead},"data":[]}}"#),
            (1, _) => format!(r#"{{"success":true,"data":{{"a":{instead}}}}}"#),
            (_, 1) => format!(r#"{{"actionSetEvents":{instead}}}"#),
            (_, _) => format!(r#"{{"actionSetEvents":[{instead}}}"#),
        };
        let error = match api {
            0 => read(arklow(), body).unwrap_err(),
            1 => read(integration(), body).unwrap_err(),
            _ => read(unleash(), body).unwrap_err(),
        };
        let shown = format!("{error}\n{error:?}");
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
    }
}
