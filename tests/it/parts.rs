//! Scans of a listing in parts, and the merged result.

use std::collections::BTreeSet;

use actionlog::page::{Cause, Doubt, Merged, Part, PartRead, Proof, Stability, TotalScope, merge};
use actionlog::testing::{FakeServer, FakeTotal, Fault, Log};
use actionlog::{
    ArklowClient, Cursor, ErrorKind, HttpClient, IntegrationClient, Listing, RetryPolicy, UnleashClient, Verdict,
};
use futures_util::future::join_all;
use proptest::prelude::*;

use crate::support::Late;

type Logs = Listing<actionlog::integration::LogListing>;

fn listing(server: &FakeServer) -> Logs {
    by_way_of(server.http_client(), TotalScope::Listing)
}

fn by_way_of(http_client: impl HttpClient + 'static, total: TotalScope) -> Logs {
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(http_client);
    let client = client.total_scope(total).retry(RetryPolicy::never()).build().unwrap();
    client.logs().list(()).page_size(10).stability(Stability::Stable)
}

fn log(count: usize) -> FakeServer {
    let server = FakeServer::new();
    server.integration().add_sample_logs(count);
    server
}

/// An invalid record.
const SPOILT: &str = r#"{"_id":0}"#;

/// The ids in a log, without those of invalid records.
fn ids(log: &Log) -> BTreeSet<String> {
    let id =
        |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap()["_id"].as_str().map(str::to_owned);
    log.texts().into_iter().filter_map(id).collect()
}

/// Serialised and parsed, as for jobs on other machines.
fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

async fn read(listing: &Logs, part: &Part, given: &mut Vec<String>) -> PartRead {
    let read = listing.clone().part(sent(part)).collect().await;
    given.extend(read.items.iter().map(|it| it.id.to_string()));
    sent(&read.part_read.unwrap())
}

/// Scans and merges until no part has to be scanned again.
async fn all(listing: &Logs, mut parts: Vec<Part>, reads: &mut Vec<PartRead>, given: &mut Vec<String>) -> Merged {
    for _ in 0..8 {
        for part in &parts {
            reads.push(read(listing, part, given).await);
        }
        let merged = merge(reads).unwrap();
        if merged.again.is_empty() {
            return merged;
        }
        parts = merged.again;
    }
    panic!("the parts never meet");
}

