//! The largest and the least values of a follower's settings.

use std::time::Duration;

use actionlog::follow::StartFrom;
use tokio::time::{Instant, timeout};

use crate::follow::{SECOND, catch_up, changed, event, events, fake_with_events, new, shorts, unleash};

#[tokio::test(start_paused = true)]
async fn the_longest_intervals_are_no_panic_and_no_further_poll() {
    let server = fake_with_events(120);
    let mut follow = events(&server)
        .poll_interval(Duration::MAX)
        .max_poll_interval(Duration::MAX)
        .sweep_interval(Duration::MAX)
        .full_scan_interval(Duration::MAX)
        .auth_grace(Duration::MAX);
    assert_eq!(catch_up(&mut follow).await.len(), 120);
    let before = server.requests().len();
    assert!(timeout(365 * 86_400 * SECOND, follow.next()).await.is_err());
    assert_eq!(server.requests().len(), before);
    // While polls wait for ever, sweeps come as often as they are to.
    let start = StartFrom::Latest;
    let mut follow = events(&server).start_from(start).poll_interval(Duration::MAX).sweep_interval(60 * SECOND);
    catch_up(&mut follow).await;
    server.unleash().add_raw("default", 1, event(121, "success"));
    assert_eq!(changed(&mut follow).await, ["+121"]);
}

#[tokio::test(start_paused = true)]
async fn the_shortest_intervals_wait_between_rounds_and_a_full_scan_comes_to_its_end() {
    let server = fake_with_events(400);
    for latency in [Duration::ZERO, SECOND] {
        let client = crate::support::builder("http://localhost").http_client(server.http_client().latency(latency));
        let listing = client.build().unwrap().action_set_events().list(("default", 1));
        let mut follow = listing
            .follow()
            .lookback(100)
            .poll_interval(Duration::ZERO)
            .max_poll_interval(Duration::ZERO)
            .sweep_interval(Duration::ZERO)
            .full_scan_interval(Duration::ZERO);
        catch_up(&mut follow).await;
        let begin = Instant::now();
        for turn in 0.. {
            assert!(turn < 2_000, "{latency:?}: no full scan has ended");
            if follow.next().await.unwrap().unwrap().progress.full_scans == 3 {
                break;
            }
        }
        assert!(begin.elapsed() > Duration::ZERO, "{latency:?}: a hot loop");
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_lookback_remembers_everything_and_the_least_two_pages() {
    let server = fake_with_events(400);
    let mut follow = events(&server).lookback(usize::MAX);
    assert_eq!(catch_up(&mut follow).await, new((1..=400).rev()));
    let log = server.unleash().log("default", 1);
    log.replace(399, event(1, "failed"));
    assert_eq!(changed(&mut follow).await, ["=1"]);
    log.insert_raw(400, event(1_000, "success"));
    assert_eq!(changed(&mut follow).await, ["~1000"]);
    let checkpoint = follow.next().await.unwrap().unwrap().checkpoint;
    let start = StartFrom::Checkpoint(checkpoint);
    let listing = unleash(&server).action_set_events().list(("default", 1));
    for page_size in [50, 3] {
        let mut follow = listing.clone().page_size(page_size).follow().lookback(usize::MAX).start_from(start.clone());
        assert_eq!(shorts(&follow.next().await.unwrap().unwrap()), [""; 0]);
    }

    let mut follow = listing.page_size(50).follow().lookback(0);
    catch_up(&mut follow).await;
    log.replace(99, event(301, "failed"));
    assert_eq!(changed(&mut follow).await, ["=301"]);
}
