//! Every promise that holds for all three APIs, checked for each of them.

mod scans;
mod scene;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actionlog::page::Paginate;
use actionlog::testing::{FakeServer, Fault, InMemory, Log};
use actionlog::{ErrorKind, Items, Listing, Pages, Result, WriteOutcome};
use scans::{
    a_cursor_of_another_listing_is_rejected_with_the_difference,
    a_log_that_grows_by_nearly_a_page_before_each_request_is_scanned_to_its_end,
    a_scan_continues_after_a_transient_error, a_scan_resumes_where_it_stopped, an_error_has_a_cursor_to_resume_from,
    newer_records_are_yielded_oldest_first, records_added_during_a_scan_are_delivered_late,
    since_stops_requesting_or_reports_that_it_cannot, the_verdict_is_correct,
};
use scene::{Api, Door, Scene, Unleash, walk};

const SIZES: [usize; 8] = [0, 1, 2, 49, 50, 51, 101, 120];

async fn a_scan_yields_every_record_once_and_in_order<A: Api>(door: Door) {
    for records in SIZES {
        let scene = Scene::<A>::new(door, records).await;
        for page_size in [1, 2, 7, A::LARGEST].into_iter().filter(|it| *it > 1 || records <= 50) {
            scene.expect_all(page_size).await;
        }
    }
}

async fn records_added_at_the_head_hide_no_others<A: Api>(door: Door) {
    for page_size in [3, 7, A::LARGEST] {
        let scene = Scene::<A>::new(door, 120).await;
        let (before, requests) = (scene.held(), AtomicUsize::new(0));
        scene.fake.before_each(move |fake| {
            if requests.fetch_add(1, Ordering::Relaxed) % 3 == 1 {
                A::log(fake).add_samples(1);
            }
        });
        let walked = scene.walk(page_size).await;
        assert_eq!(walked.errors, []);
        expect_none_missed::<A>(&before, &walked.read, page_size);
    }
}

async fn records_removed_hide_no_others<A: Api>(door: Door) {
    for page_size in [3, 7, A::LARGEST] {
        let scene = Scene::<A>::new(door, 120).await;
        let requests = AtomicUsize::new(0);
        scene.fake.before_each(move |fake| {
            if requests.fetch_add(1, Ordering::Relaxed) % 4 == 1 {
                A::log(fake).remove(0);
                A::log(fake).remove(3);
            }
        });
        let walked = scene.walk(page_size).await;
        assert_eq!(walked.errors, []);
        expect_none_missed::<A>(&scene.held(), &walked.read, page_size);
    }
}

fn expect_none_missed<A: Api>(expected: &[String], read: &[String], page_size: u32) {
    let delivered: HashSet<_> = read.iter().collect();
    assert_eq!(delivered.len(), read.len(), "{} by {page_size}: none twice", A::NAME);
    let missed: Vec<_> = expected.iter().filter(|it| !delivered.contains(it)).collect();
    assert!(missed.is_empty(), "{} by {page_size}: {missed:?} missed", A::NAME);
}

async fn a_clamp_loses_nothing<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    for largest in [1, 3, 49] {
        A::clamp(&scene.fake, largest);
        for page_size in [7, A::LARGEST] {
            scene.expect_all(page_size).await;
        }
    }
}

async fn a_short_page_is_not_the_end<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    for page_size in [7, A::LARGEST] {
        for fine_before in 0..3 {
            let requests = AtomicUsize::new(0);
            scene.fake.before_each(move |fake| {
                if requests.fetch_add(1, Ordering::Relaxed) == fine_before {
                    fake.fail_next(Fault::ShortByOne);
                }
            });
            scene.expect_all(page_size).await;
        }
    }
}

async fn one_empty_page_is_not_the_end<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    for page_size in [1, 7, A::LARGEST] {
        for fine_before in 0..3 {
            let requests = AtomicUsize::new(0);
            scene.fake.before_each(move |fake| {
                if requests.fetch_add(1, Ordering::Relaxed) == fine_before {
                    fake.fail_next(Fault::EmptyOnce);
                }
            });
            scene.expect_all(page_size).await;
        }
    }
}

