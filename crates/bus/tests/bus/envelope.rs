//! Commands and observations as they stand on the wire: documents, schemas, ids.

use std::collections::BTreeSet;

use relink_bus::envelope::{
    CloudEvent, Observed, ObservedKind, command_type, encode_command, observation, rfc3339, source,
};
use relink_bus::topology::{Exchange, WorkQueue};
use relink_bus::{golden, schema};
use relink_core::command::{Body, Command};
use relink_core::id::{ID_BYTES_MAX, Scope};
use relink_core::time::Time;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::commands::commands;

/// 2026-11-02T13:00:00.250Z
const DECIDED: Time = Time(1_793_624_400_250);

fn scope() -> Scope {
    Scope::connected(true, "acct_1")
}

fn encoded(command: &Command) -> Value {
    serde_json::from_slice(&encode_command(command, &scope(), DECIDED).unwrap()).unwrap()
}

/// The document that consumers were promised.
fn golden(name: &str) -> Value {
    golden::body(&command_type(name)).unwrap_or_else(|| panic!("no golden body of {name}"))
}

fn schema_of(kind: &str) -> jsonschema::Validator {
    let all = schema::all();
    let found = all.iter().find(|one| one.kind == kind).unwrap();
    jsonschema::validator_for(found.schema.as_value()).unwrap()
}

fn observed(
    subject: &str,
    read_at: i64,
    object: Option<&RawValue>,
) -> relink_bus::message::Message {
    let observed =
        Observed { stripe_account: Some("acct_1".to_owned()), livemode: true, read_at, object };
    let kind = ObservedKind::Account;
    observation(kind, subject, &scope(), &observed, Some("cmd".into()), DECIDED).unwrap()
}

#[test]
fn every_command_is_the_document_that_was_promised() {
    let all = commands();
    let names: Vec<_> = all.iter().map(|command| command.body.name()).collect();
    assert_eq!(names, Body::NAMES);
    for command in &all {
        assert_eq!(encoded(command), golden(command.body.name()), "{}", command.body.name());
    }
}

#[test]
fn every_document_is_a_cloud_event() {
    for command in commands() {
        let document = encoded(&command);
        let fields: BTreeSet<_> = document.as_object().unwrap().keys().cloned().collect();
        let known =
            ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"];
        // CloudEvents 1.0: names of attributes are lower-case letters and digits.
        assert_eq!(fields, known.map(str::to_owned).into(), "{}", command.body.name());
        assert_eq!(document["specversion"], "1.0");
        assert_eq!(document["datacontenttype"], "application/json");
        assert_eq!(document["source"], "/relink/live/acct_1");
        assert_eq!(document["type"], command_type(command.body.name()));
        for required in ["id", "source", "type", "subject"] {
            assert_ne!(document[required].as_str().unwrap(), "", "{required}");
        }
    }
}

#[test]
fn every_document_validates_against_its_schema_and_no_other() {
    let all = commands();
    for command in &all {
        let name = command.body.name();
        let document = golden(name);
        let schema = schema_of(&command_type(name));
        if let Err(error) = schema.validate(&document) {
            panic!("{name}: {error} at {}", error.instance_path());
        }
        for other in all.iter().map(|other| other.body.name()).filter(|other| *other != name) {
            assert!(!schema_of(&command_type(other)).is_valid(&document), "{name} as {other}");
        }
    }
}

#[test]
fn a_schema_demands_what_is_always_there() {
    for command in commands() {
        let name = command.body.name();
        let schema = schema_of(&command_type(name));
        for attribute in ["specversion", "id", "source", "type", "subject", "time", "data"] {
            let mut document = golden(name);
            document.as_object_mut().unwrap().remove(attribute);
            assert!(!schema.is_valid(&document), "{name} without {attribute}");
        }
        let mut document = golden(name);
        document["data"].as_object_mut().unwrap().remove("livemode");
        assert!(!schema.is_valid(&document), "{name} without livemode");
        let mut document = golden(name);
        document["data"]["brand_new"] = json!("a field of tomorrow");
        assert!(schema.is_valid(&document), "{name}: more fields may come");
    }
}

#[test]
fn there_is_a_schema_for_everything_and_each_names_its_type() {
    let kinds: Vec<_> = schema::all().into_iter().map(|one| one.kind).collect();
    let observed = [ObservedKind::Account, ObservedKind::Authorization, ObservedKind::Session];
    let expected: Vec<_> = Body::NAMES
        .map(command_type)
        .into_iter()
        .chain(observed.map(|kind| kind.key().to_owned()))
        .collect();
    assert_eq!(kinds, expected);
    for one in schema::all() {
        let schema = one.schema.as_value();
        assert_eq!(schema["properties"]["type"], json!({ "const": one.kind }));
        assert_eq!(schema["title"], one.kind.as_str());
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::meta::is_valid(schema), "{}", one.kind);
    }
}

