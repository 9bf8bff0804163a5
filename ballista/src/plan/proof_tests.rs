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
use crate::scan::Log;

struct Case {
    _port: Server,
    scan: Scan,
    profiles: Arc<Profiles>,
    parts: Vec<Part>,
}

async fn case() -> Case {
    let server = FakeServer::new();
    server.integration().add_sample_logs(500);
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
    let scan = Scan { profile: "default".to_owned(), table: "integration_logs".to_owned(), log };
    let profiles = Arc::new(profiles);
    let parts = scan.cut(&profiles, 4).await.unwrap();
    assert_eq!(parts.len(), 3);
    Case { _port: port, scan, profiles, parts }
}

impl Case {
    fn read(&self) -> Arc<dyn ExecutionPlan> {
        let source = source_of(&self.parts, 2).unwrap();
        Arc::new(ReadPartsExec::new(source, self.scan.clone(), vec![1], Arc::clone(&self.profiles)).unwrap())
    }

    async fn rows(&self, input: Arc<dyn ExecutionPlan>) -> Result<usize> {
        let demand = Demand { parts: 3, at_once: 2, verify: false, allow_unverified: true, report: Report::Nowhere };
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