async fn an_invalid_record_affects_no_other<A: Api>(door: Door) {
    for text in ["null", r#"{"id":{},"_id":[]}"#, "[1,2]"] {
        let scene = Scene::<A>::new(door, 60).await;
        scene.log.insert_raw(33, text);
        for page_size in [1, 7, A::LARGEST] {
            let walked = scene.walk(page_size).await;
            assert_eq!(walked.errors, [ErrorKind::InvalidRecord], "{text} by {page_size}");
            assert_eq!(walked.read, scene.held(), "{text} by {page_size}");
        }
    }
}

async fn wrong_credentials_are_unauthorized_and_sent_once<A: Api>(door: Door) {
    let scene = Scene::<A>::with_key(door, 3, "wrong").await;
    let error = scene.listing().page().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, WriteOutcome::NotApplied));
    assert_eq!(error.status().map(|it| it.as_u16()), Some(401));
    assert!(error.api().is_some_and(|it| it.message().is_some()), "{error}");
    assert!(error.hint().is_some() && !error.is_transient());
    assert_eq!((error.attempts(), scene.fake.requests().len()), (1, 1));
    assert!(!format!("{error} {error:?}").contains("wrong"));
    assert!(scene.fake.requests()[0].has_header(A::HEADER));
}

async fn a_server_that_is_briefly_busy_is_retried<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    for status in [408, 429, 500, 502, 503, 504] {
        scene.fake.fail_next(Fault::Status(status)).fail_next(Fault::Status(status));
        scene.expect_all(A::LARGEST).await;
    }
}

async fn an_error_has_the_servers_message<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 3).await;
    scene.fake.fail_next(Fault::Status(403));
    let error = scene.listing().page().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.status().map(|it| it.as_u16()), Some(403));
    assert_eq!(error.api().and_then(|it| it.message()), Some("A fault that the test requested."));

    scene.fake.fail_next(Fault::StatusWith {
        status: 429,
        headers: vec![
            ("retry-after".to_owned(), "3600".to_owned()),
            ("content-type".to_owned(), "text/plain".to_owned()),
        ],
        body: "Slow down".to_owned(),
    });
    let error = scene.listing().page().await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(3600))));
    assert_eq!(error.api().and_then(|it| it.message()), Some("Slow down"));
    assert!(error.is_transient());
    assert_eq!(error.attempts(), 1, "an hour isn't waited for");
}

async fn a_page_size_out_of_range_is_rejected_before_sending<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 3).await;
    let sizes = [Some(0), (A::NAME != Unleash::NAME).then_some(A::LARGEST + 1)];
    for page_size in sizes.into_iter().flatten() {
        let listing = scene.listing().page_size(page_size);
        let error = listing.clone().page().await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::InvalidRequest, WriteOutcome::NotSent));
        let walked = walk::<A>(listing).await;
        assert_eq!(walked.errors, [ErrorKind::InvalidRequest]);
    }
    assert_eq!(scene.fake.requests(), []);
}

async fn a_valid_client_is_ready<A: Api>(door: Door) {
    for records in [0, 3] {
        let scene = Scene::<A>::new(door, records).await;
        let check = A::check(&scene.client).await;
        assert!(check.is_ready(), "{check}");
        assert_eq!(scene.fake.requests().len(), 1);
    }
}

