//! What others generate their code from is what this version publishes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use relink_bus::{asyncapi, golden, schema};
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
    let others = ["stripe_event", "parked"];
    assert_eq!(channels.len(), schema::all().len() + others.len());
    assert!(operations.len() > channels.len(), "what Relink consumes itself is received, too");
}

/// Its schema, for as long as anybody may still send or read that version.
fn schema_of(kind: &str) -> jsonschema::Validator {
    let all = kept("schemas.json");
    let schema = all.get(kind).unwrap_or_else(|| panic!("no schema of {kind} is kept"));
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

#[test]
fn every_version_has_a_golden_body_that_is_still_what_its_schema_says() {
    let kinds: BTreeSet<String> =
        kept("schemas.json").as_object().unwrap().keys().cloned().collect();
    let golden: BTreeSet<String> = golden::all().map(|(kind, _)| kind.to_owned()).collect();
    assert_eq!(golden, kinds, "left: golden bodies, right: published schemas");
    for (kind, body) in golden::all() {
        assert_eq!(body["type"], kind);
        if let Err(error) = schema_of(kind).validate(&body) {
            panic!("the golden body of {kind} at `{}`: {error}", error.instance_path());
        }
    }
}

#[test]
fn no_golden_body_lies_about_unused() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "fixtures"].iter().collect();
    let names = ["commands", "observations"].into_iter().flat_map(|kind| {
        let files = std::fs::read_dir(folder.join(kind)).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap())
    });
    let expected: BTreeSet<String> =
        golden::all().map(|(kind, _)| format!("{kind}.json")).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn an_envelope_that_is_none_is_refused() {
    let kind = "relink.pause_data.v1";
    let (schema, golden) = (schema_of(kind), golden::body(kind).unwrap());
    for (attribute, wrong) in [
        ("specversion", "2.0"),
        ("id", ""),
        ("source", "relink/live"),
        ("source", "/relink/sandbox"),
        ("type", "relink.resume_data.v1"),
        ("subject", ""),
        ("time", "yesterday"),
        ("datacontenttype", "text/plain"),
    ] {
        let mut body = golden.clone();
        body[attribute] = wrong.into();
        assert!(!schema.is_valid(&body), "{attribute}: {wrong}");
    }
}
