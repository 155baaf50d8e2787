//! What others generate their code from is what this version publishes.

use std::path::PathBuf;

use relink_bus::{asyncapi, schema};
use serde_json::Value;

fn kept(name: &str) -> Value {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../deploy/contracts", name].iter().collect();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_asyncapi_document_is_the_one_that_is_kept() {
    assert_eq!(
        asyncapi::document(),
        kept("asyncapi.json"),
        "run: relink schema --asyncapi > deploy/contracts/asyncapi.json"
    );
}

#[test]
fn the_schemas_are_those_that_are_kept() {
    let all = kept("schemas.json");
    for one in schema::all() {
        let message = "run: relink schema > deploy/contracts/schemas.json";
        assert_eq!(one.schema.to_value(), all[&one.kind], "{}; {message}", one.kind);
    }
    assert_eq!(all.as_object().unwrap().len(), schema::all().len(), "a schema of nothing");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn follow(document: &Value, here: &Value) {
        match here {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    let pointer = target.strip_prefix('#').expect("within the document");
                    assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                }
                fields.values().for_each(|field| follow(document, field));
            }
            Value::Array(items) => items.iter().for_each(|item| follow(document, item)),
            _ => {}
        }
    }
    let document = asyncapi::document();
    follow(&document, &document);
    let operations = document["operations"].as_object().unwrap();
    let channels = document["channels"].as_object().unwrap();
    assert_eq!(channels.len(), schema::all().len() + 1, "and one for Stripe's events");
    assert!(operations.len() > channels.len(), "what Relink consumes itself is received, too");
}
