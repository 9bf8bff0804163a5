//! The requests: their path, query and headers.

use actionlog::arklow::{RecordsQuery, SearchEncoding};
use actionlog::page::Window;
use actionlog::{ArklowClient, ErrorKind, WriteOutcome};

use crate::arklow::empty;
use crate::wire::{KEY, arklow, arklow_with, only_request, query, requests, server, target, whole_story};

#[tokio::test]
async fn a_query_string_has_the_expected_bytes() {
    let all = RecordsQuery::new;
    let cases = [
        (all(), "take=50&skip=0"),
        (all().action_definition("4712"), "action_definition_id=4712&take=50&skip=0"),
        (all().variant("refund"), "variant=refund&take=50&skip=0"),
        (all().variant("a b&c+d=ü%"), "variant=a+b%26c%2Bd%3D%C3%BC%25&take=50&skip=0"),
        (all().version(3), "version=3&take=50&skip=0"),
        (all().version(-1), "version=-1&take=50&skip=0"),
        (all().include_definition(), "include_definition=true&take=50&skip=0"),
        (all().include_state(), "include_state=true&take=50&skip=0"),
        (
            all().search("status", "failed").search("tags.a", "b c"),
            "search%5Bfield%5D=tags.a&search%5Bvalue%5D=b+c&search%5Bop%5D=eq&take=50&skip=0",
        ),
        (
            all().include_state().version(2).variant("v").include_definition().action_definition("1").search("f", ""),
            "search%5Bfield%5D=f&search%5Bvalue%5D=&search%5Bop%5D=eq&action_definition_id=1&variant=v&version=2\
             &include_definition=true&include_state=true&take=50&skip=0",
        ),
    ];
    for (asked, expected) in cases {
        let server = server([empty()]).await;
        arklow(&server).records().list(asked).page().await.unwrap();
        let request = only_request(&server).await;
        assert_eq!(request.method.as_str(), "GET");
        assert_eq!(target(&request), format!("/v1/orgs/4711/actions/records?{expected}"));
        assert!(request.body.is_empty());
    }
}

#[tokio::test]
async fn a_search_is_written_in_the_configured_encoding() {
    let cases = [
        (
            SearchEncoding::DeepObject,
            "search%5Bfield%5D=a%26b&search%5Bvalue%5D=%22c%22&search%5Bop%5D=eq&take=50&skip=0",
        ),
        (SearchEncoding::Plain, "field=a%26b&value=%22c%22&op=eq&take=50&skip=0"),
        (
            SearchEncoding::Json,
            "search=%7B%22field%22%3A%22a%26b%22%2C%22value%22%3A%22%5C%22c%5C%22%22%2C%22op%22%3A%22eq%22%7D\
             &take=50&skip=0",
        ),
    ];
    for (encoding, expected) in cases {
        let server = server([empty()]).await;
        let client = arklow_with(&server, |it| it.search_encoding(encoding));
        client.records().list(RecordsQuery::new().search("a&b", "\"c\"")).page().await.unwrap();
        assert_eq!(query(&only_request(&server).await), expected, "{encoding:?}");
    }
}

#[tokio::test]
async fn a_page_request_has_its_offset_and_size() {
    let server = server([empty()]).await;
    let page = arklow(&server).records().list(()).page_size(7).start_offset(30).page().await.unwrap();
    assert_eq!(page.window, Window { offset: 30, limit: 7 });
    assert_eq!(query(&only_request(&server).await), "take=7&skip=30");
}

#[tokio::test]
async fn the_key_goes_into_its_own_header() {
    let server = server([empty()]).await;
    arklow(&server).records().list(()).page().await.unwrap();
    let request = only_request(&server).await;
    assert_eq!(request.headers.get("x-arklow-auth").unwrap(), KEY);
    assert!(request.headers.get("authorization").is_none());
    assert_eq!(request.headers.get("accept").unwrap(), "application/json");
    assert!(request.headers.get("content-type").is_none());
    assert!(request.headers.get("cookie").is_none());
}

#[tokio::test]
async fn a_base_url_keeps_its_path() {
    for slash in ["", "/"] {
        let server = server([empty()]).await;
        let url = format!("{}/gateway/ark%20low{slash}", server.uri());
        let client = ArklowClient::builder("1").base_url(url).api_key(KEY).build().unwrap();
        client.records().list(()).page().await.unwrap();
        let request = only_request(&server).await;
        assert_eq!(request.url.path(), "/gateway/ark%20low/v1/orgs/1/actions/records");
    }
}

#[test]
fn an_invalid_organisation_id_is_rejected_and_not_shown() {
    for id in ["", "sk-secret-key", "47 11", "-1", "４７", "12/../13"] {
        let error = ArklowClient::builder(id).api_key(KEY).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{id}");
        assert_eq!(error.outcome(), WriteOutcome::NotSent);
        let story = format!("{} {error:?}", whole_story(&error));
        assert!(id.is_empty() || !story.contains(id), "{story}");
    }
}

#[tokio::test]
async fn page_sizes_out_of_range_are_rejected_before_anything_is_sent() {
    let server = server([empty()]).await;
    let client = arklow(&server);
    for size in [0, 51, u32::MAX] {
        let page = client.records().list(()).page_size(size).page().await.unwrap_err();
        let item = client.records().list(()).page_size(size).items().next().await.unwrap().unwrap_err();
        for error in [page, item] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{size}");
            assert_eq!(error.outcome(), WriteOutcome::NotSent);
            assert_eq!(error.attempts(), 0);
        }
    }
    assert_eq!(requests(&server).await.len(), 0);
    for size in [1, 50] {
        client.records().list(()).page_size(size).page().await.unwrap();
    }
    assert_eq!(requests(&server).await.len(), 2);
}
