//! Limits, `since` and cursors together: what one reading leaves out, the next one gives.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use actionlog::integration::LogsQuery;
use actionlog::page::{Cut, Order};
use actionlog::testing::World;
use actionlog::{Cursor, ErrorKind, IntegrationClient, UnleashClient, Verdict};

fn integration(world: &World) -> IntegrationClient {
    IntegrationClient::builder("http://localhost").bearer("a good token").exchange(world.exchange()).build().unwrap()
}

#[tokio::test]
async fn since_in_portions_skips_nothing() {
    let world = World::new();
    world.integration().add_sample_logs(60);
    let listing = integration(&world).logs().list(()).order(Order::Fixed);
    let all = listing.clone().collect().await.items;
    let time = all[10].created_at.unwrap();
    let first = listing.clone().since(time).max_items(4).collect().await;
    let rest = listing.clone().since(time).resume(first.cursor.unwrap()).collect().await;
    assert_eq!(first.items.len() + rest.items.len(), 10);
}

#[tokio::test]
async fn what_since_passed_over_is_given_by_a_reading_that_wants_it() {
    let world = World::new();
    world.integration().add_sample_logs(120);
    let listing = integration(&world).logs().list(()).order(Order::Fixed).page_size(20);
    let all = listing.clone().collect().await.items;
    let time = all[10].created_at.unwrap();
    let first = listing.clone().since(time).slack(Duration::ZERO).collect().await;
    let rest = listing.clone().resume(first.cursor.unwrap()).collect().await;
    let n: HashSet<_> = first.items.iter().chain(&rest.items).map(|it| it.id.clone()).collect();
    assert!(n.len() == 120 || !rest.summary.verdict.is_complete(), "{} of 120 and {}", n.len(), rest.summary.verdict);
}

#[tokio::test]
async fn an_earlier_since_gives_what_a_later_one_passed_over() {
    let world = World::new();
    world.integration().add_sample_logs(120);
    let listing = integration(&world).logs().list(()).order(Order::Fixed).page_size(20);
    let all = listing.clone().collect().await.items;
    let first = listing.clone().since(all[10].created_at.unwrap()).slack(Duration::ZERO).collect().await;
    let rest = listing
        .clone()
        .since(all[40].created_at.unwrap())
        .slack(Duration::ZERO)
        .resume(first.cursor.unwrap())
        .collect()
        .await;
    assert_eq!(first.items.len() + rest.items.len(), 40);
}

#[tokio::test]
async fn what_is_newer_by_more_pages_than_the_budget_is_found_too() {
    let world = World::new();
    world.unleash().add_sample_events("default", 7, 60);
    let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build().unwrap();
    let listing = client.action_set_events().list(("default", 7));
    let cursor = listing.clone().collect().await.cursor.unwrap();
    world.unleash().add_sample_events("default", 7, 10_100);
    let newer = listing.clone().newer_than(cursor).collect().await;
    assert_eq!(newer.items.len(), 10_100, "{} {:?} {:?}", newer.summary.verdict, newer.error, newer.summary);
}

