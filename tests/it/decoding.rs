//! Decoding: nothing is lost, nothing panics, and messages show no values.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use actionlog::arklow::{ActionRecord, RecordListing, RecordsQuery};
use actionlog::auth::none;
use actionlog::integration::{ActionLog, LogListing, LogsQuery};
use actionlog::page::{InvalidRecord, ListPage, Listing, Paginate};
use actionlog::unleash::{ActionSetEvent, ActionSetEventState, EventsQuery};
use actionlog::{ArklowClient, DecodeError, HttpResponse, IntegrationClient, Json, UnleashClient};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Serialize};

use crate::support::all_shown;

#[allow(dead_code)]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

const URL: &str = "http://localhost";
const TIME: &str = r#""2023-11-07T05:31:56Z""#;

/// Stands where nothing of it may get into a message.
const PLANTED: &str = "4929-1234-5678";

fn arklow() -> &'static Listing<RecordListing> {
    static LISTING: LazyLock<Listing<RecordListing>> = LazyLock::new(|| {
        let client = ArklowClient::builder("1").base_url(URL).authenticator(none()).build().unwrap();
        client.records().list(RecordsQuery::new())
    });
    &LISTING
}

fn integration() -> &'static Listing<LogListing> {
    static LISTING: LazyLock<Listing<LogListing>> = LazyLock::new(|| {
        IntegrationClient::builder(URL).authenticator(none()).build().unwrap().logs().list(LogsQuery::new())
    });
    &LISTING
}

fn unleash() -> &'static Listing<EventsQuery> {
    static LISTING: LazyLock<Listing<EventsQuery>> = LazyLock::new(|| {
        let client = UnleashClient::builder(URL).authenticator(none()).build().unwrap();
        client.action_set_events().list(("default", 1))
    });
    &LISTING
}

fn read<Q: Paginate>(
    listing: &Listing<Q>,
    body: impl Into<Vec<u8>>,
) -> Result<ListPage<Result<Q::Item, InvalidRecord>>, DecodeError> {
    let request = listing.query().request();
    request.page_of::<Q>().decode(&HttpResponse::new(body.into().into()))
}

fn entries<Q: Paginate>(listing: &Listing<Q>, body: &str) -> Vec<Result<Q::Item, InvalidRecord>> {
    read(listing, body).unwrap().into_records()
}

fn only<Q: Paginate>(listing: &Listing<Q>, body: &str) -> Q::Item {
    let mut entries = entries(listing, body);
    assert_eq!(entries.len(), 1);
    match entries.remove(0) {
        Ok(record) => record,
        Err(record) => panic!("{record:?} in {body}"),
    }
}

fn arklow_page(records: &[String]) -> String {
    format!(r#"{{"data":{{"items":[{}],"count":{}}},"errors":null}}"#, records.join(","), records.len())
}

fn integration_page(records: &[String]) -> String {
    format!(r#"{{"success":true,"data":[{}],"total":{}}}"#, records.join(","), records.len())
}

fn unleash_page(records: &[String]) -> String {
    format!(r#"{{"actionSetEvents":[{}]}}"#, records.join(","))
}

/// What stands there, as it was written.
fn at(json: &str, path: &[&str]) -> Option<Json> {
    let mut here = Json::from_text(json).unwrap();
    for name in path {
        // The last of several of the same name: none of the names asked for is there twice.
        let fields: std::collections::HashMap<String, Json> = here.parse().ok()?;
        here = fields.get(*name)?.clone();
    }
    (!here.is_null()).then_some(here)
}

// What servers may send.

fn number() -> BoxedStrategy<String> {
    prop_oneof![
        any::<i64>().prop_map(|it| it.to_string()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        select(&["-0", "1e400", "5.0", "1.10", "9007199254740993", "90071992547409931234", "0.1e-7"][..])
            .prop_map(str::to_owned),
    ]
    .boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()),
        1 => select(&[r#""\ud800""#, r#""\u0024\/\b""#, r#""null""#, r#""""#][..]).prop_map(str::to_owned),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    const ODD: [&str; 5] = ["$serde_json::private::RawValue", "$serde_json::private::Number", "a", "a", "constructor"];
    prop_oneof![select(&ODD[..]).prop_map(|it| format!("{it:?}")), "\"[a-z]{0,6}\"", text()].boxed()
}

/// Any JSON, with blanks, names that come twice, and numbers and texts that no type holds.
pub(crate) fn json() -> BoxedStrategy<String> {
    let leaf = prop_oneof![number(), text(), select(&["null", "true", "false"][..]).prop_map(str::to_owned)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let blank = select(&["", " ", "\n\t"][..]);
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), blank.clone())
                .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", items.join(&format!("{blank},")))),
            (prop::collection::vec((name(), inner), 0..4), blank).prop_map(|(fields, blank)| {
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| format!("{name}{blank}:{blank}{value}")).collect();
                format!("{{{blank}{}{blank}}}", fields.join(","))
            }),
        ]
    })
    .boxed()
}