#[tokio::test]
async fn the_parts_of_an_unchanged_log_cover_it_and_yield_each_record_once() {
    for records in [0, 1, 2, 9, 10, 11, 19, 90, 91, 100, 253] {
        for parts in [1, 2, 3, 7, 100] {
            let server = log(records);
            let listing = listing(&server);
            let parts = listing.split(parts).await.unwrap();
            let before = server.requests().len();
            let (mut reads, mut given) = (Vec::new(), Vec::new());
            for part in &parts {
                reads.push(read(&listing, part, &mut given).await);
            }
            let merged = merge(&reads).unwrap();
            let case = format!("{records} in {}", parts.len());
            assert_eq!((merged.verdict, &merged.again[..]), (Verdict::Complete(Proof::Total), &[][..]), "{case}");
            assert_eq!((given.len(), merged.delivered), (records, records as u64), "{case}");
            assert_eq!(BTreeSet::from_iter(given), ids(&server.integration().log()), "{case}");
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
async fn parts_with_gaps_between_them_are_reported_and_scanned_again() {
    for (at, removed) in [(0, 1), (0, 20), (30, 10), (0, 70)] {
        let server = log(200);
        let (listing, log) = (listing(&server), server.integration().log());
        let parts = listing.split(4).await.unwrap();
        let (mut reads, mut given) = (Vec::new(), Vec::new());
        for (number, part) in parts.iter().enumerate() {
            if number == 2 {
                for _ in 0..removed {
                    log.remove(at);
                }
            }
            reads.push(read(&listing, part, &mut given).await);
        }
        let merged = merge(&reads).unwrap();
        assert_eq!(merged.verdict, Verdict::Incomplete(Cause::Parts), "{removed}");
        // Only the one gap, and what lies to either side.
        assert_eq!(merged.again.len(), 1);
        let merged = all(&listing, merged.again, &mut reads, &mut given).await;
        assert!(matches!(merged.verdict, Verdict::Unverified(Doubt::TotalMoved)), "{:?}", merged.verdict);
        assert!(BTreeSet::from_iter(given).is_superset(&ids(&log)), "{removed} removed");
    }
}

#[tokio::test]
async fn records_added_between_the_parts_make_them_overlap() {
    let server = log(200);
    let (listing, log) = (listing(&server), server.integration().log());
    let parts = listing.split(4).await.unwrap();
    let there = ids(&log);
    let (mut reads, mut given) = (Vec::new(), Vec::new());
    for part in &parts {
        reads.push(read(&listing, part, &mut given).await);
        log.add_samples(7);
    }
    let merged = all(&listing, Vec::new(), &mut reads, &mut given).await;
    assert_eq!(merged.verdict, Verdict::Unverified(Doubt::TotalMoved));
    assert_eq!(merged.delivered, 200 + 3 * 7);
    assert!(BTreeSet::from_iter(given).is_superset(&there));
}

#[tokio::test]
async fn a_failed_part_is_resumed_or_scanned_again() {
    for goes_on in [true, false] {
        let server = log(200);
        let listing = listing(&server);
        let parts = listing.split(3).await.unwrap();
        let (mut reads, mut given) = (Vec::new(), Vec::new());
        reads.push(read(&listing, &parts[0], &mut given).await);
        reads.push(read(&listing, &parts[2], &mut given).await);
        let mut items = listing.clone().part(parts[1].clone()).prefetch(1).items();
        for _ in 0..15 {
            given.push(items.next().await.unwrap().unwrap().id.to_string());
        }
        let cursor = items.cursor().unwrap();
        reads.push(items.part_read().unwrap());
        let merged = merge(&reads).unwrap();
        assert_eq!((merged.verdict, merged.again.len()), (Verdict::Incomplete(Cause::Parts), 1));
        if goes_on {
            let rest = listing.clone().part(parts[1].clone()).resume(sent(&cursor)).collect().await;
            assert_eq!(rest.items.len() as u64, parts[1].records().unwrap() - 15);
            given.extend(rest.items.iter().map(|it| it.id.to_string()));
            reads.push(rest.part_read.unwrap());
            assert_eq!(merge(&reads).unwrap().verdict, Verdict::Complete(Proof::Total));
            assert_eq!(given.len(), 200);
        } else {
            let merged = all(&listing, merged.again, &mut reads, &mut given).await;
            // What was asked for again lies over what was read, so that the records can't be counted.
            assert_eq!(merged.verdict, Verdict::Unverified(Doubt::Overlap), "{merged:?}");
        }
        assert_eq!(BTreeSet::from_iter(given), ids(&server.integration().log()));
    }
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
    let mut given = 0;
    for part in listing.parts_of(50).unwrap() {
        let read = listing.clone().part(part).collect().await;
        given += read.items.len();
        reads.extend(read.part_read);
        if reads.last().unwrap().is_last() {
            break;
        }
    }
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, given), (Verdict::Unverified(Doubt::NoTotal), 300));
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

#[tokio::test]
async fn a_part_whose_position_cannot_be_found_ends_there() {
    let server = log(200);
    let (listing, log) = (listing(&server).prefetch(1), server.integration().log());
    let parts = listing.split(2).await.unwrap();
    let at = usize::try_from(parts[1].offset()).unwrap();
    let mut given = Vec::new();
    let mut reads = vec![read(&listing, &parts[1], &mut given).await];
    let mut items = listing.clone().part(parts[0].clone()).items();
    for _ in 0..20 {
        given.push(items.next().await.unwrap().unwrap().id.to_string());
    }
    reads.push(items.part_read().unwrap());
    // All that this one has read is removed.
    let mut items = listing.clone().part(parts[1].clone()).items();
    for turn in 0..40 {
        if turn == 10 {
            for _ in 0..10 {
                log.remove(at);
            }
        }
        match items.next().await {
            Some(log) => given.push(log.unwrap().id.to_string()),
            None => break,
        }
    }
    assert_eq!(items.summary().verdict, Verdict::Incomplete(Cause::Parts));
    reads.push(items.part_read().unwrap());
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, merged.again.is_empty()), (Verdict::Incomplete(Cause::Parts), false));
    _ = all(&listing, merged.again, &mut reads, &mut given).await;
    assert!(BTreeSet::from_iter(given).is_superset(&ids(&log)));
}

