//! Large logs, a slow server, and one, two and four executors: what comes is compared with the logs, and the times are
//! printed. `RECORDS=100000 cargo test --test it scale -- --ignored --nocapture`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actionlog::LogRecord;
use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::unleash::ActionSetEvent;
use actionlog_ballista::Options;
use actionlog_ballista::datafusion::arrow::array::AsArray;
use actionlog_ballista::datafusion::arrow::datatypes::Int64Type;

use crate::cluster::Cluster;
use crate::support::{Asked, Fake, KNOWN, ORG};

/// How many parts are read at once, over all executors.
const AT_ONCE: usize = 8;

type Counts = BTreeMap<String, i64>;

/// The outcomes of a log, and how many of its records there are at each minute.
fn expected<R: LogRecord>(records: &[R]) -> (Counts, BTreeMap<i64, i64>) {
    let (mut outcomes, mut minutes) = (Counts::new(), BTreeMap::new());
    for record in records {
        *outcomes.entry(record.outcome().as_str().to_owned()).or_default() += 1;
        let minute = record.timestamp().map(|it| it.time.timestamp().div_euclid(60));
        minute.into_iter().for_each(|it| *minutes.entry(it).or_default() += 1);
    }
    (outcomes, minutes)
}

async fn counts(asked: &Asked, sql: &str) -> Counts {
    let mut counts = Counts::new();
    for batch in asked.rows(sql).await.unwrap() {
        let (names, numbers) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        counts.extend(names.iter().zip(numbers.values()).map(|(name, it)| (name.unwrap().to_owned(), *it)));
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn large_logs_are_counted_grouped_and_joined_as_they_are() {
    let records = std::env::var("RECORDS").ok().and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let fake = Fake::start(records).await;
    let (arklow, minutes) = expected::<ActionRecord>(&fake.server.arklow().log(ORG).records().unwrap());
    let (logs, others) = expected::<ActionLog>(&fake.server.integration().log().records().unwrap());
    let (events, _) = expected::<ActionSetEvent>(&fake.server.unleash().log("default", 7).records().unwrap());
    let joined: i64 = minutes.iter().map(|(at, count)| count * others.get(at).unwrap_or(&0)).sum();
    let joined = Counts::from([("all".to_owned(), joined)]);
    let queries = [
        (GROUPED.replace("LOG", "integration_logs"), &logs),
        (GROUPED.replace("LOG", "arklow_records"), &arklow),
        (GROUPED.replace("LOG", "unleash_events('default', 7)"), &events),
        (JOINED.to_owned(), &joined),
    ];
    let clusters = std::env::var("EXECUTORS").unwrap_or_else(|_| "0,1,2,4".to_owned());
    println!("| executors | tasks of each | integration | arklow | unleash, twice | join of two |");
    for executors in clusters.split(',').map(|it| it.parse::<usize>().unwrap()) {
        let tasks = AT_ONCE.checked_div(executors).unwrap_or_default();
        let cluster = (executors > 0).then(|| Cluster::start(executors, tasks, &fake.variables(&KNOWN)));
        let mut options = Options::default();
        (options.parts_at_once, options.verify) = (AT_ONCE, true);
        let asked = match &cluster {
            Some(cluster) => {
                cluster.ready().await;
                cluster.ask(&fake, options)
            }
            None => fake.session(options, &KNOWN),
        };
        fake.server.latency(Duration::from_millis(50));
        let mut times = Vec::new();
        for (sql, expected) in &queries {
            let start = Instant::now();
            assert_eq!(counts(&asked, sql).await, **expected, "{executors}: {sql}");
            times.push(format!("{:.1} s", start.elapsed().as_secs_f64()));
            assert_eq!((asked.last().rows, asked.last().verdict.as_str()), (records as u64, "complete"));
        }
        fake.server.latency(Duration::ZERO);
        println!("| {executors} | {tasks} | {} |", times.join(" | "));
    }
}

const GROUPED: &str = "SELECT outcome, COUNT(DISTINCT key) FROM LOG GROUP BY outcome";
const JOINED: &str = "SELECT 'all', COUNT(*) FROM arklow_records a JOIN integration_logs b \
                      ON date_trunc('minute', a.timestamp) = date_trunc('minute', b.timestamp)";
