//! The promises about scans: verdicts, cursors, moving records and newer records.

use actionlog::page::{Cause, Doubt, Growth, Proof, Stability};
use actionlog::testing::Fault;
use actionlog::{Cursor, ErrorKind, Verdict};
use futures_util::{StreamExt, TryStreamExt};

use super::scene::{Api, Door, Scene};

/// A cursor that was stored and read back.
fn stored(cursor: &Cursor) -> Cursor {
    serde_json::from_str(&serde_json::to_string(cursor).unwrap()).unwrap()
}

pub(super) async fn the_verdict_is_correct<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    let fixed = scene.listing().stability(Stability::Stable).collect().await;
    let expected = if A::HAS_TOTAL { Verdict::Complete(Proof::Total) } else { Verdict::Unverified(Doubt::NoTotal) };
    assert_eq!(fixed.summary.verdict, expected);
    assert_eq!(fixed.complete().is_ok(), A::HAS_TOTAL);

    // Unless the listing is stable, the doubt about moves remains.
    let all = scene.listing().stability(Stability::Unstable).collect().await;
    let expected = Verdict::Unverified(if A::HAS_TOTAL { Doubt::OrderMayChange } else { Doubt::NoTotal });
    assert_eq!(all.summary.verdict, expected);
    assert_eq!((all.summary.delivered, all.items.len()), (120, 120));
    assert_eq!(all.complete_or_unverified().unwrap().len(), 120);

    let few = scene.listing().max_items(7).collect().await;
    assert_eq!(few.summary.verdict, Verdict::Incomplete(Cause::MaxItems));
    assert_eq!(few.complete().unwrap_err().kind(), ErrorKind::Incomplete);
    let paged = scene.listing().page_size(10).max_pages(2).collect().await;
    assert_eq!(paged.summary.verdict, Verdict::Incomplete(Cause::MaxPages));
    let late = scene.listing().start_offset(3).collect().await;
    assert_eq!((late.summary.verdict, late.items.len()), (Verdict::Incomplete(Cause::StartOffset), 117));

    let (items, summary) = scene.listing().stability(Stability::Unstable).items().summarised();
    assert_eq!(summary.get().verdict, Verdict::Incomplete(Cause::NotFinished));
    let chunks: Vec<_> = items.chunks(50).collect().await;
    assert_eq!(chunks.len(), 3);
    assert_eq!(summary.get().verdict, expected);
}

pub(super) async fn records_added_during_a_scan_are_delivered_late<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    let mut items = scene.listing().page_size(20).items();
    let mut read = Vec::new();
    while let Some(record) = items.next().await {
        read.push(A::id(&record.unwrap()));
        if read.len() == 50 {
            scene.log.add_samples(3);
        }
    }
    let summary = items.summary();
    assert_eq!((read.len(), summary.delivered, summary.late), (123, 123, 3));
    assert!(!summary.verdict.is_complete() && !summary.verdict.is_incomplete(), "{}", summary.verdict);
    let mut held = scene.held();
    held.sort();
    read.sort();
    assert_eq!(read, held);
}

pub(super) async fn a_scan_resumes_where_it_stopped<A: Api>(door: Door) {
    for stop in [0, 1, 7, 49, 50, 119, 120] {
        let scene = Scene::<A>::new(door, 120).await;
        let before = scene.held();
        let mut items = scene.listing().page_size(20).items().with_cursor();
        let (mut read, mut cursor) = (Vec::new(), None);
        for _ in 0..stop {
            let (record, at) = items.next().await.unwrap().unwrap();
            read.push(A::id(&record));
            cursor = Some(at);
        }
        let quiet = stop % 2 == 0;
        if !quiet {
            scene.log.add_samples(30);
            scene.log.remove(40);
        }
        let listing = match &cursor {
            Some(cursor) => scene.listing().resume(stored(cursor)),
            None => scene.listing(),
        };
        let listing = listing.stability(Stability::Stable);
        let rest = listing.collect().await;
        assert!(!rest.summary.verdict.is_incomplete(), "{stop}: {}", rest.summary.verdict);
        if quiet {
            assert_eq!(rest.summary.verdict.is_complete(), A::HAS_TOTAL, "{stop}: {}", rest.summary.verdict);
            assert_eq!(rest.items.len(), 120 - stop, "{stop}");
        }
        read.extend(rest.items.iter().map(A::id));
        let held = scene.held();
        let missed: Vec<_> = before.iter().filter(|it| held.contains(it) && !read.contains(it)).collect();
        assert!(missed.is_empty(), "{stop}: {missed:?}");
    }
}