#[tokio::test]
async fn invalid_records_do_not_connect_parts() {
    let server = log(200);
    let (listing, log) = (listing(&server).prefetch(1), server.integration().log());
    let parts = listing.split(2).await.unwrap();
    // Both parts begin with the same text.
    log.replace(0, SPOILT);
    log.replace(usize::try_from(parts[1].offset()).unwrap(), SPOILT);
    let mut given = Vec::new();
    let mut items = listing.clone().part(parts[0].clone()).items();
    for _ in 0..20 {
        given.extend(items.next().await.unwrap().ok().map(|it| it.id.to_string()));
    }
    let mut reads = vec![items.part_read().unwrap(), read(&listing, &parts[1], &mut given).await];
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, merged.again.is_empty()), (Verdict::Incomplete(Cause::Parts), false));
    _ = all(&listing, merged.again, &mut reads, &mut given).await;
    assert!(BTreeSet::from_iter(given).is_superset(&ids(&log)));
}

/// Reads and merges until nothing is to be read again, and gives what it came to and in how many rounds.
async fn rounds(listing: &Logs, mut parts: Vec<Part>) -> (Merged, usize) {
    let mut reads = Vec::new();
    for round in 1.. {
        for part in parts {
            reads.push(read(listing, &part, &mut Vec::new()).await);
        }
        let merged = merge(&reads).unwrap();
        if merged.again.is_empty() || round == 10 {
            return (merged, round);
        }
        parts = merged.again;
    }
    unreachable!()
}

#[tokio::test]
async fn merging_ends_whatever_the_server_does() {
    let server = log(2_000);
    let parts = listing(&server).split(4).await.unwrap();
    // The key is revoked.
    server.integration().accept_authorization("another");
    let (merged, needed) = rounds(&listing(&server), parts).await;
    assert_eq!((merged.verdict, merged.again.len()), (Verdict::Incomplete(Cause::Failed), 0));
    assert!(needed <= 5, "{needed}");
    assert_eq!(server.requests().len(), 1 + 4 + 4);

    // Retention jobs: at the end of a log that grows, and at its head, more of it than windows overlap by.
    for at_head in [false, true] {
        let server = log(2_000);
        let listing = listing(&server).page_size(100);
        let parts = listing.split(4).await.unwrap();
        let log = server.integration().log();
        server.before_each(move |_| {
            for _ in 0..60 {
                if !log.is_empty() {
                    log.remove(if at_head { 0 } else { log.len() - 1 });
                }
            }
            if !at_head {
                log.add_samples(60);
            }
        });
        let (merged, rounds) = rounds(&listing, parts).await;
        assert!(rounds <= 5 && merged.again.is_empty(), "{rounds} {merged:?}");
    }
}

#[tokio::test]
async fn a_log_that_was_empty_for_a_while_can_be_scanned_again() {
    let server = log(0);
    let listing = listing(&server);
    let parts = listing.split(1).await.unwrap();
    let mut given = Vec::new();
    let mut reads = vec![read(&listing, &parts[0], &mut given).await];
    server.integration().add_sample_logs(50);
    reads.push(read(&listing, &parts[0], &mut given).await);
    assert_eq!(merge(&reads).unwrap().verdict, Verdict::Complete(Proof::Total));
}

