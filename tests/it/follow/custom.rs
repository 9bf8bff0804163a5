//! Followers of a listing that isn't one of this crate's, at both of its ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actionlog::follow::{Batch, Change, Checkpoint, Follow, GapReason, StartFrom};
use actionlog::page::{Envelope, Growth, ListPage, PageSizes, Paginate, RecordKey, Stability, Window};
use actionlog::{Body, DecodeError, ErrorKind, HttpClient, HttpError, Request};
use async_trait::async_trait;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::follow::SECOND;
use crate::support::builder;

/// The jobs of a queue: no ids that grow, no times, and names of its own for the window.
#[derive(Clone, Debug)]
struct Jobs {
    growth: Growth,
}

#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Job {
    name: String,
    done: bool,
}

struct JobsEnvelope;

#[derive(serde::Deserialize)]
struct JobsBody<R> {
    jobs: Vec<R>,
}

impl Envelope for JobsEnvelope {
    type Of<R: DeserializeOwned> = JobsBody<R>;

    fn open<R: DeserializeOwned>(body: JobsBody<R>) -> Result<ListPage<R>, DecodeError> {
        Ok(ListPage::new(body.jobs))
    }
}

impl Paginate for Jobs {
    type Item = Job;
    type Envelope = JobsEnvelope;

    fn request(&self) -> Request<()> {
        Request::get("jobs", [] as [&str; 0])
    }

    fn window<T>(&self, request: Request<T>, window: Window) -> Request<T> {
        request.view_param("from", window.offset).view_param("count", window.limit)
    }

    fn record_key(job: &Job) -> RecordKey {
        RecordKey::from(job.name.as_str())
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::up_to(10)
    }

    fn stability(&self) -> Stability {
        Stability::Stable
    }

    fn growth(&self) -> Growth {
        self.growth
    }

    fn is_final(job: &Job) -> Option<bool> {
        Some(job.done)
    }
}

/// The jobs of a server, in the order of its listing, and how many requests it got.
#[derive(Clone, Debug, Default)]
struct Queue {
    jobs: Arc<Mutex<Vec<(u32, bool)>>>,
    requests: Arc<AtomicUsize>,
}

impl Queue {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<(u32, bool)>) -> T) -> T {
        change(&mut self.jobs.lock().unwrap())
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Adds jobs at the end that grows.
    fn grow(&self, growth: Growth, jobs: impl Iterator<Item = u32>) {
        self.change(|it| {
            for job in jobs {
                it.insert(if growth == Growth::AtHead { 0 } else { it.len() }, (job, true));
            }
        });
    }

    fn follow(&self, growth: Growth) -> Follow<Jobs> {
        self.follow_with(growth, Stability::Stable)
    }

    fn follow_with(&self, growth: Growth, stability: Stability) -> Follow<Jobs> {
        let client = builder("http://localhost").http_client(self.clone()).build().unwrap();
        client.listing(Jobs { growth }).stability(stability).follow()
    }
}

/// A name that says nothing of the order.
fn name(job: u32) -> String {
    format!("{:08x}", job.wrapping_mul(2_654_435_761))
}

