//! What the fake Unleash responds.

use std::collections::HashSet;

use crate::fake::unleash::{EVENTS, fake, get, held, ids, request};
use actionlog::testing::{FakeServer, Oversized, sample};
use actionlog::unleash::{ActionSetEvent, ActionSetEventState};
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::Value;

fn keys(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn sample_events_are_valid_and_cover_every_kind_of_outcome() {
    let events: Vec<_> =
        sample::action_set_events(120).iter().map(|it| ActionSetEvent::deserialize(it).unwrap()).collect();
    assert_eq!(events.len(), 120);
    assert!(events.is_sorted_by(|newer, older| newer.id > older.id && newer.created_at > older.created_at));
    assert!(events.iter().all(|it| it.signal.created_at < it.created_at && it.signal_id == it.signal.id));

    for state in ActionSetEventState::KNOWN {
        assert!(events.iter().any(|it| it.state == *state), "{state}");
    }
    assert!(events.iter().all(|it| it.state.is_final().is_some()));
    for event in &events {
        let failed = event.state == ActionSetEventState::Failed;
        assert_eq!(event.failed_action().and_then(|it| it.details.as_ref()).is_some(), failed, "{}", event.id);
    }
    let names: HashSet<_> = events.iter().flat_map(|it| &it.action_set.actions).map(|it| &it.action).collect();
    assert!(names.len() >= 3, "{names:?}");
}

#[test]
fn sample_events_are_deterministic_and_continue_where_they_ended() {
    assert_eq!(sample::action_set_events(120), sample::action_set_events(120));
    assert_eq!(sample::action_set_events(120)[20..], sample::action_set_events(100)[..]);
    let fake = fake(40);
    fake.unleash().add_sample_events("default", 1, 20);
    assert_eq!(ids(&fake, "?limit=100"), held(60));
    fake.unleash().log("default", 1).remove(30);
    fake.unleash().add_sample_events("default", 1, 1);
    assert_eq!(ids(&fake, "?limit=1"), held(61)[..1]);
}

#[test]
fn events_are_listed_newest_first_and_can_be_removed() {
    let fake = fake(3);
    fake.unleash().log("default", 1).add(serde_json::json!({ "id": 77 })).unwrap();
    assert_eq!(ids(&fake, "")[0], 77);
    assert_eq!(fake.unleash().log("default", 1).remove(0).as_deref(), Some(r#"{"id":77}"#));
    assert_eq!(fake.unleash().log("default", 1).remove(3), None);
    assert_eq!(fake.unleash().log("other", 1).remove(0), None);
    assert_eq!(fake.unleash().log("default", 1).len(), 3);
    assert_eq!(ids(&fake, ""), held(3));
}

#[test]
fn projects_and_action_sets_are_kept_apart_and_unknown_ones_are_empty() {
    let fake = fake(2);
    fake.unleash().add_sample_events("web shop", 2, 1);
    let (_, body) = get(&fake, "/api/admin/projects/web%20shop/actions/2/events", None);
    assert_eq!(body["actionSetEvents"][0]["actionSetId"], 2);
    assert_eq!(body["actionSetEvents"][0]["actionSet"]["project"], "web shop");
    for path in ["projects/default/actions/2/events", "projects/none/actions/1/events"] {
        let (status, body) = get(&fake, &format!("/api/admin/{path}"), None);
        assert_eq!((status, body), (200, serde_json::json!({ "actionSetEvents": [] })), "{path}");
    }
}

#[test]
fn limits_and_offsets_are_read_leniently() {
    let fake = fake(120);
    for (query, count) in [
        ("", 50),
        ("?limit=1", 1),
        ("?limit=0", 50),
        ("?limit=-1", 50),
        ("?limit=abc", 50),
        ("?limit=", 50),
        ("?limit=1.5", 1),
        ("?limit=1e1", 10),
        ("?limit=0x10", 16),
        ("?limit=%2B5", 5),
        ("?limit=%205", 5),
        ("?limit=100", 100),
        ("?limit=101", 50),
        ("?limit=99999999999999999999", 50),
        ("?limit=Infinity", 50),
        ("?limit=50&offset=100", 20),
        ("?limit=50&offset=120", 0),
        ("?limit=50&offset=100000", 0),
        ("?limit=1&nope=1", 1),
    ] {
        assert_eq!(ids(&fake, query).len(), count, "{query}");
    }
    for (offset, first) in [("-1", 0), ("abc", 0), ("Infinity", 0), ("", 0), ("1.5", 1), ("7", 7)] {
        assert_eq!(ids(&fake, &format!("?limit=1&offset={offset}")), held(120)[first..=first], "{offset}");
    }
}

#[test]
fn the_largest_page_and_the_reaction_to_larger_limits_are_settings() {
    let fake = fake(120);
    fake.unleash().largest_page(60);
    assert_eq!(ids(&fake, "?limit=61").len(), 50);
    fake.unleash().oversized(Oversized::LargestPage);
    assert_eq!(ids(&fake, "?limit=61").len(), 60);
    fake.unleash().largest_page(7);
    assert_eq!(ids(&fake, "").len(), 7);
}

#[test]
fn a_limit_that_is_repeated_or_an_object_is_rejected() {
    for query in ["limit=1&limit=2", "limit[]=1", "limit[a]=1", "offset=1&offset=1"] {
        let (status, body) = get(&fake(1), &format!("{EVENTS}?{query}"), None);
        assert_eq!((status, keys(&body)), (400, vec!["details", "id", "message", "name"]), "{query}");
        assert_eq!(body["name"], "BadDataError");
        assert_eq!(keys(&body["details"][0]), ["message", "path"]);
    }
}

#[test]
fn an_offset_that_the_database_rejects_is_a_500_without_an_id() {
    let (status, body) = get(&fake(1), &format!("{EVENTS}?limit=1&offset=99999999999999999999"), None);
    assert_eq!((status, keys(&body)), (500, vec!["details", "message", "name"]));
    assert_eq!(body["name"], "UnknownError");
    assert!(body["message"].as_str().unwrap().ends_with("\"100000000000000000000\" is out of range for type bigint"));
}

#[test]
fn a_missing_token_and_a_wrong_one_get_different_bodies() {
    let fake = fake(1);
    fake.unleash().accept_token("user:good");
    for none in [None, Some(""), Some("  ")] {
        let (status, body) = get(&fake, EVENTS, none);
        assert_eq!(status, 401);
        assert_eq!(body["name"], "AuthenticationRequired");
        assert_eq!(keys(&body), ["defaultHidden", "details", "id", "message", "name", "path", "type"]);
    }
    for wrong in
        ["bad", "Bearer bad", "Bearer", "user:GOOD", "Basic user:good", "Bearer Bearer user:good", "\"user:good\""]
    {
        let (status, body) = get(&fake, EVENTS, Some(wrong));
        assert_eq!((status, keys(&body)), (401, vec!["details", "id", "message", "name"]), "{wrong}");
        assert_eq!(body["name"], "UnauthorizedError");
    }
    for good in
        ["user:good", "Bearer user:good", "bearer user:good", "BEARER  user:good", "Bearer\tuser:good", " user:good "]
    {
        assert_eq!(get(&fake, EVENTS, Some(good)).0, 200, "{good:?}");
    }
}

#[test]
fn a_token_of_the_wrong_kind_and_a_user_without_the_permission_get_different_bodies() {
    let fake = fake(1);
    fake.unleash().accept_token_of_wrong_kind("backend").accept_token_without_permission("viewer");
    let (status, body) = get(&fake, EVENTS, Some("Bearer backend"));
    assert_eq!((status, keys(&body)), (403, vec!["message"]));
    let (status, body) = get(&fake, EVENTS, Some("viewer"));
    assert_eq!((status, keys(&body)), (403, vec!["details", "id", "message", "name", "permissions"]));
    assert_eq!(body["name"], "PermissionError");
    // The fake accepts any token, so a wrong one is as good as none.
    assert_eq!(get(&fake, EVENTS, Some("any")).0, 200);
    assert_eq!(get(&fake, EVENTS, None).0, 200);
}

#[test]
fn an_open_source_server_reports_a_missing_path_to_authenticated_requests() {
    let fake = fake(1);
    fake.unleash().open_source().accept_token("user:good").accept_token_without_permission("viewer");
    fake.unleash().accept_token_of_wrong_kind("backend");
    let (status, body) = get(&fake, EVENTS, Some("user:good"));
    assert_eq!((status, keys(&body)), (404, vec!["details", "id", "message", "name"]));
    assert_eq!(body["name"], "NotFoundError");
    assert_eq!(body["message"], format!("The path you were looking for ({EVENTS}) is not available."));
    assert_eq!(get(&fake, EVENTS, Some("viewer")).0, 404);
    assert_eq!(get(&fake, EVENTS, Some("backend")).0, 403);
    assert_eq!(get(&fake, EVENTS, Some("bad")).0, 401);
}

#[test]
fn an_unknown_path_of_the_api_is_not_found_and_slashes_are_collapsed() {
    let fake = fake(1);
    for (path, said) in [
        ("/api/api/admin/projects/default/actions/1/events", "/api/api/admin/projects/default/actions/1/events"),
        ("/api/admin/projects//actions/1/events", "/api/admin/projects/actions/1/events"),
        ("/API/ADMIN/PROJECTS", "/api/ADMIN/PROJECTS"),
        ("/api", "/api"),
    ] {
        let (status, body) = get(&fake, path, None);
        assert_eq!(status, 404, "{path}");
        assert_eq!(body["message"], format!("The path you were looking for ({said}) is not available."));
    }
    for path in [format!("/{EVENTS}"), format!("{EVENTS}/"), EVENTS.replace("/api/admin", "/API//Admin")] {
        assert_eq!(get(&fake, &path, None).0, 200, "{path}");
    }
    let mut post = request(EVENTS, None);
    *post.method_mut() = Method::POST;
    assert_eq!(fake.respond(&post).status(), 404);
}

#[test]
fn a_path_outside_of_api_is_a_web_page_without_authentication() {
    let fake = fake(1);
    fake.unleash().accept_token("user:good");
    for path in ["/", "/admin/projects/default/actions/1/events", "/apis"] {
        let response = fake.respond(&request(path, None));
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    }
}

#[test]
fn a_head_request_gets_the_length_without_the_body() {
    let fake = fake(3);
    let mut head = request(EVENTS, None);
    *head.method_mut() = Method::HEAD;
    let (head, whole) = (fake.respond(&head), fake.respond(&request(EVENTS, None)));
    assert!(head.body().is_empty());
    assert_eq!(head.headers(), whole.headers());
    assert_eq!(whole.headers()[CONTENT_LENGTH], whole.body().len().to_string());
}

#[test]
fn received_requests_have_no_credentials() {
    let fake = FakeServer::new();
    fake.unleash().accept_token("user:secret");
    drop(fake.respond(&request(&format!("{EVENTS}?limit=2&offset=1"), Some("user:secret"))));
    let seen = &fake.requests()[0];
    assert_eq!((&seen.method, seen.path.as_str()), (&Method::GET, EVENTS));
    assert_eq!(seen.query, "limit=2&offset=1");
    assert_eq!(seen.parameter("offset").as_deref(), Some("1"));
    assert!(seen.has_header("Authorization"));
    assert!(!format!("{seen:?}{fake:?}{:?}{:?}", fake.unleash(), fake.http_client()).contains("secret"));
}
