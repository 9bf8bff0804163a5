//! Engines that lose or repeat rows.

use actionlog::integration::LogsQuery;
use actionlog::testing::{FakeServer, Server};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::SessionContext;

use super::*;
use crate::plan::read_parts::ReadPartsExec;
use crate::plan::source_of;
use crate::scan::{Log, Since};

struct Case {
    _port: Server,
    scan: Scan,
    profiles: Arc<Profiles>,
    parts: Vec<Piece>,
}

async fn case() -> Case {
    let server = FakeServer::new();
    server.integration().add_sample_logs(500);
    case_of(server).await
}

async fn case_of(server: FakeServer) -> Case {
    let port = server.listen().await.unwrap();
    let url = port.url();
    let profiles = Profiles::new(move |name| match name {
        "INTEGRATION_LOGS_URL" => Some(url.clone()),
        "INTEGRATION_LOGS_AUTHORIZATION" => Some("Bearer any".to_owned()),
        "INTEGRATION_LOGS_TOTAL_SCOPE" => Some("listing".to_owned()),
        "INTEGRATION_LOGS_ORDER" => Some("stable".to_owned()),
        _ => None,
    });
    let log = Log::Integration(LogsQuery::new());
    let scan = Scan { profile: "default".to_owned(), table: "integration_logs".to_owned(), log, since: None };
    let profiles = Arc::new(profiles);
    let parts = scan.pieces(&profiles, 4).await.unwrap();
    assert_eq!(parts.len(), 3);
    Case { _port: port, scan, profiles, parts }
}

impl Case {
    fn read(&self) -> Arc<dyn ExecutionPlan> {
        let source = source_of(&self.parts, 2).unwrap();
        Arc::new(ReadPartsExec::new(source, self.scan.clone(), vec![1], Arc::clone(&self.profiles)).unwrap())
    }

    async fn rows(&self, input: Arc<dyn ExecutionPlan>) -> Result<usize> {
        let report = Report::Ledger(Arc::default());
        let demand = Demand { parts: 3, at_once: 2, verify: false, allow_unverified: true, report };
        self.rows_of(input, demand).await
    }

    async fn rows_of(&self, input: Arc<dyn ExecutionPlan>, demand: Demand) -> Result<usize> {
        let input = Arc::new(CoalescePartitionsExec::new(input));
        let proof = ProofExec::new(input, self.scan.clone(), vec![1], demand, Arc::clone(&self.profiles))?;
        let rows = datafusion::physical_plan::collect(Arc::new(proof), SessionContext::new().task_ctx()).await?;
        Ok(rows.iter().map(RecordBatch::num_rows).sum())
    }
}

#[tokio::test]
async fn rows_that_the_engine_repeats_or_loses_are_an_error() {
    let case = case().await;
    assert_eq!(case.rows(case.read()).await.unwrap(), 500);
    // A partition that is run twice.
    let twice = UnionExec::try_new(vec![case.read(), case.read()]).unwrap();
    let error = case.rows(twice).await.unwrap_err().to_string();
    assert!(error.contains("came twice") && error.contains("There is no result"), "{error}");
    // Rows that are lost on the way, with the outcome of their part, and with that of another one.
    for fetch in [10, 260, 502] {
        let gathered = Arc::new(CoalescePartitionsExec::new(case.read()));
        let fewer = Arc::new(GlobalLimitExec::new(gathered, 0, Some(fetch)));
        let error = case.rows(fewer).await.unwrap_err().to_string();
        assert!(error.contains("has no outcome"), "{fetch}: {error}");
    }
    let gathered = Arc::new(CoalescePartitionsExec::new(case.read()));
    let fewer = Arc::new(GlobalLimitExec::new(gathered, 1, None));
    let error = case.rows(fewer).await.unwrap_err().to_string();
    assert!(error.contains("delivered") && error.contains("came"), "{error}");
}

/// Returns a part that begins so many records earlier, as if records had come between the scans of two parts.
fn wider(piece: &Piece, by: u64) -> Piece {
    let mut json = serde_json::to_value(piece).unwrap();
    for (field, more) in [("offset", -1), ("records", 1)] {
        let value = &mut json["part"][field];
        *value = value.as_i64().unwrap().saturating_add(more * i64::try_from(by).unwrap()).into();
    }
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn an_invalid_record_without_an_id_that_two_parts_deliver_is_a_doubt() {
    for (text, expected) in [
        (r#"{"_id": "bad", "status": 7}"#, "complete: as many records as the total counts"),
        (r#"{"status": 7}"#, "unverified: invalid records can't be told apart"),
    ] {
        let server = FakeServer::new();
        server.integration().add_sample_logs(499);
        let mut case = case_of(server.clone()).await;
        let Piece::Part(second) = &case.parts[1] else { panic!("no part") };
        server.integration().log().insert_raw(usize::try_from(second.offset()).unwrap() - 10, text);
        case.parts[1] = wider(&case.parts[1], 20);
        let ledger = Arc::<crate::Ledger>::default();
        let report = Report::Ledger(Arc::clone(&ledger));
        let demand = Demand { parts: 3, at_once: 2, verify: false, allow_unverified: true, report };
        let rows = case.rows_of(case.read(), demand).await.unwrap();
        let entry = ledger.entries().pop().unwrap();
        assert_eq!(entry.detail, expected, "{entry:?}");
        // It is one row where its id shows that it is one record.
        assert_eq!(rows, if entry.verdict == "complete" { 500 } else { 501 });
        assert!(entry.repeated >= 19, "{entry:?}");
    }
}

#[tokio::test]
async fn a_scan_that_stops_at_a_time_reads_only_the_server_that_it_was_planned_for() {
    let (mut here, there) = (case().await, case().await);
    here.scan.since = Some(Since { after: chrono::DateTime::UNIX_EPOCH, at_once: 3 });
    here.parts = here.scan.pieces(&here.profiles, 4).await.unwrap();
    let report = Report::Ledger(Arc::default());
    let demand = Demand { parts: 1, at_once: 1, verify: false, allow_unverified: false, report };
    assert_eq!(here.rows_of(here.read(), demand.clone()).await.unwrap(), 500);
    // An executor whose environment names another server.
    let source = source_of(&here.parts, 2).unwrap();
    let read = ReadPartsExec::new(source, here.scan.clone(), vec![1], Arc::clone(&there.profiles)).unwrap();
    let error = here.rows_of(Arc::new(read), demand).await.unwrap_err().to_string();
    assert!(error.contains("belongs to another listing") && error.contains("the server"), "{error}");
}
