//! Blocking calls and iterators, from threads without a runtime and from inside of one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use actionlog::integration::{ActionFields, ActionType, LogStatus};
use actionlog::observe::Event;
use actionlog::testing::{FakeServer, Fault};
use actionlog::{CheckStatus, ErrorKind, IntegrationClient, Result, RetryPolicy, blocking};
use tokio::runtime::Builder;

use crate::support::{fake_with_logs, integration};

/// How many records an iterator yields, none of which is an error.
fn records<T>(iterator: impl Iterator<Item = Result<T>>) -> usize {
    iterator.map(Result::unwrap).fold(0, |records, _| records + 1)
}

#[test]
fn calls_and_streams_work_without_a_runtime_over_real_connections() {
    let fake = fake_with_logs(230);
    let serving = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = serving.block_on(fake.listen()).unwrap();
    let client = IntegrationClient::builder(server.url()).api_key("any").build().unwrap();

    assert_eq!(client.check().blocking().unwrap().status(), CheckStatus::Ready);
    assert_eq!(client.logs().list(()).page().blocking().unwrap().len(), 100);
    assert_eq!(client.logs().get("missing").blocking().unwrap_err().kind(), ErrorKind::NotFound);
    let response = blocking::wait(client.logs().get("7").with_response()).unwrap().unwrap();
    assert_eq!((response.value.id.as_str(), response.status.as_u16()), ("7", 200));

    // From four threads at once, and each stream in its own form.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut logs = client.logs().list(()).items().blocking();
                let ids: Vec<_> = (&mut logs).map(|it| it.unwrap().id).collect();
                assert_eq!((ids.len(), logs.summary().delivered), (230, 230));
                assert_eq!(client.logs().list(()).pages().blocking().map(|it| it.unwrap().len()).sum::<usize>(), 230);
                let with_cursor = client.logs().list(()).items().with_cursor().blocking();
                let (_, cursor) = with_cursor.map(|it| it.unwrap()).nth(99).unwrap();
                let rest = client.logs().list(()).resume(cursor).items().with_invalid().blocking();
                assert_eq!(rest.filter(|it| it.as_ref().unwrap().is_ok()).count(), 130);
            });
        }
    });
}

#[test]
fn prefetching_continues_between_two_calls_of_next() {
    let server = fake_with_logs(500);
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let client = IntegrationClient::builder("http://localhost").api_key("any");
    let client = client.http_client(server.http_client().latency(Duration::from_millis(150)));
    let observe = move |event: &Event<'_>| {
        count.fetch_add(usize::from(matches!(event, Event::AttemptEnded(_))), Ordering::SeqCst);
    };
    let client = client.observer(observe).build().unwrap();
    let mut logs = client.logs().list(()).page_size(50).prefetch(4).items().blocking();
    // The first page is requested alone; with the second one, the two behind it are requested ahead.
    (&mut logs).take(51).for_each(|it| drop(it.unwrap()));
    let began = Instant::now();
    // The responses arrive although nobody calls `next`.
    while received.load(Ordering::SeqCst) < 4 && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(received.load(Ordering::SeqCst) >= 4);
    assert_eq!(records(logs), 500 - 51);
}

#[test]
fn inside_of_an_async_runtime_a_blocking_call_is_a_typed_error_and_sends_nothing() {
    let server = fake_with_logs(3);
    let client = integration(&server);
    let refused = |client: &IntegrationClient| {
        let error = client.logs().list(()).page().blocking().unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::CannotBlock, 0));
        assert!(error.hint().unwrap().contains("spawn_blocking"));
        let mut logs = client.logs().list(()).items().blocking();
        assert_eq!(logs.next().unwrap().unwrap_err().kind(), ErrorKind::CannotBlock);
        assert!(logs.next().is_none());
        assert_eq!(blocking::wait(async { 1 }).unwrap_err().kind(), ErrorKind::CannotBlock);
    };
    let single = Builder::new_current_thread().enable_all().build().unwrap();
    let multi = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for runtime in [&single, &multi] {
        runtime.block_on(async {
            refused(&client);
            let client = client.clone();
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                refused(&client);
            })
            .await
            .unwrap();
        });
    }
    assert!(server.requests().is_empty());

    // Where Tokio allows blocking, so does this.
    for runtime in [&single, &multi] {
        let client = client.clone();
        let call = move || client.logs().list(()).page().blocking().unwrap().len();
        assert_eq!(runtime.block_on(async { tokio::task::spawn_blocking(call).await }).unwrap(), 3);
    }
    let in_place = || tokio::task::block_in_place(|| client.logs().list(()).page().blocking().unwrap().len());
    assert_eq!(multi.block_on(async { in_place() }), 3);
    let _entered = single.enter();
    assert_eq!(client.logs().list(()).page().blocking().unwrap().len(), 3);
}

