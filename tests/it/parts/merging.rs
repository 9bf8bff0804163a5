//! The merged verdict, and which parts are scanned again.

use actionlog::page::{Cause, Doubt, Merged, Part, PartRead, Proof, Stability, TotalScope, merge};
use actionlog::testing::{FakeServer, Log};
use actionlog::{ArklowClient, Verdict};

use crate::parts::{Logs, listing, log, read, sent};

/// Scans and merges until nothing has to be scanned again. Returns the result and the number of rounds.
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

    // Retention jobs remove more records than windows overlap by: at the end of a growing log, and at its head.
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
    let mut yielded = Vec::new();
    let mut reads = vec![read(&listing, &parts[0], &mut yielded).await];
    server.integration().add_sample_logs(50);
    reads.push(read(&listing, &parts[0], &mut yielded).await);
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
    let texts = log.raw_records();
    while !log.is_empty() {
        log.remove(0);
    }
    reads.push(read(&listing, &parts[0], &mut Vec::new()).await);
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, merged.again.len()), (Verdict::Incomplete(Cause::Parts), 1));
    // Either the log is empty, or the response was a hiccup.
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

/// The outcomes of the parts of a quiet log.
async fn quiet_reads() -> (Logs, Vec<PartRead>) {
    let listing = listing(&log(100));
    let mut reads = Vec::new();
    for part in listing.split(3).await.unwrap() {
        reads.push(read(&listing, &part, &mut Vec::new()).await);
    }
    assert_eq!(merge(&reads).unwrap().verdict, Verdict::Complete(Proof::Total));
    (listing, reads)
}

/// The verdict if one field of one outcome were different, and whether nothing has to be scanned again.
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
        let reported = |name, value| if_it_said(&reads, which, name, value);
        assert_eq!(reported("doubt", json!("single_records")), doubted(Doubt::SingleRecords));
        assert_eq!(reported("doubt", json!("beyond_memory")), doubted(Doubt::BeyondMemory));
        assert_eq!(reported("has_total", json!(false)), doubted(Doubt::NoTotal));
        assert_eq!(reported("totals", json!([100, 101])), doubted(Doubt::TotalMoved));
        assert_eq!(reported("order_is_fixed", json!(false)), doubted(Doubt::OrderMayChange));
        assert_eq!(reported("partial", json!(true)), (Verdict::Incomplete(Cause::PartialErrors), false));
        let more = reads[which].delivered() + 1;
        assert_eq!(reported("records", json!([more, "0"])), doubted(Doubt::TotalDiffers));
        // A count that overflows doesn't panic.
        if_it_said(&reads, which, "records", json!([u64::MAX, "f"]));
    }
    assert_eq!(if_it_said(&reads, 0, "from", json!(1)), parts_again);
    assert_eq!(if_it_said(&reads, 0, "resumed", json!(true)), parts_again);
    assert_eq!(if_it_said(&reads, last, "ended", json!(false)), parts_again);
    assert_eq!(if_it_said(&reads, 1, "first", json!([])).0, Verdict::Unverified(Doubt::Overlap));
    // No record was found, but the end wasn't proved; or the scan didn't start at the head.
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

/// Scans all parts of a listing once.
async fn coverage(listing: &Logs, size: u64) -> Merged {
    let mut reads = Vec::new();
    for part in listing.parts_of(size).unwrap() {
        let read = read(listing, &part, &mut Vec::new()).await;
        let is_last = read.is_last();
        reads.push(read);
        if is_last {
            break;
        }
    }
    merge(&reads).unwrap()
}

#[tokio::test]
async fn parts_that_were_scanned_twice_verify_each_other_if_the_log_was_at_rest() {
    for records in [0, 2, 40, 1_000] {
        let server = log(records);
        let listing = listing(&server).stability(Stability::Unstable);
        let first = coverage(&listing, 400).await;
        assert!(!first.verdict.is_complete() && !first.verdict.is_incomplete(), "{records}: {first:?}");
        // Cut elsewhere the second time.
        let second = coverage(&listing, 300).await;
        let both = first.clone().verified_by(&second);
        assert_eq!((both.verdict, both.delivered), (Verdict::Complete(Proof::SecondScan), 2 * records as u64));

        // A record was removed, or added, between the two scans.
        let log = server.integration().log();
        let removed: fn(&Log) = |log| _ = log.remove(log.len() / 2);
        let added: fn(&Log) = |log| _ = log.add_samples(1);
        for change in [removed, added] {
            let before = coverage(&listing, 400).await;
            if log.is_empty() {
                continue;
            }
            change(&log);
            let after = coverage(&listing, 400).await;
            let both = before.verified_by(&after);
            assert_eq!(both.verdict, Verdict::Unverified(Doubt::ScansDiffer), "{records}");
        }
    }
}

#[tokio::test]
async fn parts_that_miss_a_record_are_not_verified_by_parts_that_have_it() {
    let server = log(1_000);
    let listing = listing(&server).stability(Stability::Unstable).page_size(100);
    let parts: Vec<_> = listing.parts_of(500).unwrap().take(2).collect();
    let mut reads = vec![read(&listing, &parts[0], &mut Vec::new()).await];
    // A record moves from the second part to the first, and one of the first is removed.
    let log = server.integration().log();
    let text = log.remove(700).unwrap();
    log.remove(20);
    log.insert_raw(100, text);
    reads.push(read(&listing, &parts[1], &mut Vec::new()).await);
    let first = merge(&reads).unwrap();
    let second = coverage(&listing, 500).await;
    assert_eq!(first.verified_by(&second).verdict, Verdict::Unverified(Doubt::ScansDiffer));
}
