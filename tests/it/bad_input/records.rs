//! Records that are invalid: each is one error, and the other records of the page are yielded.

use actionlog::ErrorKind;
use serde_json::{Value, json};
use wiremock::MockServer;

use crate::support::{all_shown, client, event, first_page, listing, page_of, promptly, serve, serve_json};

/// Ways to invalidate an event, each with a secret in it where possible.
fn spoilt(id: i64) -> Vec<(&'static str, String)> {
    let with = |path: &str, value: Value| {
        let mut event = event(id);
        *event.pointer_mut(path).unwrap() = value;
        event.to_string()
    };
    vec![
        ("a text for an id", with("/id", json!("hunter2"))),
        (
            "a number too large for an id",
            event(id).to_string().replacen(&format!(r#""id":{id},"#), r#""id":40010400104001040010,"#, 1),
        ),
        ("a fraction for an id", with("/id", json!(40010.5))),
        ("a text for an object", with("/signal", json!("hunter2 `hunter2` \"hunter2\" \\"))),
        ("a list for a text", with("/actionSet/project", json!(["hunter2"]))),
        ("a number for a text", with("/actionSet/project", json!(40010))),
        ("a truth for a list", with("/actionSet/actions", json!(true))),
        ("an object for a state", with("/state", json!({ "hunter2": "hunter2" }))),
        ("no time", with("/createdAt", json!("hunter2"))),
        ("half a letter", with("/actionSet/project", json!("@")).replace('@', r"hunter2\ud800")),
        ("null", "null".to_owned()),
        ("a text", r#""hunter2""#.to_owned()),
        ("a number", "40010".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("an object of secrets", r#"{"hunter2":"hunter2"}"#.to_owned()),
    ]
}

#[tokio::test]
async fn an_invalid_record_is_an_error_at_its_position_and_all_others_are_yielded() {
    const SIZE: u32 = 3;
    const COUNT: usize = 7;
    for (what, bad) in spoilt(500) {
        for place in 0..COUNT {
            let mut records: Vec<_> = (0..COUNT as i64).map(|it| event(900 - it).to_string()).collect();
            records[place].clone_from(&bad);
            let server = serve(listing(records)).await;
            let mut items = client(server.uri()).action_set_events().list(("default", 1)).page_size(SIZE).items();
            let mut got = Vec::new();
            while let Some(item) = promptly(items.next()).await {
                got.push(item);
            }
            assert_eq!(got.len(), COUNT, "{what} at {place}: {got:?}");
            for (index, item) in got.into_iter().enumerate() {
                match item {
                    Ok(event) => {
                        assert_ne!(index, place, "{what} at {place} was read");
                        assert_eq!(*event.id.get(), 900 - index as i64, "{what} at {place}");
                    }
                    Err(error) => {
                        assert_eq!(index, place, "{what}: {error:?}");
                        assert!(error.is_record(), "{what}: {error:?}");
                        assert_eq!(error.kind(), ErrorKind::InvalidRecord);
                        assert_eq!(error.record().unwrap().raw().as_str(), bad, "{what}");
                        let shown = all_shown(&error);
                        assert!(!shown.contains("hunter2") && !shown.contains("40010"), "{what}: {shown}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn an_invalid_record_reports_its_index_and_path() {
    let mut bad = event(2);
    bad["actionSet"]["actions"] = json!([{ "id": 1 }, { "id": "hunter2" }]);
    let server = serve_json(page_of(&[event(3).to_string(), bad.to_string(), event(1).to_string()])).await;
    let page = first_page(&client(server.uri())).await.unwrap();
    let ids: Vec<_> = page.records().map(|it| *it.id.get()).collect();
    assert_eq!(ids, [3, 1]);
    let Err(record) = &page.entries[1] else { panic!("{:?}", page.entries) };
    assert_eq!((record.index(), record.path()), (1, "actionSet.actions[0]"));
    assert_eq!(record.raw().as_str(), bad.to_string());
    let error = page.into_records().unwrap_err();
    assert!(error.is_record());
    assert!(error.to_string().contains("record 1 of this page"), "{error}");
    assert!(error.to_string().contains("actionSet.actions[0]"), "{error}");
}

#[tokio::test]
async fn a_page_of_nothing_but_invalid_records_is_not_the_end() {
    let bad = |id: i64| json!({ "id": id.to_string() }).to_string();
    let records: Vec<_> = (0..5).map(bad).chain([event(1).to_string()]).collect();
    let server: MockServer = serve(listing(records)).await;
    let mut items = client(server.uri()).action_set_events().list(("default", 1)).page_size(2).items();
    let mut got = Vec::new();
    while let Some(item) = promptly(items.next()).await {
        got.push(item.map(|it| *it.id.get()).map_err(|it| it.record().unwrap().raw().as_str().to_owned()));
    }
    let expected: Vec<_> = (0..5).map(|it| Err(bad(it))).chain([Ok(1)]).collect();
    assert_eq!(got, expected);
}
