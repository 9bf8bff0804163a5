//! How a listing is cut into parts, and what each part covers.

use std::collections::BTreeSet;

use actionlog::page::{Cause, Doubt, Proof, merge};
use actionlog::testing::{FakeServer, FakeTotal};
use actionlog::{ErrorKind, IntegrationClient, UnleashClient, Verdict};

use crate::parts::{ids, listing, log, read};

#[tokio::test]
async fn the_parts_of_an_unchanged_log_cover_it_and_yield_each_record_once() {
    for records in [0, 1, 2, 9, 10, 11, 19, 90, 91, 100, 253] {
        for parts in [1, 2, 3, 7, 100] {
            let server = log(records);
            let listing = listing(&server);
            let parts = listing.split(parts).await.unwrap();
            let before = server.requests().len();
            let (mut reads, mut yielded) = (Vec::new(), Vec::new());
            for part in &parts {
                reads.push(read(&listing, part, &mut yielded).await);
            }
            let merged = merge(&reads).unwrap();
            let case = format!("{records} in {}", parts.len());
            assert_eq!((merged.verdict, &merged.again[..]), (Verdict::Complete(Proof::Total), &[][..]), "{case}");
            assert_eq!((yielded.len(), merged.delivered), (records, records as u64), "{case}");
            assert_eq!(BTreeSet::from_iter(yielded), ids(&server.integration().log()), "{case}");
            // Each part is a few whole pages, and the last page of all may need a proof.
            let pages = server.requests().len() - before;
            assert!(pages <= records.saturating_sub(1).div_ceil(9) + 2, "{case}: {pages} pages");
        }
    }
}

#[tokio::test]
async fn a_part_reports_that_it_is_one() {
    let server = log(100);
    let listing = listing(&server);
    let parts = listing.split(3).await.unwrap();
    assert_eq!(
        parts.iter().map(|it| (it.offset(), it.records())).collect::<Vec<_>>(),
        [(0, Some(36)), (36, Some(36)), (72, None)]
    );
    for part in &parts {
        let read = listing.clone().part(part.clone()).collect().await;
        assert_eq!(read.summary.verdict, Verdict::Incomplete(Cause::Parts));
        let part_read = read.part_read.unwrap();
        assert_eq!((part_read.delivered(), part_read.is_last()), (read.items.len() as u64, part.records().is_none()));
        assert_eq!(part_read.part(), part);
    }
    // One that isn't a part has nothing for a merge.
    assert!(listing.clone().collect().await.part_read.is_none());
}

#[tokio::test]
async fn without_a_total_parts_of_a_size_are_planned_until_one_is_the_last() {
    let server = FakeServer::new();
    server.unleash().add_sample_events("default", 7, 300);
    let client =
        UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build().unwrap();
    let listing = client.action_set_events().list(("default", 7)).page_size(10);
    assert_eq!(listing.split(3).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let mut reads = Vec::new();
    let mut yielded = 0;
    for part in listing.parts_of(50).unwrap() {
        let read = listing.clone().part(part).collect().await;
        yielded += read.items.len();
        reads.extend(read.part_read);
        if reads.last().unwrap().is_last() {
            break;
        }
    }
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, yielded), (Verdict::Unverified(Doubt::NoTotal), 300));
    assert!(merged.again.is_empty());
}

#[tokio::test]
async fn a_huge_total_is_limited_too() {
    let server = log(30);
    server.integration().total_scope(FakeTotal::Always(i64::MAX as u64));
    let parts = listing(&server).split(3).await.unwrap();
    assert_eq!((parts.len(), parts[0].offset(), parts[2].records()), (3, 0, None));
    assert_eq!(listing(&server).split(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn parts_of_another_listing_are_rejected() {
    let server = log(50);
    let listing = listing(&server);
    let part = listing.split(2).await.unwrap().remove(1);
    let client = IntegrationClient::builder("http://localhost")
        .api_key("any")
        .http_client(server.http_client())
        .build()
        .unwrap();
    let other = client.logs().list(actionlog::integration::LogsQuery::new().search("x"));
    let before = server.requests().len();
    let error = other.clone().part(part.clone()).collect().await.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("the parameter search"), "{error}");
    let since = listing.clone().part(part.clone()).since(chrono::Utc::now()).collect().await.error.unwrap();
    assert_eq!(since.kind(), ErrorKind::InvalidRequest);
    assert_eq!(server.requests().len(), before);
    let mine = listing.clone().part(part).collect().await.part_read.unwrap();
    let its = other.parts_of(10).unwrap().next().unwrap();
    let its = other.part(its).collect().await.part_read.unwrap();
    assert_eq!(merge(&[mine, its]).unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(merge(&[]).unwrap_err().kind(), ErrorKind::InvalidRequest);
}
