//! The plans of this crate as bytes, for schedulers and executors.

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use serde::{Deserialize, Serialize};

use crate::cluster::refused::RefusedExec;
use crate::plan::proof::{Demand, ProofExec};
use crate::plan::read_parts::ReadPartsExec;
use crate::profile::Profiles;
use crate::scan::Scan;

/// What the bytes of this crate's plans begin with. Ballista's own are protobuf messages, which don't.
const MAGIC: &[u8] = b"actionlog-ballista\n";

/// The version of plans. It changes with anything that plans hold, and with what they mean.
const VERSION: u32 = 3;

/// The version of this crate, for messages.
const PACKAGE: &str = env!("CARGO_PKG_VERSION");

/// Encodes and decodes this crate's plans, and leaves Ballista's to its own codec.
///
/// Client, scheduler and executors need one of the same version. A plan holds no credentials: a process finds those of
/// the plan's profile in its own environment.
#[derive(Debug)]
pub struct Codec {
    ballista: BallistaPhysicalExtensionCodec,
    profiles: Arc<Profiles>,
    /// Whether a plan of another version fails when it is run, and not when it is decoded.
    runs_plans: bool,
}

/// What tells versions apart, in each version.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    package: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Encoded {
    #[serde(flatten)]
    header: Header,
    scan: Scan,
    columns: Vec<usize>,
    node: Node,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Node {
    ReadParts,
    Proof(Demand),
}

impl Codec {
    /// Makes a codec whose plans find their credentials here.
    #[must_use]
    pub fn new(profiles: Arc<Profiles>) -> Self {
        Self { ballista: BallistaPhysicalExtensionCodec::default(), profiles, runs_plans: false }
    }

    /// Makes the codec of an executor: a plan of another version fails its query when it is run. Ballista takes an
    /// executor for dead that can't decode a plan, and sends the plan again without an end.
    #[must_use]
    pub fn of_executor(profiles: Arc<Profiles>) -> Self {
        Self { runs_plans: true, ..Self::new(profiles) }
    }

    fn decode(&self, json: &[u8], inputs: &[Arc<dyn ExecutionPlan>]) -> Result<Arc<dyn ExecutionPlan>> {
        let Header { version, package } = parse(json)?;
        if version != VERSION {
            let why = format!(
                "a plan has version {version}, of actionlog-ballista {package}, and this process reads version \
                 {VERSION}, of actionlog-ballista {PACKAGE}: run the same one on client, scheduler and executors"
            );
            return match inputs {
                [input] if self.runs_plans => Ok(Arc::new(RefusedExec::new(why, Arc::clone(input)))),
                _ => exec_err!("{why}"),
            };
        }
        let Encoded { scan, columns, node, .. } = parse(json)?;
        let [input] = inputs else { return exec_err!("a plan of actionlog-ballista has {} inputs", inputs.len()) };
        let (input, profiles) = (Arc::clone(input), Arc::clone(&self.profiles));
        Ok(match node {
            Node::ReadParts => Arc::new(ReadPartsExec::new(input, scan, columns, profiles)?),
            Node::Proof(demand) => Arc::new(ProofExec::new(input, scan, columns, demand, profiles)?),
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        DataFusionError::Execution(format!("a plan can't be read by actionlog-ballista {PACKAGE}: {error}"))
    })
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match bytes.strip_prefix(MAGIC) {
            Some(json) => self.decode(json, inputs),
            None => self.ballista.try_decode(bytes, inputs, context),
        }
    }

    fn try_encode(&self, plan: Arc<dyn ExecutionPlan>, to: &mut Vec<u8>) -> Result<()> {
        let (scan, columns, node) = if let Some(read) = plan.downcast_ref::<ReadPartsExec>() {
            (read.scan.clone(), read.columns.clone(), Node::ReadParts)
        } else if let Some(proof) = plan.downcast_ref::<ProofExec>() {
            (proof.scan.clone(), proof.columns.clone(), Node::Proof(proof.demand.clone()))
        } else {
            return self.ballista.try_encode(plan, to);
        };
        let header = Header { version: VERSION, package: PACKAGE.to_owned() };
        let json = serde_json::to_vec(&Encoded { header, scan, columns, node })
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        to.extend_from_slice(MAGIC);
        to.extend_from_slice(&json);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use actionlog::arklow::RecordsQuery;
    use datafusion::physical_plan::displayable;

    use super::*;
    use crate::coverage::Report;
    use crate::plan::source_of;
    use crate::scan::{Log, Since};

    fn plan() -> Arc<dyn ExecutionPlan> {
        let profiles = Arc::new(Profiles::new(|_| Some("s3cr3t".to_owned())));
        let log = Log::Arklow(RecordsQuery::new().variant("send_mail"));
        let since = Some(Since { after: chrono::DateTime::UNIX_EPOCH, at_once: 3 });
        let scan = Scan { profile: "eu".to_owned(), table: "arklow_records".to_owned(), log, since };
        let report = Report::Remote { address: "127.0.0.1:1".to_owned(), token: "t".to_owned() };
        let demand = Demand { parts: 1, at_once: 3, verify: true, allow_unverified: false, report };
        let read = ReadPartsExec::new(source_of(&[], 1).unwrap(), scan.clone(), vec![1, 4], Arc::clone(&profiles));
        Arc::new(ProofExec::new(Arc::new(read.unwrap()), scan, vec![1, 4], demand, profiles).unwrap())
    }

    fn codec() -> Codec {
        Codec::new(Arc::new(Profiles::new(|_| None)))
    }

    #[test]
    fn plans_are_read_back_and_hold_no_credential() {
        let (codec, plan) = (codec(), plan());
        let mut bytes = Vec::new();
        codec.try_encode(Arc::clone(&plan), &mut bytes).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains("send_mail") && text.contains("\"eu\"") && !text.contains("s3cr3t"), "{text}");
        let inputs: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
        let back = codec.try_decode(&bytes, &inputs, &TaskContext::default()).unwrap();
        let shown = |it: &Arc<dyn ExecutionPlan>| displayable(it.as_ref()).indent(true).to_string();
        assert_eq!((shown(&back), back.schema()), (shown(&plan), plan.schema()));
    }

    #[test]
    fn another_version_is_refused_and_both_are_named() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(br#"{"version": 9, "package": "0.7.0", "something": "else"}"#);
        let context = Arc::new(TaskContext::default());
        let error = codec().try_decode(&bytes, &[], &context).unwrap_err().to_string();
        let both = format!("version 9, of actionlog-ballista 0.7.0, and this process reads version {VERSION}, of");
        assert!(error.contains(&both) && error.contains(PACKAGE), "{error}");
        // An executor takes it, and fails.
        let executor = Codec::of_executor(Arc::new(Profiles::new(|_| None)));
        let refused = executor.try_decode(&bytes, &[source_of(&[], 1).unwrap()], &context).unwrap();
        let Err(error) = refused.execute(0, context) else { panic!("a plan of another version is run") };
        assert!(error.to_string().contains(&both), "{error}");
    }
}