/// A text that isn't half of something.
fn plain() -> BoxedStrategy<String> {
    any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()).boxed()
}

fn integer() -> BoxedStrategy<String> {
    prop_oneof![any::<i64>().prop_map(|it| it.to_string()), any::<i32>().prop_map(|it| format!("{it}.0"))].boxed()
}

fn time() -> BoxedStrategy<String> {
    (
        1..=9998_u16,
        1..=12_u8,
        1..=28_u8,
        0..=23_u8,
        0..=60_u8,
        "(\\.[0-9]{1,9})?",
        "Z|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]",
    )
        .prop_map(|(year, month, day, hour, second, fraction, offset)| {
            format!("\"{year:04}-{month:02}-{day:02}T{hour:02}:59:{second:02}{fraction}{offset}\"")
        })
        .boxed()
}

fn list(of: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop::collection::vec(of, 0..3).prop_map(|items| format!("[{}]", items.join(", "))).boxed()
}

fn flag() -> BoxedStrategy<String> {
    any::<bool>().prop_map(|it| it.to_string()).boxed()
}

/// An object of fields that must be there, fields that may be there or null, and fields that nobody knows, in any
/// order.
fn object(
    required: &[(&str, BoxedStrategy<String>)],
    optional: &[(&str, BoxedStrategy<String>)],
) -> BoxedStrategy<String> {
    let field = |name: &str, value: &BoxedStrategy<String>| {
        let name = name.to_owned();
        value.clone().prop_map(move |value| format!("\"{name}\": {value}"))
    };
    let mut fields: Vec<BoxedStrategy<Option<String>>> =
        required.iter().map(|(name, value)| field(name, value).prop_map(Some).boxed()).collect();
    for (name, value) in optional {
        let null = Just(Some(format!("\"{name}\": null")));
        fields.push(prop_oneof![1 => Just(None), 1 => null, 6 => field(name, value).prop_map(Some)].boxed());
    }
    let unknown = ("x_[a-z]{0,3}", json()).prop_map(|(name, value)| Some(format!("\"{name}\": {value}")));
    (fields, prop::collection::vec(unknown, 0..3))
        .prop_map(|(mut fields, unknown)| {
            fields.extend(unknown);
            fields.into_iter().flatten().collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(|fields| format!("{{{}}}", fields.join(", ")))
        .boxed()
}

fn arklow_record() -> BoxedStrategy<String> {
    let status = || prop_oneof![plain(), Just(r#""ack_wait""#.to_owned())].boxed();
    let state = object(
        &[],
        &[
            ("status", status()),
            ("attempt", integer()),
            ("updated_at", time()),
            ("timeout_at", time()),
            ("error_message", plain()),
        ],
    );
    let destination = object(
        &[],
        &[("id", plain()), ("type", plain()), ("config", json()), ("deleted_at", time()), ("tags", json())],
    );
    let link = object(&[], &[("id", plain()), ("is_default", flag()), ("destination", destination)]);
    let definition = object(
        &[],
        &[
            ("id", plain()),
            ("version", integer()),
            ("alias", list(plain())),
            ("schema", json()),
            ("destinations", list(link)),
        ],
    );
    let event = object(&[], &[("id", plain()), ("status", status()), ("attempt", integer()), ("data", json())]);
    object(
        &[("id", plain())],
        &[
            ("org_id", plain()),
            ("input", json()),
            ("timeout", integer()),
            ("tags", json()),
            ("state", state),
            ("definition", definition),
            ("events", list(event)),
        ],
    )
}

fn integration_record() -> BoxedStrategy<String> {
    object(
        &[
            ("_id", plain()),
            ("integrationId", plain()),
            ("actionType", plain()),
            ("entityType", plain()),
            ("status", plain()),
        ],
        &[
            ("entityId", plain()),
            ("payload", json()),
            ("response", json()),
            ("errorMessage", plain()),
            ("retryCount", any::<u32>().prop_map(|it| it.to_string()).boxed()),
            ("executionTime", any::<u32>().prop_map(|it| (f64::from(it) / 1024.0).to_string()).boxed()),
            ("metadata", json()),
            ("createdAt", time()),
            ("updatedAt", time()),
        ],
    )
}

fn unleash_record() -> BoxedStrategy<String> {
    let signal = object(
        &[("id", integer()), ("createdAt", time()), ("source", plain()), ("sourceId", integer())],
        &[("payload", json()), ("createdBySourceTokenId", integer())],
    );
    let action = object(
        &[
            ("id", integer()),
            ("createdAt", time()),
            ("createdByUserId", integer()),
            ("action", plain()),
            ("sortOrder", integer()),
            ("state", plain()),
        ],
        &[("executionParams", json()), ("details", plain())],
    );
    let set = object(
        &[
            ("id", integer()),
            ("project", plain()),
            ("createdAt", time()),
            ("createdByUserId", integer()),
            ("name", plain()),
            ("actorId", integer()),
            ("actions", list(action)),
            ("match", object(&[("source", plain()), ("sourceId", number()), ("payload", json())], &[])),
        ],
        &[("description", plain()), ("enabled", flag())],
    );
    object(
        &[
            ("id", integer()),
            ("actionSetId", integer()),
            ("signalId", integer()),
            ("createdAt", time()),
            ("state", plain()),
            ("signal", signal),
            ("actionSet", set),
        ],
        &[],
    )
}

pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::Off) as _);
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

/// The record is read, and its free-form parts are written as they were.
fn survives<Q: Paginate<Item: Serialize>>(listing: &Listing<Q>, page: &str, text: &str, free: &[&[&str]]) {
    let written = serde_json::to_string(&only(listing, page)).unwrap();
    for path in free {
        assert_eq!(at(&written, path), at(text, path), "{path:?} in {written}");
    }
    let raw = only(&listing.clone().with_raw(), page);
    assert_eq!(serde_json::to_string(&raw).unwrap(), text);
}

// What holds for all of it. That a record is the same once written and read again is part of the targets.

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

/// Bytes of no shape, JSON of no shape, and pages with something of them changed.
fn any_bytes() -> BoxedStrategy<Vec<u8>> {
    let page = prop_oneof![
        prop::collection::vec(arklow_record(), 0..3).prop_map(|it| arklow_page(&it)),
        prop::collection::vec(integration_record(), 0..3).prop_map(|it| integration_page(&it)),
        prop::collection::vec(unleash_record(), 0..2).prop_map(|it| unleash_page(&it)),
    ];
    let changed =
        (page, any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..4))
            .prop_map(|(page, from, to, instead)| {
                let mut bytes = page.into_bytes();
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let to = to.clamp(from, from + 3).min(bytes.len());
                bytes.splice(from..to, instead);
                bytes
            });
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64),
        2 => json().prop_map(String::into_bytes),
        4 => changed,
    ]
    .boxed()
}

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

