//! The OCSF events, against a schema that was written down from the published class.

use actionlog::AnyRecord;
use actionlog::record::{LogRecord, ocsf};
use actionlog_schemas::{compile, problems, samples};
use jsonschema::Validator;
use serde_json::{Value, json};

fn published() -> Validator {
    compile(&serde_json::from_str(include_str!("../ocsf/api_activity.schema.json")).unwrap())
}

#[test]
fn every_sample_with_a_time_becomes_a_valid_event() {
    let validator = published();
    let (mut events, mut outcomes) = (0, std::collections::BTreeSet::new());
    for log in ["arklow", "integration", "unleash"] {
        for sample in samples(log) {
            let record: AnyRecord = serde_json::from_str(&json!({ log: sample }).to_string()).unwrap();
            let event = ocsf::api_activity(&record);
            assert_eq!(event.is_some(), record.timestamp().is_some());
            let Some(event) = event else { continue };
            events += 1;
            outcomes.insert(event["status"].to_string());
            let problems = problems(&validator, &event);
            assert!(problems.is_empty(), "{problems:#?}\n{event:#}");
        }
    }
    assert!(events > 1_000, "{events}");
    // With statuses of every kind among them: of all logs, and unknown ones.
    for status in ["Success", "Failure", "running", "canceled", "retrying", "started", "paused", "skipped"] {
        assert!(outcomes.contains(&json!(status).to_string()), "{status}: {outcomes:?}");
    }
}

#[test]
fn the_schema_refuses_what_the_class_does() {
    let validator = published();
    let record: AnyRecord =
        serde_json::from_str(&json!({ "integration": samples("integration")[0] }).to_string()).unwrap();
    let event = ocsf::api_activity(&record).unwrap();
    assert!(validator.is_valid(&event));
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut event = event.clone();
        change(&mut event);
        !validator.is_valid(&event)
    };
    for required in [
        "activity_id",
        "actor",
        "api",
        "category_uid",
        "class_uid",
        "metadata",
        "severity_id",
        "src_endpoint",
        "time",
        "type_uid",
    ] {
        assert!(refused(&|it| drop(it.as_object_mut().unwrap().remove(required))), "{required}");
    }
    assert!(refused(&|it| it["type_uid"] = json!(600_304)));
    assert!(refused(&|it| it["time"] = json!("2025-03-03T06:00:00Z")));
    assert!(refused(&|it| it["actor"] = json!({})));
    assert!(refused(&|it| it["src_endpoint"] = json!({ "port": 443 })));
    assert!(refused(&|it| it["metadata"]["product"] = json!({})));
    assert!(refused(&|it| it["invented"] = json!(1)));
    assert!(refused(&|it| {
        it["status_id"] = json!(99);
        drop(it.as_object_mut().unwrap().remove("status"));
    }));
}