#[test]
fn a_command_reads_back_as_it_was_written() {
    for command in commands() {
        let body = encode_command(&command, &scope(), DECIDED).unwrap();
        let name = command.body.name();
        macro_rules! same {
            ($($variant:ident)*) => {
                match command.body {
                    $(Body::$variant(data) => {
                        let read: CloudEvent<relink_core::command::$variant> =
                            serde_json::from_slice(&body).unwrap();
                        assert_eq!(read.data, data, "{name}");
                    })*
                }
            };
        }
        same!(PromptRelink RemindRelink WithdrawRelink EscalateRelink PauseData ResumeData
            RefreshData ReplaceAccount VerifyAccounts ReconcileAccounts);
    }
}

#[test]
fn an_observation_carries_the_object_untouched_under_a_stable_id() {
    let text = r#"{"id":"fca_1", "b":1.50,"a":"é\u0000"}"#;
    let object: Box<RawValue> = serde_json::from_str(text).unwrap();
    let message = observed("fca_1", 1_793_624_399, Some(&object));
    assert!(message.id.starts_with("obs:live/acct_1:fca_1:1793624399"), "{}", message.id);
    assert_eq!(message.exchange, Exchange::Events);
    assert_eq!(
        (&*message.routing_key, &*message.kind),
        ("relink.observed.account", &*message.kind)
    );
    assert!(message.mandatory, "an observation that nobody takes is an answer lost");
    assert!(WorkQueue::Lifecycle.keys().contains(&&*message.routing_key));
    assert_eq!(message.timestamp_unix_s, 1_793_624_399);
    assert_eq!(message.content_type, "application/cloudevents+json");
    assert_eq!(message.headers.livemode, Some(true));
    assert_eq!(message.headers.stripe_account.as_deref(), Some("acct_1"));
    assert_eq!(message.correlation.as_deref(), Some("cmd"));
    let body = std::str::from_utf8(&message.body).unwrap();
    assert!(body.contains(text), "byte for byte");
    let document: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(document["id"], *message.id);
    assert_eq!(document["subject"], "fca_1");
    assert!(schema_of("relink.observed.account").is_valid(&document));
    let later = observed("fca_1", 1_793_624_399, None);
    assert_eq!(later.id, message.id, "the same second of the same object, for the same request");
    assert_ne!(observed("fca_1", 1_793_624_400, None).id, message.id);
    assert_ne!(observed("fca_2", 1_793_624_399, None).id, message.id);
}

#[test]
fn every_observation_is_the_document_that_was_promised() {
    #[derive(serde::Deserialize)]
    struct Golden {
        subject: String,
        #[serde(rename = "type")]
        kind: String,
        data: Box<RawValue>,
    }
    let mut kinds = Vec::new();
    for (kind, body) in golden::all().filter(|(kind, _)| kind.starts_with("relink.observed.")) {
        let text = body.to_string();
        let golden: Golden = serde_json::from_str(&text).unwrap();
        let observed: Observed<'_> = serde_json::from_str(golden.data.get()).unwrap();
        let kind = ObservedKind::of(kind).unwrap();
        let asked = (kind != ObservedKind::Session).then(|| "live/acct_1:fcauth_1:verify-3".into());
        let message =
            observation(kind, &golden.subject, &scope(), &observed, asked, DECIDED).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&message.body).unwrap(), body);
        kinds.push(golden.kind);
    }
    let all = [ObservedKind::Account, ObservedKind::Authorization, ObservedKind::Session];
    assert_eq!(kinds, all.map(ObservedKind::key));
}

#[test]
fn requests_of_two_homes_in_one_second_are_two_observations() {
    let long = "x".repeat(ID_BYTES_MAX);
    let id = |request: &str| {
        let scope = Scope::connected(false, &long);
        let read_at = 9_999_999_999;
        let observed = Observed { stripe_account: None, livemode: false, read_at, object: None };
        let request = Some(request.into());
        let kind = ObservedKind::Account;
        observation(kind, &long, &scope, &observed, request, DECIDED).unwrap().id
    };
    let (provisional, own) = (id("live:fca_1:verify-1"), id("live:fcauth_1:verify-1"));
    assert_ne!(provisional, own);
    assert!(own.ends_with(":verify-1-6e5c625f"), "the same in every version: {own}");
    assert!(id("live:fcauth_1:verify-4294967295").len() <= 255, "an AMQP short string");
}

#[test]
fn an_object_that_stripe_does_not_know_is_null() {
    let message = observed("fca_1", 1, None);
    let document: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(document["data"]["object"], Value::Null);
    assert!(schema_of("relink.observed.account").is_valid(&document));
}

#[test]
fn kinds_of_observations_are_known_by_their_key() {
    for kind in [ObservedKind::Account, ObservedKind::Authorization, ObservedKind::Session] {
        assert_eq!(ObservedKind::of(kind.key()), Some(kind));
    }
    assert_eq!(ObservedKind::of("financial_connections.account.created"), None);
}

#[test]
fn times_and_sources_have_one_form() {
    assert_eq!(rfc3339(DECIDED), "2026-11-02T13:00:00.250Z");
    assert_eq!(rfc3339(Time(0)), "1970-01-01T00:00:00.000Z");
    assert_eq!(rfc3339(Time(i64::MAX)), "1970-01-01T00:00:00.000Z");
    assert_eq!(source(&Scope::own(false)), "/relink/test");
    assert_eq!(source(&Scope::own(true)), "/relink/live");
}