#[tokio::test]
async fn an_empty_first_page_is_requested_again_and_the_second_ends_the_scan() {
    let server = log(100);
    let (listing, mut reads) = (listing(&server), Vec::new());
    let parts = listing.split(3).await.unwrap();
    for part in &parts[1..] {
        reads.push(read(&listing, part, &mut Vec::new()).await);
    }
    let log = server.integration().log();
    let texts = log.texts();
    while !log.is_empty() {
        log.remove(0);
    }
    reads.push(read(&listing, &parts[0], &mut Vec::new()).await);
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, merged.again.len()), (Verdict::Incomplete(Cause::Parts), 1));
    // It is empty; or it was a hiccup.
    let mut still = reads.clone();
    still.push(read(&listing, &merged.again[0], &mut Vec::new()).await);
    let emptied = merge(&still).unwrap();
    assert_eq!((emptied.verdict, emptied.again.len()), (Verdict::Incomplete(Cause::Emptied), 0));
    for (place, text) in texts.into_iter().enumerate() {
        log.insert_raw(place, text);
    }
    reads.push(read(&listing, &merged.again[0], &mut Vec::new()).await);
    let merged = merge(&reads).unwrap();
    assert!(!merged.verdict.is_incomplete() && merged.again.is_empty(), "{merged:?}");
}

/// The readings of a quiet log's parts.
async fn quiet_reads() -> (Logs, Vec<PartRead>) {
    let listing = listing(&log(100));
    let mut reads = Vec::new();
    for part in listing.split(3).await.unwrap() {
        reads.push(read(&listing, &part, &mut Vec::new()).await);
    }
    assert_eq!(merge(&reads).unwrap().verdict, Verdict::Complete(Proof::Total));
    (listing, reads)
}

/// What the readings come to if one of them had said something else.
fn if_it_said(reads: &[PartRead], which: usize, name: &str, value: serde_json::Value) -> (Verdict, bool) {
    let mut reads = reads.to_vec();
    let mut read = serde_json::to_value(&reads[which]).unwrap();
    assert!(read.get(name).is_some(), "{name}: {read}");
    read[name] = value;
    reads[which] = serde_json::from_value(read).unwrap();
    let merged = merge(&reads).unwrap();
    (merged.verdict, !merged.again.is_empty())
}

#[tokio::test]
async fn the_doubts_of_one_part_apply_to_the_merged_result() {
    use serde_json::json;
    let (_, reads) = quiet_reads().await;
    let last = reads.len() - 1;
    let parts_again = (Verdict::Incomplete(Cause::Parts), true);
    let doubted = |doubt| (Verdict::Unverified(doubt), false);
    for which in 0..=last {
        let told = |name, value| if_it_said(&reads, which, name, value);
        assert_eq!(told("doubt", json!("single_records")), doubted(Doubt::SingleRecords));
        assert_eq!(told("doubt", json!("beyond_memory")), doubted(Doubt::BeyondMemory));
        assert_eq!(told("has_total", json!(false)), doubted(Doubt::NoTotal));
        assert_eq!(told("totals", json!([100, 101])), doubted(Doubt::TotalMoved));
        assert_eq!(told("order_is_fixed", json!(false)), doubted(Doubt::OrderMayChange));
        assert_eq!(told("partial", json!(true)), (Verdict::Incomplete(Cause::PartialErrors), false));
        let more = reads[which].delivered() + 1;
        assert_eq!(told("seen", json!(more)), doubted(Doubt::TotalDiffers));
        // What is beyond counting is no reason to panic.
        if_it_said(&reads, which, "seen", json!(u64::MAX));
    }
    assert_eq!(if_it_said(&reads, 0, "from", json!(1)), parts_again);
    assert_eq!(if_it_said(&reads, 0, "resumed", json!(true)), parts_again);
    assert_eq!(if_it_said(&reads, last, "ended", json!(false)), parts_again);
    assert_eq!(if_it_said(&reads, 1, "first", json!([])).0, Verdict::Unverified(Doubt::Overlap));
    // Nothing was found, and it isn't said that there is nothing; or not from the head on.
    let (listing, empty) = (listing(&log(0)), &mut Vec::new());
    let nothing = [read(&listing, &listing.split(1).await.unwrap()[0], empty).await];
    assert_eq!(merge(&nothing).unwrap().verdict, Verdict::Complete(Proof::Total));
    assert_eq!(if_it_said(&nothing, 0, "ended", json!(false)), parts_again);
    let beyond = listing.parts_of(10).unwrap().nth(1).unwrap();
    let beyond = [read(&listing, &beyond, empty).await];
    assert_eq!(merge(&beyond).unwrap().verdict, parts_again.0);
}

