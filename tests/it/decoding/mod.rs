//! Decoding: nothing is lost, nothing panics, and messages show no values.

mod bytes;
pub(crate) mod generators;
mod pages;
mod records;
#[allow(dead_code)]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;
mod values;

use std::sync::LazyLock;

use actionlog::arklow::{RecordListing, RecordsQuery};
use actionlog::auth::none;
use actionlog::integration::{LogListing, LogsQuery};
use actionlog::page::{InvalidRecord, ListPage, Listing, Paginate};
use actionlog::unleash::EventsQuery;
use actionlog::{ArklowClient, DecodeError, HttpResponse, IntegrationClient, Json, UnleashClient};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const URL: &str = "http://localhost";

const TIME: &str = r#""2023-11-07T05:31:56Z""#;

/// A value that no message may contain.
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

/// The value at a path, as it was written.
fn at(json: &str, path: &[&str]) -> Option<Json> {
    let mut here = Json::from_text(json).unwrap();
    for name in path {
        // Of several members with the same name, the last one counts.
        let fields: std::collections::HashMap<String, Json> = here.parse().ok()?;
        here = fields.get(*name)?.clone();
    }
    (!here.is_null()).then_some(here)
}

pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::Off) as _);
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

/// A valid record of each API, with this id.
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