/// A record of each API, of which this id is read.
fn good(api: usize, id: usize) -> String {
    match api {
        0 => format!(r#"{{"id":"{id}","state":{{"attempt":1,"updated_at":{TIME}}}}}"#),
        1 => format!(
            r#"{{"_id":"{id}","integrationId":"i","actionType":"sync","entityType":"e","status":"success","createdAt":{TIME}}}"#
        ),
        _ => format!(
            r#"{{"id":{id},"actionSetId":1,"signalId":1,"createdAt":{TIME},"state":"started","signal":{{"id":1,"createdAt":{TIME},"source":"s","sourceId":1}},"actionSet":{{"id":1,"project":"p","createdAt":{TIME},"createdByUserId":1,"name":"n","actorId":1,"actions":[],"match":{{"source":"s","sourceId":1,"payload":{{}}}}}}}}"#
        ),
    }
}

/// The same with something that doesn't fit, and the path of that.
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
    let Err(unreadable) = got.remove(place) else { panic!("{bad} was read") };
    assert_eq!(got, expected);
    assert_eq!((unreadable.index(), unreadable.path(), unreadable.raw().as_str()), (place, path, bad));
    unreadable
}

fn planted() -> BoxedStrategy<String> {
    const AROUND: [&str; 8] = ["", "\"", "`", "\\", ", expected ", " at line 1", "missing field `", "x`, expected `"];
    (select(&AROUND[..]), select(&AROUND[..]))
        .prop_map(|(before, after)| serde_json::to_string(&format!("{before}{PLANTED}{after}{PLANTED}")).unwrap())
        .boxed()
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
        let unreadable = match api {
            0 => one_bad(arklow(), arklow_page, records, place, &bad, path),
            1 => one_bad(integration(), integration_page, records, place, &bad, path),
            _ => one_bad(unleash(), unleash_page, records, place, &bad, path),
        };
        let id_is_there = way != 0 && api != 0;
        prop_assert_eq!(unreadable.id(), id_is_there.then_some("77"));
        let error = actionlog::Error::from(unreadable);
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

// One by one.

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
        // A record of nothing else is no record.
        let entries = entries(integration(), &integration_page(&[odd]));
        assert!(entries[0].is_err());
    }
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
    // Where any JSON may stand, any depth may.
    let record: ActionRecord = only(arklow(), &arklow_page(&[format!(r#"{{"id":"1","input":{deep},"x":{deep}}}"#)]));
    let input = record.input.clone().unwrap();
    assert_eq!(input.as_str(), deep);
    assert!(input.to_value().is_err());
    assert!(serde_json::to_string(&record).unwrap().contains(&deep));
    let page = read(arklow(), format!(r#"{{"data":{{"items":[]}},"errors":{deep}}}"#)).unwrap();
    assert!(page.errors().len() <= 1);
}

/// A format that isn't serde_json's: it writes a text as it is.
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
