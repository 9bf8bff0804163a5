//! Many records: memory is flat, and the file holds them all. `ACTIONLOG_MANY=1000000` makes it a long run.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use actionlog::integration::ActionLog;
use actionlog::{LogRecord, reqwest};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

use crate::support::{Bench, Running, sha256};

/// How many records.
fn many() -> usize {
    std::env::var("ACTIONLOG_MANY").ok().and_then(|it| it.parse().ok()).unwrap_or(20_000)
}

/// A server with this many integration logs.
fn bench(records: usize) -> Bench {
    let bench = Bench::new(0);
    bench.fake.integration().add_sample_logs(records);
    // Nobody looks at the requests, which would fill the memory.
    let fake = bench.fake.clone();
    bench.fake.after_each(move |_| {
        fake.clear_requests();
    });
    bench
}

/// The most memory that a process had so far, in megabytes. Only Linux says so.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|it| it.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1_024)
}

/// Exports, and returns how long it took and the most memory it had.
fn export(bench: &Bench, name: &str) -> (Duration, u64) {
    let began = Instant::now();
    let mut run = Running::start(bench.tool(&format!("export integration --to {name} --verify --force")));
    let mut most = 0;
    loop {
        most = most.max(peak(run.0.id()).unwrap_or_default());
        if let Some(ended) = run.0.try_wait().unwrap() {
            assert!(ended.success(), "{ended:?}");
            return (began.elapsed(), most);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How long the server takes to send all pages to a client that does nothing with them.
fn plain(bench: &Bench, records: usize) -> Duration {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = bench.url();
    let began = Instant::now();
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let readers = (0..4).map(|reader| {
            let (http, url) = (http.clone(), url.to_owned());
            tokio::spawn(async move {
                for page in (reader..records.div_ceil(100)).step_by(4) {
                    let page = format!("{url}/integration-action-logs?limit=100&offset={}", page * 100);
                    http.get(page).send().await.unwrap().bytes().await.unwrap();
                }
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await.unwrap();
        }
    });
    began.elapsed()
}

#[test]
fn many_records_take_no_more_memory_than_few_and_all_are_in_the_file() {
    let records = many();
    let few = export(&bench(records / 10), "few.parquet").1;
    let began = Instant::now();
    let large = bench(records);
    let made = began.elapsed();
    let server = plain(&large, records);
    // The others write as they read, so that fewer show it.
    let fewer = records.min(100_000);
    let small = (fewer < records).then(|| bench(fewer));
    for ending in ["parquet", "sqlite", "ndjson", "csv"] {
        let (bench, records) =
            if ending == "parquet" { (&large, records) } else { (small.as_ref().unwrap_or(&large), fewer) };
        let (took, most) = export(bench, &format!("many.{ending}"));
        let size = std::fs::metadata(bench.path(&format!("many.{ending}"))).unwrap().len() >> 20;
        println!(
            "{records} records to {ending}: {took:.1?} ({:.0}/s), {size} MB, at most {most} MB of memory; \
             {} were made in {made:.1?}, and are sent in {server:.1?} to a client that drops them",
            records as f64 / took.as_secs_f64(),
            many()
        );
        // The segment under way, and what was read ahead.
        assert!(most < few + 100, "{most} MB, and {few} MB for a tenth");
        let manifest = bench.manifest(&format!("many.{ending}"));
        assert_eq!((&manifest["verdict"], &manifest["counts"]["records"]), (&"complete".into(), &records.into()));
        assert_eq!(manifest["files"][0]["sha256"], sha256(&bench.path(&format!("many.{ending}"))));
    }
    let file = std::fs::File::open(large.path("many.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), records as i64);
    let keys = reader.get_row_iter(None).unwrap().map(|it| it.unwrap().get_string(1).unwrap().clone());
    assert_eq!(keys.collect::<HashSet<_>>().len(), records);
    by_duckdb(&large, records);
}

/// Compares keys and times by DuckDB, if `ACTIONLOG_PYTHON` names a Python that has it.
fn by_duckdb(bench: &Bench, records: usize) {
    let Some(python) = std::env::var_os("ACTIONLOG_PYTHON") else {
        println!("SKIPPED: ACTIONLOG_PYTHON names no Python with DuckDB");
        return;
    };
    let logs: Vec<ActionLog> = bench.fake.integration().log().records().unwrap();
    let mut source = String::from("key,time\n");
    for log in &logs {
        source.push_str(&format!("{},{}\n", log.key(), log.timestamp().unwrap().time.timestamp_micros()));
    }
    std::fs::write(bench.path("source.csv"), source).unwrap();
    let script = "
import duckdb
duckdb.sql('set enable_progress_bar=false')
source = \"select key, time from read_csv('source.csv', columns={'key': 'VARCHAR', 'time': 'BIGINT'})\"
read = \"select key, epoch_us(timestamp) as time from 'many.parquet'\"
for one, other in ((source, read), (read, source)):
    print(duckdb.sql(f'select count(*) from ({one} except all {other})').fetchall()[0][0], end=' ')
print(duckdb.sql('select count(*), count(distinct key) from \"many.parquet\"').fetchall()[0])
";
    let mut command = std::process::Command::new(python);
    let out = command.args(["-c", script]).current_dir(bench.folder.path()).output().unwrap();
    let out = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    println!("duckdb: {out}");
    assert_eq!(out.trim(), format!("0 0 ({records}, {records})"));
}