#[test]
fn iterators_are_dropped_anywhere_and_continue_as_streams() {
    let server = fake_with_logs(300);
    let client = integration(&server);
    let begun = || {
        let mut logs = client.logs().list(()).page_size(20).prefetch(8).items().blocking();
        (&mut logs).take(30).for_each(|it| drop(it.unwrap()));
        logs
    };
    drop(begun());
    let logs = begun();
    thread::spawn(move || drop(logs)).join().unwrap();
    let logs = begun();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move { drop(logs) });
    let mut logs = begun();
    // In the middle, with a stream again: nothing is lost, nothing comes twice.
    let rest = runtime.block_on(async move {
        assert_eq!(logs.next().unwrap().unwrap_err().kind(), ErrorKind::CannotBlock);
        let mut rest = logs.into_stream();
        let mut records = 0;
        while rest.try_next().await.unwrap().is_some() {
            records += 1;
        }
        records
    });
    assert_eq!(rest, 270);
}

#[test]
fn a_transient_error_is_an_item_and_the_iterator_continues() {
    let server = fake_with_logs(120);
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let client = client.retry(RetryPolicy::never()).build().unwrap();
    server.fail_next(Fault::Status(503));
    let mut logs = client.logs().list(()).items().blocking();
    assert!(logs.next().unwrap().unwrap_err().is_transient());
    assert_eq!(records(logs), 120);
}

#[test]
fn a_pending_log_that_is_dropped_writes_its_end_in_the_background() {
    let server = FakeServer::new();
    let client = integration(&server);
    let fields = ActionFields {
        integration_id: "integration-1".into(),
        action_type: ActionType::Sync,
        entity_type: "product".to_owned(),
    };
    let pending = client.logs().start(fields).blocking().unwrap();
    let id = pending.log().id.clone();
    drop(pending);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let log = client.logs().get(&id).blocking().unwrap();
            if log.status != LogStatus::Pending {
                return sender.send(log.status).unwrap();
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)).unwrap(), LogStatus::Failed);
}

#[test]
fn a_blocking_call_within_another_and_two_iterators_at_once_work() {
    let server = fake_with_logs(250);
    let inner = integration(&server);
    let (nested, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&nested), Arc::clone(&refused));
    // An observer runs on the thread of the caller, or for what is prefetched in the background, where it can't block.
    let observe = move |event: &Event<'_>| {
        if let Event::AttemptEnded(_) = event {
            match inner.logs().get("7").blocking() {
                Ok(_) => counts.0.fetch_add(1, Ordering::SeqCst),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::CannotBlock);
                    counts.1.fetch_add(1, Ordering::SeqCst)
                }
            };
        }
    };
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let client = client.observer(observe).build().unwrap();
    let mut one = client.logs().list(()).page_size(20).items().blocking();
    let mut other = client.logs().list(()).page_size(30).prefetch(4).items().blocking();
    let (mut pairs, mut last) = (0, String::new());
    while let (Some(a), Some(b)) = (one.next(), other.next()) {
        last = b.unwrap().id.to_string();
        assert_eq!(a.unwrap().id, last);
        pairs += 1;
    }
    assert_eq!(pairs, 250, "{last}");
    let (nested, refused) = (nested.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    assert!(nested > 0 && refused > 0, "{nested} {refused}");
}

#[test]
fn a_panic_in_the_code_of_a_user_ends_no_later_call() {
    let server = fake_with_logs(60);
    let panics = Arc::new(AtomicUsize::new(1));
    let left = Arc::clone(&panics);
    let observe = move |_: &Event<'_>| {
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1)).is_ok() {
            panic!("of the observer");
        }
    };
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let client = client.observer(observe).build().unwrap();
    let call = || client.logs().list(()).page().blocking().unwrap().len();
    // That of an observer ends nothing, and another one is the caller's.
    assert_eq!((call(), panics.load(Ordering::SeqCst)), (60, 0));
    assert!(std::panic::catch_unwind(|| blocking::wait(async { panic!("of a future") })).is_err());
    assert_eq!(call(), 60);
    assert!(blocking::wait(async { tokio::spawn(async { panic!("of a task") }).await }).unwrap().is_err());
    assert_eq!(call(), 60);
}

#[test]
fn an_iterator_that_a_runtime_drops_with_its_tasks_blocks_nothing() {
    let server = fake_with_logs(120);
    let client = integration(&server);
    for workers in [None, Some(2)] {
        let runtime = match workers {
            None => Builder::new_current_thread().enable_all().build().unwrap(),
            Some(workers) => Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap(),
        };
        let mut logs = client.logs().list(()).page_size(10).prefetch(4).items().blocking();
        assert!(logs.next().unwrap().is_ok());
        runtime.block_on(async {
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(logs);
            });
            tokio::task::yield_now().await;
        });
        drop(runtime);
        assert_eq!(client.logs().list(()).page().blocking().unwrap().len(), 100);
    }
}

/// Makes a blocking call when its thread ends, and reports the result.
struct AtTheEnd(std::sync::mpsc::Sender<Option<ErrorKind>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let _ = self.0.send(actionlog::blocking::wait(async {}).err().map(|it| it.kind()));
    }
}

thread_local! {
    static AT_THE_END: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn a_blocking_call_while_its_thread_ends_is_an_error_and_no_panic() {
    let (sender, results) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Its destructor runs after that of Tokio's variable, which is created later.
        AT_THE_END.set(Some(AtTheEnd(sender)));
        actionlog::blocking::wait(async {}).unwrap();
    })
    .join()
    .unwrap();
    // The order of destructors isn't promised: where Tokio's is still there, the call works.
    assert!(matches!(results.recv().unwrap(), None | Some(ErrorKind::CannotBlock)));
}