pub(super) async fn an_error_has_a_cursor_to_resume_from<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 60).await;
    let mut items = scene.listing().page_size(20).items();
    let mut read = Vec::new();
    for _ in 0..20 {
        read.push(A::id(&items.next().await.unwrap().unwrap()));
    }
    scene.fake.fail_next(Fault::Status(400));
    let error = items.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert!(items.next().await.is_none());
    assert_eq!(items.summary().verdict, Verdict::Incomplete(Cause::Failed));
    let rest = scene.listing().resume(stored(error.cursor().unwrap())).items();
    let rest: Vec<_> = rest.map_ok(|it| A::id(&it)).try_collect().await.unwrap();
    read.extend(rest);
    assert_eq!(read, scene.held());
}

pub(super) async fn a_scan_continues_after_a_transient_error<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 60).await;
    let mut items = scene.listing().page_size(20).retry(actionlog::RetryPolicy::never()).items();
    let (mut read, mut errors) = (Vec::new(), 0);
    while let Some(record) = items.next().await {
        match record {
            Ok(record) => read.push(A::id(&record)),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                errors += 1;
            }
        }
        if read.len() == 20 && errors == 0 {
            let headers = Vec::from([("retry-after".to_owned(), "0".to_owned())]);
            scene.fake.fail_next(Fault::StatusWith { status: 503, headers, body: String::new() });
        }
    }
    assert_eq!((read, errors), (scene.held(), 1));
}

pub(super) async fn a_cursor_of_another_listing_is_rejected_with_the_difference<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 3).await;
    let all = scene.listing().collect().await;
    let mut other = serde_json::to_value(all.cursor.unwrap()).unwrap();
    other["listing"]["parameters"]["secret-filter"] = "00".into();
    let sent = scene.fake.requests().len();
    let error = scene.listing().resume(serde_json::from_value(other).unwrap()).items().next().await.unwrap();
    let error = error.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("the parameter secret-filter"), "{error}");
    assert_eq!(scene.fake.requests().len(), sent, "nothing was sent");
}

pub(super) async fn newer_records_are_yielded_oldest_first<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 60).await;
    let mut cursor = scene.listing().collect().await.cursor.unwrap();
    for grown in [0, 1, 7, 130] {
        scene.log.add_samples(grown);
        // Arklow's order is undocumented, so the test sets the stability.
        let newer = scene.listing().growth(Growth::AtHead).newer_than(stored(&cursor)).collect().await;
        assert_eq!(newer.summary.verdict, Verdict::Unverified(Doubt::OnlyNewer), "{grown}");
        let mut expected = scene.held()[..grown].to_vec();
        expected.reverse();
        assert_eq!(newer.items.iter().map(A::id).collect::<Vec<_>>(), expected, "{grown}");
        cursor = newer.cursor.unwrap();
    }
}

pub(super) async fn since_stops_requesting_or_reports_that_it_cannot<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 120).await;
    let Some(time) = A::time_of_tenth(&scene.listing()).await else {
        let sent = scene.fake.requests().len();
        let error = scene.listing().since(chrono::Utc::now()).items().next().await.unwrap().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(scene.fake.requests().len(), sent, "nothing was sent");
        return;
    };
    let sent = scene.fake.requests().len();
    let newer = scene.listing().page_size(20).since(time).collect().await;
    assert_eq!(newer.items.iter().map(A::id).collect::<Vec<_>>(), scene.held()[..10]);
    assert_eq!(newer.summary.verdict, Verdict::Unverified(Doubt::Since));
    assert!(!newer.summary.scanned_to_end);
    assert_eq!(scene.fake.requests().len() - sent, 1, "the rest isn't asked for");

    // Out of order: the scan continues to the end, and reports that.
    scene.log.move_to_head(100);
    let newer = scene.listing().page_size(20).since(time).collect().await;
    assert!(newer.summary.scanned_to_end);
    assert_eq!(newer.items.iter().map(A::id).collect::<Vec<_>>(), scene.held()[1..11]);
}

pub(super) async fn a_log_that_grows_by_nearly_a_page_before_each_request_is_scanned_to_its_end<A: Api>(door: Door) {
    let scene = Scene::<A>::new(door, 30).await;
    let before = scene.held();
    // The server sends the first page for any offset. A pager that doesn't check its position can't notice.
    scene.fake.before_each(|fake| {
        A::log(fake).add_samples(19);
    });
    let read = scene.listing().page_size(20).collect().await;
    let ids: Vec<_> = read.items.iter().map(A::id).collect();
    assert!(before.iter().all(|it| ids.contains(it)), "{:?}", read.summary);
    assert!(!read.summary.verdict.is_incomplete(), "{:?}", read.summary);
    // Records added meanwhile are delivered too, where the head is scanned again: at most 19 per page. A few pages were
    // prefetched in vain: three, and then one, before the scan stops prefetching for a while; twice at most.
    assert!(read.summary.requests <= 20 + read.summary.late / 19 + 8, "{:?}", read.summary);
}
