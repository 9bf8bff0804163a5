//! Parts of a log that changes while they are scanned.

use std::collections::BTreeSet;

use actionlog::Verdict;
use actionlog::page::{Cause, Doubt, Proof, merge};

use crate::parts::{all, ids, listing, log, read, sent};

/// An invalid record.
const INVALID: &str = r#"{"_id":0}"#;

#[tokio::test]
async fn parts_with_gaps_between_them_are_reported_and_scanned_again() {
    for (at, removed) in [(0, 1), (0, 20), (30, 10), (0, 70)] {
        let server = log(200);
        let (listing, log) = (listing(&server), server.integration().log());
        let parts = listing.split(4).await.unwrap();
        let (mut reads, mut yielded) = (Vec::new(), Vec::new());
        for (number, part) in parts.iter().enumerate() {
            if number == 2 {
                for _ in 0..removed {
                    log.remove(at);
                }
            }
            reads.push(read(&listing, part, &mut yielded).await);
        }
        let merged = merge(&reads).unwrap();
        assert_eq!(merged.verdict, Verdict::Incomplete(Cause::Parts), "{removed}");
        // Only the one gap, with records on either side.
        assert_eq!(merged.again.len(), 1);
        let merged = all(&listing, merged.again, &mut reads, &mut yielded).await;
        assert!(matches!(merged.verdict, Verdict::Unverified(Doubt::TotalMoved)), "{:?}", merged.verdict);
        assert!(BTreeSet::from_iter(yielded).is_superset(&ids(&log)), "{removed} removed");
    }
}

#[tokio::test]
async fn records_added_between_the_parts_make_them_overlap() {
    let server = log(200);
    let (listing, log) = (listing(&server), server.integration().log());
    let parts = listing.split(4).await.unwrap();
    let there = ids(&log);
    let (mut reads, mut yielded) = (Vec::new(), Vec::new());
    for part in &parts {
        reads.push(read(&listing, part, &mut yielded).await);
        log.add_samples(7);
    }
    let merged = all(&listing, Vec::new(), &mut reads, &mut yielded).await;
    assert_eq!(merged.verdict, Verdict::Unverified(Doubt::TotalMoved));
    assert_eq!(merged.delivered, 200 + 3 * 7);
    assert!(BTreeSet::from_iter(yielded).is_superset(&there));
}

#[tokio::test]
async fn a_failed_part_is_resumed_or_scanned_again() {
    for goes_on in [true, false] {
        let server = log(200);
        let listing = listing(&server);
        let parts = listing.split(3).await.unwrap();
        let (mut reads, mut yielded) = (Vec::new(), Vec::new());
        reads.push(read(&listing, &parts[0], &mut yielded).await);
        reads.push(read(&listing, &parts[2], &mut yielded).await);
        let mut items = listing.clone().part(parts[1].clone()).prefetch(1).items();
        for _ in 0..15 {
            yielded.push(items.next().await.unwrap().unwrap().id.to_string());
        }
        let cursor = items.cursor().unwrap();
        reads.push(items.part_read().unwrap());
        let merged = merge(&reads).unwrap();
        assert_eq!((merged.verdict, merged.again.len()), (Verdict::Incomplete(Cause::Parts), 1));
        if goes_on {
            let rest = listing.clone().part(parts[1].clone()).resume(sent(&cursor)).collect().await;
            assert_eq!(rest.items.len() as u64, parts[1].records().unwrap() - 15);
            yielded.extend(rest.items.iter().map(|it| it.id.to_string()));
            reads.push(rest.part_read.unwrap());
            assert_eq!(merge(&reads).unwrap().verdict, Verdict::Complete(Proof::Total));
            assert_eq!(yielded.len(), 200);
        } else {
            let merged = all(&listing, merged.again, &mut reads, &mut yielded).await;
            // The part scanned again overlaps the ones scanned before, so the records can't be counted.
            assert_eq!(merged.verdict, Verdict::Unverified(Doubt::Overlap), "{merged:?}");
        }
        assert_eq!(BTreeSet::from_iter(yielded), ids(&server.integration().log()));
    }
}

#[tokio::test]
async fn a_part_whose_position_cannot_be_found_ends_there() {
    let server = log(200);
    let (listing, log) = (listing(&server).prefetch(1), server.integration().log());
    let parts = listing.split(2).await.unwrap();
    let at = usize::try_from(parts[1].offset()).unwrap();
    let mut yielded = Vec::new();
    let mut reads = vec![read(&listing, &parts[1], &mut yielded).await];
    let mut items = listing.clone().part(parts[0].clone()).items();
    for _ in 0..20 {
        yielded.push(items.next().await.unwrap().unwrap().id.to_string());
    }
    reads.push(items.part_read().unwrap());
    // All records that this scan has delivered are removed.
    let mut items = listing.clone().part(parts[1].clone()).items();
    for turn in 0..40 {
        if turn == 10 {
            for _ in 0..10 {
                log.remove(at);
            }
        }
        match items.next().await {
            Some(log) => yielded.push(log.unwrap().id.to_string()),
            None => break,
        }
    }
    assert_eq!(items.summary().verdict, Verdict::Incomplete(Cause::Parts));
    reads.push(items.part_read().unwrap());
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, merged.again.is_empty()), (Verdict::Incomplete(Cause::Parts), false));
    _ = all(&listing, merged.again, &mut reads, &mut yielded).await;
    assert!(BTreeSet::from_iter(yielded).is_superset(&ids(&log)));
}

#[tokio::test]
async fn invalid_records_do_not_connect_parts() {
    let server = log(200);
    let (listing, log) = (listing(&server).prefetch(1), server.integration().log());
    let parts = listing.split(2).await.unwrap();
    // Both parts begin with the same raw JSON.
    log.replace(0, INVALID);
    log.replace(usize::try_from(parts[1].offset()).unwrap(), INVALID);
    let mut yielded = Vec::new();
    let mut items = listing.clone().part(parts[0].clone()).items();
    for _ in 0..20 {
        yielded.extend(items.next().await.unwrap().ok().map(|it| it.id.to_string()));
    }
    let mut reads = vec![items.part_read().unwrap(), read(&listing, &parts[1], &mut yielded).await];
    let merged = merge(&reads).unwrap();
    assert_eq!((merged.verdict, merged.again.is_empty()), (Verdict::Incomplete(Cause::Parts), false));
    _ = all(&listing, merged.again, &mut reads, &mut yielded).await;
    assert!(BTreeSet::from_iter(yielded).is_superset(&ids(&log)));
}
