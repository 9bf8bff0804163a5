//! Checks the JSON Schemas of actionlog's models, and its OCSF events, with a validator.

use std::fs;
use std::path::Path;

use actionlog::testing::sample;
use jsonschema::Validator;
use schemars::JsonSchema;
use serde_json::Value;

/// A validator of the schema of a model. Formats count: a `date-time` has to be one.
#[must_use]
pub fn validator<T: JsonSchema>() -> Validator {
    compile(&schema::<T>())
}

/// The schema of a model.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// A validator of a schema, which has to be valid itself.
#[must_use]
pub fn compile(schema: &Value) -> Validator {
    assert!(jsonschema::meta::is_valid(schema), "not a JSON Schema: {schema}");
    jsonschema::options().should_validate_formats(true).build(schema).expect("the schema compiles")
}

/// Why a value isn't valid. Empty if it is.
#[must_use]
pub fn problems(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|it| format!("{}: {it}", it.instance_path())).collect()
}

/// A fixture of the crate's tests, as JSON.
#[must_use]
pub fn fixture(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/fixtures").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fake server's samples, by the name of their log: the usual and the odd ones.
#[must_use]
pub fn samples(log: &str) -> Vec<Value> {
    match log {
        "arklow" => [sample::action_records(240), sample::odd_action_records(240)].concat(),
        "integration" => [sample::action_logs(240), sample::odd_action_logs(240)].concat(),
        "unleash" => [sample::action_set_events(240), sample::odd_action_set_events(240)].concat(),
        other => panic!("no log {other}"),
    }
}
