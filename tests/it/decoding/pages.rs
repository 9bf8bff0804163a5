//! The JSON around the records of a page.

use actionlog::arklow::ActionRecord;

use crate::decoding::{arklow, arklow_page, integration, only, read, targets, unleash};

#[test]
fn an_absent_list_is_an_error_and_no_empty_page() {
    for body in [
        "{}",
        r#"{"data":null,"errors":null}"#,
        r#"{"data":{"count":0}}"#,
        r#"{"data":[[]],"errors":null}"#,
        "[]",
        "[[]]",
    ] {
        assert!(read(arklow(), body).is_err(), "{body}");
    }
    for body in ["{}", r#"{"success":true,"data":null,"total":0}"#, r#"{"success":true,"total":0}"#, "[true,[]]"] {
        assert!(read(integration(), body).is_err(), "{body}");
    }
    for body in ["{}", r#"{"actionSetEvents":null}"#, "[[]]", r#"{"actionSetEvents":{}}"#] {
        assert!(read(unleash(), body).is_err(), "{body}");
    }
}

#[test]
fn a_page_is_not_lost_for_its_total() {
    for total in ["-1", "1e400", "\"12\"", "{}", "null", "5.5"] {
        let page = read(integration(), format!(r#"{{"success":true,"data":[],"total":{total}}}"#)).unwrap();
        assert_eq!(page.total(), None, "{total}");
    }
    assert_eq!(read(integration(), r#"{"success":true,"data":[],"total":12.0}"#).unwrap().total(), Some(12));
}

#[test]
fn deeply_nested_brackets_are_an_error() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    targets::error_bodies(format!("\u{6}{deep}").as_bytes());
    targets::error_bodies(format!("\u{6}{{\"errors\":{deep},\"message\":{deep},\"details\":{deep}}}").as_bytes());
    for body in [deep.clone(), format!(r#"{{"data":{deep}}}"#), format!(r#"{{"actionSetEvents":{deep},"x":{deep}}}"#)] {
        targets::arklow(body.as_bytes());
        targets::integration(body.as_bytes());
        targets::unleash(body.as_bytes());
    }
    // A free-form value may have any depth.
    let record: ActionRecord = only(arklow(), &arklow_page(&[format!(r#"{{"id":"1","input":{deep},"x":{deep}}}"#)]));
    let input = record.input.clone().unwrap();
    assert_eq!(input.as_str(), deep);
    assert!(input.to_value().is_err());
    assert!(serde_json::to_string(&record).unwrap().contains(&deep));
    let page = read(arklow(), format!(r#"{{"data":{{"items":[]}},"errors":{deep}}}"#)).unwrap();
    assert!(page.errors().len() <= 1);
}
