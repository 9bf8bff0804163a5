//! The JSON Schemas of the models, against what vendors publish, what was recorded, and what the fake server sends.

use std::collections::BTreeSet;

use actionlog::AnyRecord;
use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::unleash::ActionSetEvent;
use actionlog_schemas::{fixture, problems, samples, schema, validator};
use jsonschema::Validator;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn check(validator: &Validator, what: &str, value: &Value) {
    let problems = problems(validator, value);
    assert!(problems.is_empty(), "{what}: {problems:#?}\n{value:#}");
}

#[test]
fn the_published_examples_are_valid() {
    let arklow = validator::<ActionRecord>();
    check(&arklow, "arklow", &fixture("arklow/list.json")["data"]["items"][0]);
    let integration = validator::<ActionLog>();
    check(&integration, "list", &fixture("integration/list.json")["data"][0]);
    for name in ["create", "get", "update"] {
        check(&integration, name, &fixture(&format!("integration/{name}.json"))["data"]);
    }
    // Unleash publishes no example; this one has every field that its schema names.
    let unleash = validator::<ActionSetEvent>();
    let page = &fixture("unleash/handmade/full-event.json");
    let body = page["response"]["body"].as_str().map_or(page.clone(), |it| serde_json::from_str(it).unwrap());
    check(&unleash, "unleash", &body["actionSetEvents"][0]);
}

/// No recorded response is a page of action set events. So none of their records may pass for one.
#[test]
fn recorded_records_of_other_listings_are_not_valid() {
    let unleash = validator::<ActionSetEvent>();
    let mut seen = 0;
    for name in ["addon-events-paging", "search-events", "search-features"] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/it/fixtures/unleash/");
        for file in std::fs::read_dir(format!("{folder}{name}")).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let case = fixture(&format!("unleash/{name}/{file}"));
            let Some(Ok(body)) = case["response"]["body"].as_str().map(serde_json::from_str::<Value>) else { continue };
            for record in body.as_object().into_iter().flat_map(|it| it.values()).filter_map(Value::as_array).flatten()
            {
                seen += 1;
                assert!(!unleash.is_valid(record), "{record}");
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

fn samples_are_valid<T: schemars::JsonSchema + DeserializeOwned + Serialize>(log: &str) {
    let (validator, any) = (validator::<T>(), validator::<AnyRecord>());
    let samples = samples(log);
    assert!(samples.len() >= 400);
    for sample in samples {
        check(&validator, log, &sample);
        // And so is what the crate writes of them, also as a record of any log.
        let record: T = serde_json::from_str(&sample.to_string()).unwrap();
        let written: Value = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
        check(&validator, log, &written);
        check(&any, log, &json!({ log: written }));
        assert!(!any.is_valid(&json!({ "other": sample })));
    }
}

#[test]
fn the_fakes_samples_are_valid() {
    samples_are_valid::<ActionRecord>("arklow");
    samples_are_valid::<ActionLog>("integration");
    samples_are_valid::<ActionSetEvent>("unleash");
}

/// All paths in a value.
fn paths(value: &Value, path: String, found: &mut BTreeSet<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, it)| (name.replace('~', "~0").replace('/', "~1"), it)).collect()
        }
        Value::Array(items) => items.iter().take(1).map(|it| ("0".to_owned(), it)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        paths(child, format!("{path}/{name}"), found);
        found.insert(format!("{path}/{name}"));
    }
}

/// Other values in the place of one.
fn others() -> Vec<Value> {
    let values = [json!(null), json!(true), json!(-1), json!(7), json!(5.0), json!(2.5), json!("text"), json!("")];
    let more =
        [json!("7"), json!("2025-03-03T06:00:00Z"), json!("2025-13-03T06:00:00Z"), json!([]), json!({}), json!([1])];
    values.into_iter().chain(more).collect()
}