#[tokio::test]
async fn since_says_that_it_read_on_where_all_times_are_the_same() {
    let world = World::new();
    for id in 0..500 {
        world.integration().add_raw(format!(r#"{{"_id":"{id}","integrationId":"i","actionType":"sync","entityType":"e","status":"success","createdAt":"2020-01-01T00:00:00Z"}}"#));
    }
    let listing = integration(&world).logs().list(()).order(Order::Fixed).page_size(20);
    let newer = listing.since("2024-01-01T00:00:00Z".parse().unwrap()).collect().await;
    assert!(newer.items.is_empty());
    assert!(newer.summary.requests < 3 || newer.summary.read_on, "{:?}", newer.summary);
}

#[tokio::test]
async fn a_filter_is_the_same_in_whatever_order_its_fields_come() {
    let world = World::new();
    world.integration().add_sample_logs(10);
    let client = integration(&world);
    let filter = || {
        let mut m = HashMap::new();
        for k in ["a", "b", "c", "d", "e", "f"] {
            m.insert(k.to_owned(), 1);
        }
        LogsQuery::new().filter(&m)
    };
    let first = client.logs().list(filter()).max_items(3).collect().await;
    let cursor = first.cursor.unwrap();
    let mut refused = 0;
    for _ in 0..20 {
        let rest = client.logs().list(filter()).resume(cursor.clone()).collect().await;
        refused += u32::from(rest.error.is_some());
    }
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn a_stream_is_not_finished_before_it_has_said_so() {
    let world = World::new();
    world.integration().add_sample_logs(60);
    let mut pages = integration(&world).logs().list(()).max_items(5).pages();
    pages.next().await.unwrap().unwrap();
    assert_eq!(pages.summary().verdict, Verdict::Truncated(Cut::NotFinished));
    assert!(pages.next().await.is_none());
    assert_eq!(pages.summary().verdict, Verdict::Truncated(Cut::MaxItems));
}

#[tokio::test]
async fn since_says_that_it_read_on_where_there_are_no_times() {
    use actionlog::ArklowClient;
    use actionlog::arklow::RecordsQuery;
    let world = World::new();
    for id in 0..200 {
        world.arklow().add_raw("4711", format!(r#"{{"id":"{id}"}}"#));
    }
    let client = ArklowClient::builder("4711").api_key("any").exchange(world.exchange()).build().unwrap();
    let read = client
        .records()
        .list(RecordsQuery::new().include_state())
        .since("2024-01-01T00:00:00Z".parse().unwrap())
        .collect()
        .await;
    assert_eq!((read.items.len(), read.summary.read_on), (200, true));
}

#[tokio::test]
async fn what_is_new_enough_can_be_read_in_portions_to_its_end() {
    let world = World::new();
    world.unleash().add_sample_events("default", 7, 120);
    let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build().unwrap();
    let listing = client.action_set_events().list(("default", 7));
    let all = listing.clone().collect().await.items;
    let time = all[30].created_at;
    let mut given = 0;
    let mut cursor: Option<Cursor> = None;
    for _ in 0..20 {
        let mut l = listing.clone().since(time).max_items(10);
        if let Some(c) = cursor {
            l = l.resume(c);
        }
        let read = l.collect().await;
        given += read.items.len();
        cursor = read.cursor;
        if !read.summary.verdict.is_truncated() {
            break;
        }
    }
    assert_eq!(given, 30);
}

#[tokio::test]
async fn what_is_newer_can_be_read_in_portions() {
    let world = World::new();
    world.integration().add_sample_logs(60);
    let listing = integration(&world).logs().list(()).page_size(7);
    let mut cursor = listing.clone().collect().await.cursor.unwrap();
    world.integration().add_sample_logs(40);
    let mut n = 0;
    for _ in 0..20 {
        let read = listing.clone().newer_than(cursor).max_items(3).collect().await;
        n += read.items.len();
        cursor = read.cursor.unwrap();
    }
    assert_eq!(n, 40);
}

#[tokio::test]
async fn a_cursor_of_an_empty_log_leads_to_one_that_knows_the_head() {
    let world = World::new();
    let listing = integration(&world).logs().list(());
    // An empty log is read; its cursor is stored; records come; the reading goes on and later asks for what is newer.
    let cursor = listing.clone().collect().await.cursor.unwrap();
    world.integration().add_sample_logs(20);
    let read = listing.clone().resume(cursor).collect().await;
    assert_eq!(read.items.len(), 20);
    world.integration().add_sample_logs(3);
    let newer = listing.newer_than(read.cursor.unwrap()).collect().await;
    assert_eq!(newer.items.len(), 3, "{:?}", newer.error.map(|it| it.to_string()));
}

/// On a thread with as much stack as a worker has: a term of brackets alone is a user's to type.
#[test]
fn a_search_term_of_brackets_upon_brackets_is_a_search_term() {
    let deep = |pairs: usize| format!("{}{}", "[".repeat(pairs), "]".repeat(pairs));
    let objects = |pairs: usize| format!("{}1{}", "{\"a\":".repeat(pairs), "}".repeat(pairs));
    let search = async move {
        let world = World::new();
        world.integration().add_sample_logs(10);
        let client = integration(&world);
        for term in [deep(5_000), objects(1_500), "[".repeat(5_000)] {
            let listing = client.logs().list(LogsQuery::new().search(term.clone()));
            let all = listing.clone().collect().await;
            assert!(all.error.is_none(), "{:?}", all.error);
            let rest = listing.resume(all.cursor.unwrap()).collect().await;
            assert!(rest.error.is_none(), "{:?}", rest.error);
            // Another term is another listing.
            let other = client.logs().list(LogsQuery::new().search(format!("{term}x")));
            let refused = other.resume(rest.cursor.unwrap()).collect().await.error.unwrap();
            assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
        }
        // What no URL has room for is refused, and isn't even looked at.
        let sent = world.requests().len();
        for term in [deep(1_000_000), objects(1_000_000)] {
            let all = client.logs().list(LogsQuery::new().search(term)).collect().await;
            assert_eq!(all.error.unwrap().kind(), ErrorKind::InvalidRequest);
        }
        assert_eq!(world.requests().len(), sent);
    };
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(search);
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(run).unwrap().join().unwrap();
}