#[tokio::test]
async fn a_part_that_is_dropped_within_its_last_page_is_not_complete() {
    let (listing, reads) = quiet_reads().await;
    let part = reads.last().unwrap().part().clone();
    for stop in 1..reads.last().unwrap().delivered() {
        let mut items = listing.clone().part(part.clone()).items();
        for _ in 0..stop {
            items.next().await.unwrap().unwrap();
        }
        let mut reads = reads.clone();
        *reads.last_mut().unwrap() = sent(&items.part_read().unwrap());
        assert!(!reads.last().unwrap().is_last());
        let merged = merge(&reads).unwrap();
        assert_eq!((merged.verdict, merged.again.len()), (Verdict::Incomplete(Cause::Parts), 1), "{stop}");
    }
}

#[tokio::test]
async fn errors_next_to_the_records_of_a_part_affect_the_merged_verdict() {
    let server = FakeServer::new();
    server.arklow().add_sample_records("4711", 100);
    let client =
        ArklowClient::builder("4711").base_url("http://localhost").api_key("any").http_client(server.http_client());
    let listing = client.count_scope(TotalScope::Listing).build().unwrap().records().list(());
    let listing = listing.page_size(10).stability(Stability::Stable);
    for fails in [false, true] {
        let mut reads = Vec::new();
        for part in listing.split(3).await.unwrap() {
            if fails && part.offset() > 0 {
                server.arklow().trouble("shard_down", "one of 3 shards didn't answer");
            }
            reads.extend(listing.clone().part(part).collect().await.part_read);
        }
        let verdict = if fails { Verdict::Incomplete(Cause::PartialErrors) } else { Verdict::Complete(Proof::Total) };
        assert_eq!(merge(&reads).unwrap().verdict, verdict);
    }
}

#[tokio::test]
async fn equal_rescans_request_the_same_pages_once() {
    let server = log(400);
    let (listing, mut reads) = (listing(&server), Vec::new());
    let parts = |size: u64, which: usize| listing.parts_of(size).unwrap().nth(which).unwrap();
    reads.push(read(&listing, &parts(20, 0), &mut Vec::new()).await);
    let log = server.integration().log();
    while !log.is_empty() {
        log.remove(0);
    }
    log.add_samples(400);
    for part in [parts(20, 0), parts(15, 1), parts(15, 8)] {
        reads.push(read(&listing, &part, &mut Vec::new()).await);
    }
    let again = merge(&reads).unwrap().again;
    assert!(again.windows(2).all(|it| it[0].offset() + it[0].records().unwrap() < it[1].offset()), "{again:?}");
    for _ in 0..40 {
        assert_eq!(merge(&reads).unwrap().again, again);
    }
}

#[tokio::test]
async fn a_part_that_is_merged_twice_counts_once() {
    let (_, reads) = quiet_reads().await;
    for which in 0..reads.len() {
        let mut twice = reads.clone();
        twice.push(reads[which].clone());
        let merged = merge(&twice).unwrap();
        assert_eq!((merged.verdict, merged.delivered), (Verdict::Complete(Proof::Total), 100));
    }
}

#[tokio::test]
async fn late_records_count_as_delivered() {
    let server = log(500);
    let listing = listing(&server).stability(Stability::Unstable).page_size(20);
    let part = listing.split(1).await.unwrap().remove(0);
    let (log, mut turn) = (server.integration().log(), 0);
    server.before_each(move |_| {
        turn += 1;
        if turn == 5 {
            log.add_samples(7);
            log.remove(100);
        }
    });
    let all = listing.clone().part(part).collect().await;
    let read = all.part_read.unwrap();
    assert!(all.summary.late > 0);
    assert_eq!((read.delivered(), merge(&[read]).unwrap().delivered), (all.summary.delivered, all.items.len() as u64));
}