async fn max_items_and_a_start_offset_are_respected<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    let held = scene.held();
    for (page_size, most) in [(7, 0), (7, 1), (7, 7), (7, 20), (50, 3), (50, 50), (50, 119), (50, 500)] {
        let read = walk::<A>(scene.listing().page_size(page_size).max_items(most)).await.read;
        assert_eq!(read, held[..held.len().min(most as usize)], "at most {most} by {page_size}");
    }
    let sent = scene.fake.requests().len();
    assert_eq!(walk::<A>(scene.listing().page_size(50).max_items(50)).await.read.len(), 50);
    assert_eq!(scene.fake.requests().len(), sent + 1, "what is full isn't asked for more");

    let mut pages = scene.listing().page_size(10).max_pages(2).pages();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().entries.len());
    }
    assert_eq!(sizes, [10, 9], "one record of overlap is delivered once");

    for start in [1, 60, 119] {
        let read = walk::<A>(scene.listing().page_size(7).start_offset(start)).await.read;
        assert_eq!(read, held[start as usize..], "from {start}");
    }
    assert_eq!(walk::<A>(scene.listing().page_size(7).start_offset(500)).await.read, [] as [String; 0]);
    let page = scene.listing().page_size(7).start_offset(3).page().await.unwrap();
    assert_eq!(page.records().map(A::id).collect::<Vec<_>>(), held[3..10]);
}

async fn a_stream_may_be_dropped_half_way<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    for read in [0, 1, 7, 8] {
        let mut items = scene.listing().page_size(7).items();
        for _ in 0..read {
            items.next().await.unwrap().unwrap();
        }
        drop(items);
    }
    // The future of the next record is `Send` too.
    let mut items = scene.listing().page_size(7).items();
    let mut read = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            item = items.next() => match item {
                Some(item) => read.push(A::id(&item.unwrap())),
                None => break,
            },
        }
    }
    assert_eq!(read, scene.held());
}

async fn a_stream_is_lazy<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    let mut items = scene.listing().page_size(10).items();
    assert_eq!(scene.fake.requests(), []);
    for _ in 0..10 {
        items.next().await.unwrap().unwrap();
    }
    assert_eq!(scene.fake.requests().len(), 1);
}

/// Never called: that it compiles is the promise.
#[allow(dead_code)]
fn streams_and_clients_can_go_anywhere<A: Api>() {
    fn anywhere<T: Send + Unpin + 'static>() {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    anywhere::<Items<A::Query>>();
    anywhere::<Pages<A::Query>>();
    anywhere::<Result<<A::Query as Paginate>::Item>>();
    shared::<A::Client>();
    shared::<Listing<A::Query>>();
    shared::<actionlog::Error>();
    shared::<FakeServer>();
    shared::<Log>();
    anywhere::<InMemory>();
}

/// A test for each promise and API, in memory and over the network.
macro_rules! promises {
    ($($promise:ident,)+) => {
        promises!(@api of_unleash Unleash $($promise)+);
        promises!(@api of_arklow Arklow $($promise)+);
        promises!(@api of_integration Integration $($promise)+);
    };
    (@api $module:ident $api:ident $($promise:ident)+) => {
        mod $module {
            use super::scene::{$api, Door};

            $(#[tokio::test]
            async fn $promise() {
                super::$promise::<$api>(Door::Memory).await;
                super::$promise::<$api>(Door::Network).await;
            })+
        }
    };
}

promises! {
    a_scan_yields_every_record_once_and_in_order,
    records_added_at_the_head_hide_no_others,
    records_removed_hide_no_others,
    a_clamp_loses_nothing,
    a_short_page_is_not_the_end,
    one_empty_page_is_not_the_end,
    an_invalid_record_affects_no_other,
    wrong_credentials_are_unauthorized_and_sent_once,
    a_server_that_is_briefly_busy_is_retried,
    an_error_has_the_servers_message,
    a_page_size_out_of_range_is_rejected_before_sending,
    a_valid_client_is_ready,
    max_items_and_a_start_offset_are_respected,
    a_stream_may_be_dropped_half_way,
    a_stream_is_lazy,
    the_verdict_is_correct,
    records_added_during_a_scan_are_delivered_late,
    a_scan_resumes_where_it_stopped,
    an_error_has_a_cursor_to_resume_from,
    a_scan_continues_after_a_transient_error,
    a_cursor_of_another_listing_is_rejected_with_the_difference,
    newer_records_are_yielded_oldest_first,
    since_stops_requesting_or_reports_that_it_cannot,
    a_log_that_grows_by_nearly_a_page_before_each_request_is_scanned_to_its_end,
}
