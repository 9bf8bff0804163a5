//! Scans that are stopped and resumed again and again, in logs that change meanwhile.

use std::collections::BTreeSet;

use actionlog::page::Stability;
use actionlog::{Cursor, IntegrationClient};

use crate::support::{fake_with_logs, log_text};

#[tokio::test(start_paused = true)]
async fn a_scan_that_resumes_again_near_its_end_repeats_at_most_a_page() {
    for order in [Stability::Stable, Stability::Unstable] {
        for (page_size, growth) in [(3, 1), (3, 20), (10, 5), (10, 30), (10, 200), (50, 120)] {
            for (first, more) in [(190, 5), (195, 3), (199, 1), (150, 60), (190, 15), (190, 60), (200, 1)] {
                let fake = fake_with_logs(200);
                let client = IntegrationClient::builder("http://localhost").api_key("any");
                let client = client.http_client(fake.http_client()).build().unwrap();
                let listing = client.logs().list(()).page_size(page_size).stability(order);
                let case = format!("{first} and {more} of {page_size}, {growth} came, {order:?}");
                let (mut ids, mut cursor, mut next) = (Vec::new(), None::<Cursor>, 201);
                for most in [first, more, more, u64::MAX] {
                    let listing = match cursor {
                        Some(cursor) => listing.clone().resume(cursor),
                        None => listing.clone(),
                    };
                    let read = listing.max_items(most).collect().await;
                    assert!(read.error.is_none(), "{case}: {:?}", read.error);
                    let new = read.items.iter().map(|it| it.id.to_string().parse::<u64>().unwrap());
                    let before: BTreeSet<u64> = ids.iter().copied().collect();
                    let new: Vec<_> = new.collect();
                    let repeats = new.iter().filter(|it| before.contains(it)).count();
                    assert!(repeats <= page_size as usize, "{case}: {repeats} again, {:?}", read.summary);
                    ids.extend(new);
                    cursor = read.cursor;
                    for _ in 0..growth {
                        fake.integration().add_raw(log_text(next));
                        next += 1;
                    }
                }
                let missing: Vec<_> = (1..=200).filter(|it| !ids.contains(it)).collect();
                assert!(missing.is_empty(), "{case}: {missing:?}");
            }
        }
    }
}

/// Reads a log of 2,000 records in runs of 120. Behind each, as many come at the head, and of those that were
/// delivered, the records at these distances from the last one go. Returns the most repeats and requests of a run.
async fn stopped_again_and_again(page_size: u32, order: Stability, growth: u64, gone: &[usize]) -> (usize, u64) {
    let fake = fake_with_logs(2_000);
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let listing = client.build().unwrap().logs().list(()).page_size(page_size).stability(order).max_items(120);
    let mut log: Vec<u64> = (1..=2_000).rev().collect();
    let (mut seen, mut cursor, mut most) = (BTreeSet::new(), None::<Cursor>, (0, 0));
    while seen.len() < 1_900 {
        let listing = cursor.take().map_or(listing.clone(), |it| listing.clone().resume(it));
        let read = listing.collect().await;
        assert!(read.error.is_none(), "{:?}", read.error);
        let ids: Vec<u64> = read.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
        let repeats = ids.iter().filter(|it| !seen.insert(**it)).count();
        most = (most.0.max(repeats), most.1.max(read.summary.requests));
        let last = log.iter().position(|it| Some(it) == ids.last()).unwrap();
        for distance in gone {
            fake.integration().log().remove(last - distance);
            log.remove(last - distance);
        }
        for _ in 0..growth {
            let id = log[0].max(2_000) + 1;
            fake.integration().add_raw(log_text(id));
            log.insert(0, id);
        }
        cursor = read.cursor;
    }
    most
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_is_stopped_again_and_again_goes_on_where_it_was_although_more_and_more_of_the_log_is_gone() {
    for order in [Stability::Stable, Stability::Unstable] {
        for (page_size, gone) in [(3, &[0, 1, 2, 3, 4][..]), (10, &[0, 1, 2, 3, 4]), (50, &[0, 7, 19, 40, 41, 90])] {
            let (repeats, requests) = stopped_again_and_again(page_size, order, 10, gone).await;
            let undisturbed = 120u64.div_ceil(u64::from(page_size) - 1);
            let most = undisturbed + 1 + 2 * 10u64.div_ceil(u64::from(page_size) - 1) + 4;
            assert!(repeats <= page_size as usize, "{repeats} again, pages of {page_size}, {order:?}");
            assert!(requests <= most, "{requests} requests and not {most}, pages of {page_size}, {order:?}");
        }
    }
}