#[tokio::test]
async fn the_result_of_a_part_stays_small_however_often_it_is_rescanned() {
    let server = log(6_000);
    let listing = listing(&server).page_size(100);
    let part = serde_json::to_value(&listing.split(1).await.unwrap()[0]).unwrap();
    for (round, most) in [(0, 5_000), (1, 5_000), (2, 20_000), (3, 70_000), (4, 5_000), (u32::MAX, 5_000)] {
        let mut part = part.clone();
        part["round"] = round.into();
        let read = read(&listing, &serde_json::from_value(part).unwrap(), &mut Vec::new()).await;
        let size = serde_json::to_string(&read).unwrap().len();
        assert!(size <= most, "{size} bytes in round {round}");
    }
}

/// What happens to a log before a request.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Add(usize),
    Remove(usize, usize),
    Insert(usize),
    Empty,
    Short,
    /// A record can't be read any more.
    Spoil(usize),
    /// From now on the server gives this many at most.
    Clamp(u32),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => Just(Change::Nothing),
        2 => (1..12_usize).prop_map(Change::Add),
        3 => (0..200_usize, 1..15_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (0..200_usize).prop_map(Change::Insert),
        1 => Just(Change::Empty),
        1 => Just(Change::Short),
        2 => (0..200_usize).prop_map(Change::Spoil),
        1 => (3..25_u32).prop_map(Change::Clamp),
    ]
}

