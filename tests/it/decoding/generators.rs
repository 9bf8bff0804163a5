//! Random JSON, and random records of each API.

use proptest::prelude::*;
use proptest::sample::select;

use crate::decoding::{PLANTED, arklow_page, integration_page, unleash_page};

pub(super) fn number() -> BoxedStrategy<String> {
    prop_oneof![
        any::<i64>().prop_map(|it| it.to_string()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        select(&["-0", "1e400", "5.0", "1.10", "9007199254740993", "90071992547409931234", "0.1e-7"][..])
            .prop_map(str::to_owned),
    ]
    .boxed()
}

pub(super) fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()),
        1 => select(&[r#""\ud800""#, r#""\u0024\/\b""#, r#""null""#, r#""""#][..]).prop_map(str::to_owned),
    ]
    .boxed()
}

pub(super) fn name() -> BoxedStrategy<String> {
    const ODD: [&str; 5] = ["$serde_json::private::RawValue", "$serde_json::private::Number", "a", "a", "constructor"];
    prop_oneof![select(&ODD[..]).prop_map(|it| format!("{it:?}")), "\"[a-z]{0,6}\"", text()].boxed()
}

/// Any JSON, with blanks, duplicate names, and numbers and strings that no type holds.
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

/// A string of whole characters.
pub(super) fn plain() -> BoxedStrategy<String> {
    any::<String>().prop_map(|it| serde_json::to_string(&it).unwrap()).boxed()
}

pub(super) fn integer() -> BoxedStrategy<String> {
    prop_oneof![any::<i64>().prop_map(|it| it.to_string()), any::<i32>().prop_map(|it| format!("{it}.0"))].boxed()
}

pub(super) fn time() -> BoxedStrategy<String> {
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

pub(super) fn list(of: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop::collection::vec(of, 0..3).prop_map(|items| format!("[{}]", items.join(", "))).boxed()
}

pub(super) fn flag() -> BoxedStrategy<String> {
    any::<bool>().prop_map(|it| it.to_string()).boxed()
}

/// An object with required fields, optional fields that may be null, and unknown fields, in any order.
pub(super) fn object(
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

pub(super) fn arklow_record() -> BoxedStrategy<String> {
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

/// Any number that an `f64` holds, in as many digits as it takes, or in more.
fn float() -> impl Strategy<Value = String> {
    let any_digits = (any::<u64>(), 0..20usize).prop_map(|(digits, point)| {
        let digits = format!("{digits:020}");
        let (whole, fraction) = digits.split_at(point);
        let whole = whole.trim_start_matches('0');
        format!("{}.{fraction}", if whole.is_empty() { "0" } else { whole })
    });
    prop_oneof![
        any::<u32>().prop_map(|it| (f64::from(it) / 1024.0).to_string()),
        any::<u64>().prop_map(|it| it.to_string()),
        any::<f64>().prop_filter("JSON has neither", |it| it.is_finite()).prop_map(|it| format!("{it:e}")),
        any_digits,
    ]
}

pub(super) fn integration_record() -> BoxedStrategy<String> {
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
            ("executionTime", float().boxed()),
            ("metadata", json()),
            ("createdAt", time()),
            ("updatedAt", time()),
        ],
    )
}

pub(super) fn unleash_record() -> BoxedStrategy<String> {
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

/// Arbitrary bytes, arbitrary JSON, and pages with a part of them changed.
pub(super) fn any_bytes() -> BoxedStrategy<Vec<u8>> {
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

pub(super) fn planted() -> BoxedStrategy<String> {
    const AROUND: [&str; 8] = ["", "\"", "`", "\\", ", expected ", " at line 1", "missing field `", "x`, expected `"];
    (select(&AROUND[..]), select(&AROUND[..]))
        .prop_map(|(before, after)| serde_json::to_string(&format!("{before}{PLANTED}{after}{PLANTED}")).unwrap())
        .boxed()
}