/// What the schema allows, the model reads, and without omitting a field. Returns how often the model alone is content.
fn schema_implies_model<T: schemars::JsonSchema + DeserializeOwned + Serialize>(log: &str) -> (usize, usize) {
    let validator = validator::<T>();
    let (mut allowed, mut lenient) = (0, 0);
    for sample in samples(log).into_iter().step_by(67) {
        let mut found = BTreeSet::new();
        paths(&sample, String::new(), &mut found);
        for path in found {
            let (parent, name) = path.rsplit_once('/').unwrap();
            let mut changed: Vec<Value> = others()
                .into_iter()
                .map(|other| {
                    let mut value = sample.clone();
                    *value.pointer_mut(&path).unwrap() = other;
                    value
                })
                .collect();
            let mut without = sample.clone();
            if let Some(Value::Object(fields)) = without.pointer_mut(parent) {
                fields.remove(&name.replace("~1", "/").replace("~0", "~"));
                changed.push(without);
            }
            for value in changed {
                let read = serde_json::from_str::<T>(&value.to_string());
                match (validator.is_valid(&value), &read) {
                    (true, Err(error)) => panic!("{log}{path}: allowed, and not read: {error}\n{value}"),
                    (true, Ok(_)) => allowed += 1,
                    (false, Ok(_)) => lenient += 1,
                    (false, Err(_)) => {}
                }
            }
        }
    }
    (allowed, lenient)
}

#[test]
fn what_a_schema_allows_its_model_reads() {
    for (log, (allowed, lenient)) in [
        ("arklow", schema_implies_model::<ActionRecord>("arklow")),
        ("integration", schema_implies_model::<ActionLog>("integration")),
        ("unleash", schema_implies_model::<ActionSetEvent>("unleash")),
    ] {
        // The models also read forms that aren't documented: ids that are numbers, other forms of times.
        println!("{log}: {allowed} allowed, {lenient} read though not allowed");
        assert!(allowed > 500 && lenient * 4 < allowed, "{log}: {allowed} {lenient}");
    }
}

#[test]
fn a_schema_refuses_what_lacks_a_required_field_or_has_another_type() {
    let refuses = |validator: &Validator, sample: &Value, path: &str, value: Value| {
        let mut changed = sample.clone();
        *changed.pointer_mut(path).unwrap() = value;
        assert!(!validator.is_valid(&changed), "{path}");
    };
    let arklow = validator::<ActionRecord>();
    let record = &samples("arklow")[0];
    refuses(&arklow, record, "/id", json!(null));
    refuses(&arklow, record, "/state/updated_at", json!("yesterday"));
    refuses(&arklow, record, "/state/status", json!(7));
    refuses(&arklow, record, "/timeout", json!("long"));
    assert!(!arklow.is_valid(&json!({})));
    let integration = validator::<ActionLog>();
    let log = &samples("integration")[0];
    for field in ["_id", "integrationId", "actionType", "entityType", "status"] {
        refuses(&integration, log, &format!("/{field}"), json!(null));
    }
    refuses(&integration, log, "/retryCount", json!(-1));
    let unleash = validator::<ActionSetEvent>();
    let event = &samples("unleash")[0];
    for field in ["id", "actionSetId", "signalId", "createdAt", "state", "signal", "actionSet"] {
        refuses(&unleash, event, &format!("/{field}"), json!(null));
    }
    refuses(&unleash, event, "/actionSet/actions", json!({}));
}

/// All descriptions in a schema.
fn descriptions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => found.push(text.clone()),
                    value => descriptions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|it| descriptions(it, found)),
        _ => {}
    }
}

#[test]
fn descriptions_have_no_links_that_only_the_docs_of_the_crate_resolve() {
    let mut found = Vec::new();
    for schema in [schema::<ActionRecord>(), schema::<ActionLog>(), schema::<ActionSetEvent>(), schema::<AnyRecord>()] {
        descriptions(&schema, &mut found);
    }
    assert!(found.len() > 150, "{}", found.len());
    for text in &found {
        let links = text.split('[').skip(1).all(|it| it.contains("](https://"));
        assert!(links && !text.contains("crate::"), "{text}");
    }
    assert!(found.iter().any(|it| it.replace('\n', " ").contains("until its status is final")), "{found:#?}");
}

#[test]
fn a_schema_names_the_known_values_and_allows_others() {
    let schema = schema::<ActionRecord>().to_string();
    assert!(schema.contains(r#""dispatch_wait""#) && schema.contains(r#""webhook""#));
    let mut record = samples("arklow")[0].clone();
    record["state"]["status"] = json!("paused");
    check(&validator::<ActionRecord>(), "an unknown status", &record);
}