impl Change {
    fn apply(self, server: &FakeServer, log: &Log) {
        // What is new is told apart by the request that it came before.
        let number = server.requests().len();
        match self {
            Self::Nothing => {}
            Self::Add(count) => drop(log.add_samples(count)),
            Self::Remove(at, count) => {
                for _ in 0..count {
                    if !log.is_empty() {
                        log.remove(at % log.len());
                    }
                }
            }
            Self::Insert(at) => {
                let text = log.texts().into_iter().next().unwrap_or_default();
                let first = serde_json::from_str::<serde_json::Value>(&text).ok();
                if let Some(id) = first.as_ref().and_then(|it| it["_id"].as_str()) {
                    log.insert_raw(at % (log.len() + 1), text.replace(id, &format!("0000inserted{number:012}")));
                }
            }
            Self::Empty => drop(server.fail_next(Fault::EmptyOnce)),
            Self::Short => drop(server.fail_next(Fault::ShortByOne)),
            Self::Spoil(at) => {
                if !log.is_empty() {
                    log.replace(at % log.len(), format!(r#"{{"_id":{number}}}"#));
                }
            }
            Self::Clamp(most) => drop(server.integration().largest_page(most)),
        }
    }
}

/// A log that changes, and the jobs that read it.
#[derive(Clone, Debug)]
struct Case {
    records: usize,
    parts: usize,
    page_size: u32,
    prefetch: usize,
    /// What happens before each request.
    changes: Vec<Change>,
    /// In which order the parts are read, or whether all at once.
    order: Vec<usize>,
    abreast: bool,
    /// After how many records the last part is given up; gone on with if that's even.
    stopped: Option<usize>,
    /// Whether a part is read twice.
    again: bool,
    delays: u64,
    total: TotalScope,
    /// What the client is told of the order; none moves.
    told: Stability,
}

prop_compose! {
    // Pages of three and more: one of two that comes a record short may be taken for the end, as in any reading.
    fn case()(
        records in 0..200_usize,
        (parts, page_size, prefetch) in (1..9_usize, 3..25_u32, prop_oneof![1..9_usize, 1..33_usize]),
        mut changes in proptest::collection::vec(change(), 0..60),
        order in proptest::collection::vec(0..9_usize, 9),
        stopped in proptest::option::of(1..40_usize),
        (abreast, again, delays) in any::<(bool, bool, u64)>(),
        total in prop_oneof![Just(TotalScope::Unknown), Just(TotalScope::Listing)],
        told in prop_oneof![2 => Just(Stability::Stable), 1 => Just(Stability::Unstable)],
    ) -> Case {
        // Two empty responses in a row are the end, for any scan. Where jobs run abreast, or pages are fetched ahead,
        // whatever lies between two of them may go to another job: one is enough there.
        let (mut last, is_mixed) = (None, abreast || prefetch > 1);
        for (at, change) in changes.iter_mut().enumerate() {
            if matches!(change, Change::Empty) {
                if last.is_some_and(|last| is_mixed || at - last < 3) {
                    *change = Change::Nothing;
                } else {
                    last = Some(at);
                }
            }
        }
        Case { records, parts, page_size, prefetch, changes, order, abreast, stopped, again, delays, total, told }
    }
}

/// Reads a part up to so many records, on from a cursor if there's one; gives the cursor to go on from.
async fn begin(listing: Logs, stop: usize, given: &mut Vec<String>) -> (Cursor, PartRead) {
    let mut items = listing.items();
    for _ in 0..stop {
        match items.next().await {
            Some(item) => given.extend(item.ok().map(|it| it.id.to_string())),
            None => break,
        }
    }
    (items.cursor().unwrap(), items.part_read().unwrap())
}

impl Case {
    async fn read(&self) -> Result<(), TestCaseError> {
        let server = log(self.records);
        let listing = by_way_of(Late::new(&server, self.delays), self.total).stability(self.told);
        let listing = listing.page_size(self.page_size).prefetch(self.prefetch);
        let log = server.integration().log();
        let before = ids(&log);
        let mut parts = listing.split(self.parts).await.unwrap();
        let (mut changes, changing) = (self.changes.clone().into_iter(), log.clone());
        server.before_each(move |server| {
            if let Some(change) = changes.next() {
                change.apply(server, &changing);
            }
        });
        for (at, with) in self.order.iter().enumerate().take(parts.len()) {
            let with = with % parts.len();
            parts.swap(at, with);
        }
        let (mut reads, mut given) = (Vec::new(), Vec::new());
        if let Some((stop, part)) = self.stopped.zip(parts.last().cloned()) {
            parts.pop();
            let listing = listing.clone().part(part);
            let (cursor, read) = begin(listing.clone(), stop, &mut given).await;
            reads.push(read);
            if stop % 2 == 0 {
                // Gone on with, and given up and gone on with again.
                let (cursor, read) = begin(listing.clone().resume(cursor), stop, &mut given).await;
                reads.push(read);
                reads.push(begin(listing.resume(cursor), usize::MAX, &mut given).await.1);
            }
        }
        if self.again {
            parts.extend(parts.first().cloned());
        }
        let mut merged = None;
        for _ in 0..12 {
            if self.abreast {
                let jobs = parts.iter().map(async |part| {
                    let mut given = Vec::new();
                    (read(&listing, part, &mut given).await, given)
                });
                for (read, its) in join_all(jobs).await {
                    reads.push(read);
                    given.extend(its);
                }
            } else {
                for part in &parts {
                    reads.push(read(&listing, part, &mut given).await);
                }
            }
            let now = merge(&reads).unwrap();
            parts.clone_from(&now.again);
            merged = Some(now);
            if parts.is_empty() {
                break;
            }
        }
        let merged = merged.unwrap();
        prop_assert!(merged.again.is_empty(), "the parts never meet: {merged:?}");
        let after = ids(&log);
        let given_ids = BTreeSet::from_iter(given.iter().cloned());
        let missed: Vec<_> = before.intersection(&after).filter(|it| !given_ids.contains(*it)).collect();
        // Pages of one can't overlap: a reading that had some says so.
        let told = merged.verdict.is_incomplete() || merged.verdict == Verdict::Unverified(Doubt::SingleRecords);
        prop_assert!(missed.is_empty() || told, "{:?}: {missed:?} were missed; {reads:#?}", merged.verdict);
        prop_assert!(!merged.verdict.is_complete() || self.told == Stability::Stable);
        let quiet = self.changes.iter().all(|it| matches!(it, Change::Nothing));
        if quiet && self.stopped.is_none() && self.total == TotalScope::Listing && self.told == Stability::Stable {
            prop_assert_eq!(merged.verdict, Verdict::Complete(Proof::Total));
        }
        if quiet && self.stopped.is_none() && !self.again {
            prop_assert_eq!(given.len(), self.records);
        }
        Ok(())
    }
}

fn cases() -> u32 {
    std::env::var("MODEL_CASES").map_or(200, |it| it.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 500,
        // A failure is printed, and never written into the checkout.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn records_that_stay_are_yielded_by_some_part(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(case.read())?;
    }
}
