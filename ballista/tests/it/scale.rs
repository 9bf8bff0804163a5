//! Large logs, a slow server, and one, two and four executors with one slot for tasks each and with several. Results
//! are compared with the logs, and times printed. `RECORDS=100000 cargo test --test it scale -- --ignored --nocapture`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actionlog::LogRecord;
use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::unleash::ActionSetEvent;
use actionlog_ballista::Options;
use actionlog_ballista::datafusion::arrow::array::AsArray;
use actionlog_ballista::datafusion::arrow::datatypes::Int64Type;

use crate::processes::Cluster;
use crate::support::{Asked, Fake, KNOWN, ORG};

/// How many parts are read at once, over all executors.
const AT_ONCE: usize = 8;

/// Executors, and the slots of each.
const CLUSTERS: &str = "0x0,1x8,2x4,4x2,4x1,2x1,1x1";

/// Numbers by name.
type Counts = BTreeMap<String, Vec<i64>>;

/// The outcomes of a log, and how many of its records there are at each minute.
fn expected<R: LogRecord>(records: &[R]) -> (Counts, BTreeMap<i64, i64>) {
    let (mut outcomes, mut minutes) = (Counts::new(), BTreeMap::new());
    for record in records {
        let counts = outcomes.entry(record.outcome().as_str().to_owned()).or_insert_with(|| vec![0; 2]);
        counts.iter_mut().for_each(|it| *it += 1);
        let minute = record.timestamp().map(|it| it.time.timestamp().div_euclid(60));
        minute.into_iter().for_each(|it| *minutes.entry(it).or_default() += 1);
    }
    (outcomes, minutes)
}

async fn counts(asked: &Asked, sql: &str) -> Counts {
    let mut counts = Counts::new();
    for batch in asked.rows(sql).await.unwrap() {
        let numbers = || batch.columns().iter().skip(1).map(|it| it.as_primitive::<Int64Type>());
        for (row, name) in batch.column(0).as_string::<i32>().iter().enumerate() {
            counts.insert(name.unwrap().to_owned(), numbers().map(|it| it.value(row)).collect());
        }
    }
    counts
}

/// A query, its heading, its result, and whether it is also run where it takes long.
type Query = (&'static str, String, Counts, bool);

fn queries(fake: &Fake, records: usize) -> Vec<Query> {
    let (arklow, minutes) = expected::<ActionRecord>(&fake.server.arklow().log(ORG).records().unwrap());
    let (logs, others) = expected::<ActionLog>(&fake.server.integration().log().records().unwrap());
    let (events, _) = expected::<ActionSetEvent>(&fake.server.unleash().log("default", 7).records().unwrap());
    let joined = minutes.iter().map(|(at, count)| count * others.get(at).unwrap_or(&0)).sum();
    let count = |name: &str| (name.to_owned(), vec![records as i64]);
    let grouped = |log: &str| format!("SELECT outcome, COUNT(*), COUNT(DISTINCT key) FROM {log} GROUP BY outcome");
    vec![
        ("integration, grouped", grouped("integration_logs"), logs, true),
        ("Arklow, grouped", grouped("arklow_records"), arklow, true),
        ("Unleash, grouped", grouped("unleash_events('default', 7)"), events, false),
        ("join by time", JOINED.to_owned(), Counts::from([("all".to_owned(), vec![joined])]), true),
        ("counts of all", COUNTED.to_owned(), ["a", "i", "u"].map(count).into(), false),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour"]
async fn large_logs_are_counted_grouped_and_joined_as_they_are() {
    let records = std::env::var("RECORDS").ok().and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let clusters = std::env::var("CLUSTERS").unwrap_or_else(|_| CLUSTERS.to_owned());
    compare(records, &clusters, Duration::from_millis(50)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_two_and_four_executors_of_one_slot_and_of_several_return_what_the_logs_hold() {
    compare(1_500, "1x1,1x8,2x1,4x2", Duration::ZERO).await;
}

/// Compares the results of each cluster with logs of so many records, and prints how long they took.
async fn compare(records: usize, clusters: &str, latency: Duration) {
    let fake = Fake::start(records).await;
    let queries = queries(&fake, records);
    let headings: Vec<_> = queries.iter().map(|it| it.0).collect();
    println!("| executors | slots of each | {} |", headings.join(" | "));
    for cluster in clusters.split(',') {
        let (executors, slots) = cluster.split_once('x').unwrap();
        let (executors, slots): (usize, usize) = (executors.parse().unwrap(), slots.parse().unwrap());
        let cluster = (executors > 0).then(|| Cluster::start(executors, slots, &fake.variables(&KNOWN)));
        let mut options = Options::default();
        (options.parts_at_once, options.verify) = (AT_ONCE, true);
        let asked = match &cluster {
            Some(cluster) => {
                cluster.ready().await;
                cluster.ask(&fake, options)
            }
            None => fake.session(options, &KNOWN),
        };
        fake.server.latency(latency);
        let mut times = Vec::new();
        for (_, sql, expected, is_always_run) in &queries {
            if !is_always_run && !latency.is_zero() && (1..AT_ONCE).contains(&(executors * slots)) {
                times.push(String::new());
                continue;
            }
            fake.server.clear_requests();
            let start = Instant::now();
            assert_eq!(counts(&asked, sql).await, *expected, "{executors} x {slots}: {sql}");
            times.push(format!("{:.1} s", start.elapsed().as_secs_f64()));
            assert_eq!((asked.last().rows, asked.last().verdict.as_str()), (records as u64, "complete"));
        }
        fake.server.latency(Duration::ZERO);
        println!("| {executors} | {slots} | {} |", times.join(" | "));
    }
}

const JOINED: &str = "SELECT 'all', COUNT(*) FROM arklow_records a JOIN integration_logs b \
                      ON date_trunc('minute', a.timestamp) = date_trunc('minute', b.timestamp)";
const COUNTED: &str = "SELECT 'a', COUNT(*) FROM arklow_records \
                       UNION ALL SELECT 'i', COUNT(*) FROM integration_logs \
                       UNION ALL SELECT 'u', COUNT(*) FROM unleash_events('default', 7)";