#[async_trait]
impl HttpClient for Queue {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let uri = request.uri().to_string();
        let number =
            |name: &str| -> usize { uri.split_once(name).unwrap().1.split('&').next().unwrap().parse().unwrap() };
        let (from, count) = (number("from="), number("count="));
        self.requests.fetch_add(1, Ordering::Relaxed);
        let job = |it: &(u32, bool)| format!(r#"{{"name": "{}", "done": {}}}"#, name(it.0), it.1);
        let page: Vec<_> = self.jobs.lock().unwrap().iter().skip(from).take(count).map(job).collect();
        Ok(http::Response::new(Body::from(Bytes::from(format!(r#"{{"jobs": [{}]}}"#, page.join(","))))))
    }
}

fn short(change: &Change<Job>) -> String {
    match change {
        Change::New(job) => format!("+{}", job.name),
        Change::Late(job) => format!("~{}", job.name),
        Change::Updated(job) => format!("={}", job.name),
        Change::Removed(key) => format!("-{key}"),
        other => format!("{other:?}"),
    }
}

async fn next(follow: &mut Follow<Jobs>) -> Batch<Job> {
    follow.next().await.unwrap().unwrap()
}

/// Reads until there are so many changes.
async fn changes(follow: &mut Follow<Jobs>, count: usize) -> (Vec<String>, Checkpoint) {
    let mut changes = Vec::new();
    loop {
        let batch = next(follow).await;
        assert!(batch.changes.len() <= 10, "more than a page: {batch:?}");
        changes.extend(batch.changes.iter().map(short));
        if changes.len() >= count {
            return (changes, batch.checkpoint);
        }
    }
}

fn new(jobs: impl Iterator<Item = u32>) -> Vec<String> {
    jobs.map(|it| format!("+{}", name(it))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_custom_listing_is_followed_at_the_end_that_it_says_grows() {
    for growth in [Growth::AtHead, Growth::AtEnd] {
        let queue = Queue::default();
        queue.grow(growth, 1..=45);
        let mut follow = queue.follow(growth).lookback(40);
        let (first, _) = changes(&mut follow, 45).await;
        let expected = if growth == Growth::AtHead { new((1..=45).rev()) } else { new(1..=45) };
        assert_eq!(first, expected, "{growth:?}");
        // Oldest first from here on, more than a page at once.
        queue.grow(growth, 46..=70);
        assert_eq!(changes(&mut follow, 25).await.0, new(46..=70), "{growth:?}");
        // In the lookback: a change, a late job, one that goes.
        let at = |it: &[(u32, bool)], job: u32| it.iter().position(|it| it.0 == job).unwrap();
        queue.change(|it| {
            let index = at(it, 50);
            it[index].1 = false;
        });
        assert_eq!(changes(&mut follow, 1).await.0, [format!("={}", name(50))], "{growth:?}");
        queue.change(|it| {
            let index = at(it, 55);
            it.insert(index, (900, true));
        });
        assert_eq!(changes(&mut follow, 1).await.0, [format!("~{}", name(900))], "{growth:?}");
        queue.change(|it| {
            let index = at(it, 60);
            it.remove(index)
        });
        let (gone, checkpoint) = changes(&mut follow, 1).await;
        assert_eq!(gone, [format!("-{}", name(60))], "{growth:?}");

        // Another process goes on from the checkpoint.
        drop(follow);
        queue.grow(growth, 71..=73);
        let checkpoint: Checkpoint = checkpoint.to_string().parse().unwrap();
        let mut follow =
            queue.follow(growth).lookback(40).sweep_interval(None).start_from(StartFrom::Checkpoint(checkpoint));
        assert_eq!(changes(&mut follow, 3).await.0, new(71..=73), "{growth:?}");
        while !next(&mut follow).await.progress.caught_up {}
        let before = queue.requests();
        for _ in 0..5 {
            assert!(next(&mut follow).await.changes.is_empty());
        }
        assert_eq!(queue.requests() - before, 5, "{growth:?}: an idle poll is one request");
    }
}

#[tokio::test(start_paused = true)]
async fn a_custom_listing_that_says_only_that_one_end_grows_is_followed_once_a_new_record_shows_which() {
    for growth in [Growth::AtHead, Growth::AtEnd] {
        let queue = Queue::default();
        queue.grow(growth, 1..=25);
        let mut follow = queue.follow(Growth::OneEnd).sweep_interval(None);
        assert_eq!(changes(&mut follow, 25).await.0.len(), 25);
        queue.grow(growth, 26..=27);
        assert_eq!(changes(&mut follow, 2).await.0, new(26..=27), "{growth:?}");
        queue.grow(growth, 28..=60);
        assert_eq!(changes(&mut follow, 33).await.0, new(28..=60), "{growth:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_custom_listing_that_does_not_say_where_it_grows_or_has_no_times_is_refused_where_that_is_needed() {
    let queue = Queue::default();
    let error = queue.follow(Growth::Unknown).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("`Listing::growth`"), "{error}");
    let since = StartFrom::Since(chrono::Utc::now());
    let error = queue.follow(Growth::AtHead).start_from(since).next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("no timestamp"), "{error}");
    assert_eq!(queue.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_emptied_listing_that_grows_at_its_end_is_a_gap_as_long_as_it_lasts() {
    for growth in [Growth::AtHead, Growth::AtEnd] {
        let queue = Queue::default();
        queue.grow(growth, 1..=45);
        let mut follow = queue.follow(growth).max_poll_interval(5 * SECOND);
        changes(&mut follow, 45).await;
        while !next(&mut follow).await.progress.caught_up {}
        let jobs = queue.change(std::mem::take);
        let mut batch = next(&mut follow).await;
        let before = queue.requests();
        // Two minutes, with two sweeps.
        for _ in 0..30 {
            assert_eq!(batch.progress.gap.map(|it| it.reason), Some(GapReason::Emptied), "{growth:?}");
            assert!(batch.changes.is_empty() && !batch.progress.caught_up, "{growth:?}: {batch:?}");
            batch = next(&mut follow).await;
        }
        let requests = queue.requests() - before;
        assert!((60..=70).contains(&requests), "{growth:?}: two requests a poll, and not {requests} in all");
        // They come back, with one more, and none of them is delivered again.
        queue.change(|it| *it = jobs);
        queue.grow(growth, 46..=46);
        assert_eq!(changes(&mut follow, 1).await.0, new(46..=46), "{growth:?}");
        while !next(&mut follow).await.progress.caught_up {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_comes_late_below_all_others_is_delivered_whatever_stands_above_it() {
    // Page by page: one record alone, a page that ends with the oldest record, and one that begins with it.
    for growth in [Growth::AtHead, Growth::AtEnd] {
        for stability in [Stability::Stable, Stability::Unstable] {
            for length in 1..=22 {
                let queue = Queue::default();
                queue.grow(growth, 1..=length);
                let mut follow = queue.follow_with(growth, stability);
                changes(&mut follow, length as usize).await;
                while !next(&mut follow).await.progress.caught_up {}
                queue.change(|it| it.insert(if growth == Growth::AtHead { it.len() } else { 0 }, (900, true)));
                let mut found = Vec::new();
                // Ten minutes and more, with a whole sweep.
                for _ in 0..40 {
                    found.extend(next(&mut follow).await.changes.iter().map(short));
                }
                // Where records move, one alone doesn't show on which side of it another one came.
                if (length, stability, &*found) == (1, Stability::Unstable, &new([900].into_iter())) {
                    continue;
                }
                assert_eq!(found, [format!("~{}", name(900))], "{length} jobs, {growth:?}, {stability:?}");
            }
        }
    }
}
