//! What several end-to-end tests put together in the same way.

use std::collections::BTreeMap;

use relink_tests::process::{Settings, run};
use serde_json::Value;

/// Holds commands against what `relink schema` prints.
pub(crate) async fn check_schemas<'a>(commands: impl Iterator<Item = &'a Value>) {
    let output = run(&["schema"], &Settings::new()).await;
    assert!(output.status.success());
    let schemas: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    let validators: BTreeMap<String, jsonschema::Validator> = schemas
        .iter()
        .map(|(kind, schema)| (kind.clone(), jsonschema::validator_for(schema).unwrap()))
        .collect();
    for command in commands {
        let validator = &validators[command["type"].as_str().unwrap()];
        let errors: Vec<String> =
            validator.iter_errors(command).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{command}: {errors:?}");
    }
}
