//! Single values: integers, ids, times, enums, free-form JSON.

use std::fmt;

use actionlog::Json;
use actionlog::integration::ActionLog;
use actionlog::unleash::{ActionSetEvent, ActionSetEventState};
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Serialize};

use crate::decoding::{
    PLANTED, TIME, arklow, arklow_page, at, entries, good, integration, integration_page, only, unleash, unleash_page,
};

#[test]
fn unknown_values_of_enums_and_unknown_fields_never_fail() {
    let event = good(2, 1).replace(r#""state":"started""#, r#""state":"throttled","new":{"deep":[1e999]}"#);
    let event = only(unleash(), &unleash_page(&[event]));
    assert_eq!(event.state, ActionSetEventState::Unknown("throttled".into()));
    assert!(serde_json::to_string(&event).unwrap().contains(r#""state":"throttled""#));
}

#[test]
fn integers_with_a_decimal_point_are_read_as_long_as_a_float_is_exact() {
    let timeout =
        |text: &str| entries(arklow(), &arklow_page(&[format!(r#"{{"id":"1","timeout":{text}}}"#)])).remove(0);
    for (text, value) in [
        ("5", Some(5)),
        ("5.0", Some(5)),
        ("5e0", Some(5)),
        ("-0.0", Some(0)),
        ("null", None),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9007199254740993", Some(9_007_199_254_740_993)),
        ("999999999999999.0", Some(999_999_999_999_999)),
    ] {
        let Ok(record) = timeout(text) else { panic!("{text}") };
        assert_eq!(record.timeout, value, "{text}");
    }
    // serde_json would read the first two as another integer.
    for text in
        ["9007199254740991.0", "9007199254740993.0", "9223372036854775808", "5.5", "1e300", "1e400", "\"5\"", "true"]
    {
        let Ok(record) = timeout(text) else { panic!("{text}") };
        assert_eq!((record.timeout, record.omitted()[0].raw().as_str()), (None, text));
    }
}

#[test]
fn ids_that_a_float_cannot_represent_are_read_exactly() {
    let event = only(unleash(), &unleash_page(&[good(2, 9_007_199_254_740_993)]));
    assert_eq!(*event.id.get(), 9_007_199_254_740_993);
}

#[test]
fn times_with_fractions_and_offsets_are_read_and_unwritable_ones_are_rejected() {
    let created = |text: &str| {
        let page = unleash_page(&[good(2, 1).replacen(TIME, &format!("\"{text}\""), 1)]);
        match entries(unleash(), &page).remove(0) {
            Ok(event) => Some(at(&serde_json::to_string(&event).unwrap(), &["createdAt"]).unwrap().to_string()),
            Err(_) => None,
        }
    };
    for (text, written) in [
        ("2023-01-15T10:30:00Z", "2023-01-15T10:30:00Z"),
        ("2023-01-15T10:30:00.5-07:00", "2023-01-15T17:30:00.500Z"),
        ("2023-01-15T10:30:00.123456789+05:30", "2023-01-15T05:00:00.123456789Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
    ] {
        assert_eq!(created(text), Some(format!("\"{written}\"")), "{text}");
    }
    for text in [
        "2023-1-5T10:30:00Z",
        "2023-01-15",
        "2023-01-15T10:30:00",
        "0000-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-00:01",
    ] {
        assert_eq!(created(text), None, "{text}");
    }
}

#[test]
fn names_that_serde_json_keeps_for_itself_do_not_change_the_shape_of_a_record() {
    for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let odd = format!(r#"{{"{name}":"[1]"}}"#);
        let log = good(1, 1).replacen('{', &format!(r#"{{"payload":{odd},"{name}":"7","#), 1);
        let read: ActionLog = only(integration(), &integration_page(std::slice::from_ref(&log)));
        assert_eq!(read.payload.unwrap().as_str(), odd);
        assert_eq!(
            only(&integration().clone().with_raw(), &integration_page(std::slice::from_ref(&log))).raw().as_str(),
            log
        );
        // An object with this name only isn't a record.
        let entries = entries(integration(), &integration_page(&[odd]));
        assert!(entries[0].is_err());
    }
}

/// A format other than serde_json's: it writes a string unchanged.
struct Other<'a>(&'a Json);

impl fmt::Display for Other<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

#[test]
fn other_formats_store_a_string_that_contains_json() {
    let json = Json::from_text(r#"{"a": 1.10, "a": "\ud800"}"#).unwrap();
    let written = Other(&json).to_string();
    assert_eq!(written, json.as_str());
    let from: StrDeserializer<'_, ValueError> = written.as_str().into_deserializer();
    assert_eq!(Json::deserialize(from).unwrap(), json);
    let from: StrDeserializer<'_, ValueError> = PLANTED.into_deserializer();
    let error = Json::deserialize(from).unwrap_err().to_string();
    assert!(!error.contains(PLANTED), "{error}");
}

#[test]
fn free_form_json_is_the_same_through_a_value_and_equal_by_its_text() {
    let json = Json::from_text(r#"{"b": 1, "a": [true, null]}"#).unwrap();
    assert_eq!(json.to_value().unwrap(), serde_json::json!({"a": [true, null], "b": 1}));
    assert_eq!(serde_json::to_value(&json).unwrap(), json.to_value().unwrap());
    assert_ne!(json, Json::from(json.to_value().unwrap()));
    assert_eq!(
        serde_json::from_value::<Json>(json.to_value().unwrap()).unwrap().to_value().unwrap(),
        json.to_value().unwrap()
    );
    assert!(json.parse::<Vec<String>>().unwrap_err().is_data());
    assert!(Json::from_text(r#""\ud800""#).unwrap().to_value().is_err());
}

#[test]
fn records_are_read_from_values_too() {
    let text = good(2, 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        serde_json::from_value::<ActionSetEvent>(value).unwrap(),
        serde_json::from_str::<ActionSetEvent>(&text).unwrap()
    );
}
