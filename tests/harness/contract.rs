//! What is published to others in `deploy/contracts`, held against whatever suites see travelling:
//! the body against its JSON Schema, and body, headers, properties and address against the
//! AsyncAPI document.
//!
//! The files are what a platform generates its code from; that they say what the types say is held
//! by the tests of `bus`. Each is compiled once in a process, when the first message is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use jsonschema::Validator;
use relink_bus::mask;
use relink_bus::message::header;
use serde_json::{Map, Value};

use crate::captured::Captured;

/// The message of the document that stands for all events of Stripe's.
const STRIPE_EVENT: &str = "stripe_event";
/// The message that stands for all that is parked.
const PARKED: &str = "parked";

/// The contract of this version.
///
/// # Panics
/// When the published files cannot be read.
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let read = |name: &str| -> Value {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/contracts");
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        Contract::of(&read("schemas.json"), &read("asyncapi.json"))
    })
}

/// Both files, compiled.
pub struct Contract {
    /// By type.
    bodies: BTreeMap<String, Validator>,
    /// By name; commands and observations have their type for one.
    messages: BTreeMap<String, Documented>,
}

/// A message as the AsyncAPI document describes it.
struct Documented {
    /// Null where a queue is the address.
    exchange: Value,
    /// All addresses that are named.
    addresses: BTreeSet<String>,
    /// Whether there are no others.
    is_there_only: bool,
    headers: Validator,
    header_names: BTreeSet<String>,
    properties: Option<Validator>,
    payload: Validator,
}

impl Contract {
    fn of(schemas: &Value, document: &Value) -> Self {
        let bodies = schemas.as_object().unwrap();
        let bodies = bodies.iter().map(|(kind, schema)| (kind.clone(), compiled(schema))).collect();
        let channels = document["channels"].as_object().unwrap().iter();
        let messages = channels.map(|(name, channel)| {
            let message = &document["components"]["messages"][name];
            (message["name"].as_str().unwrap().to_owned(), Documented::of(channel, message))
        });
        Self { bodies, messages: messages.collect() }
    }

    /// Fails the test that saw a message which is not as it was promised.
    ///
    /// # Panics
    /// When it is not.
    pub fn hold(&self, message: &Captured) {
        fail(&self.problems(message), message.id.as_deref(), &message.body);
    }

    /// The same for a body of which nothing else is known: a command or an observation.
    ///
    /// # Panics
    /// When it is not as it was promised.
    pub fn hold_body(&self, kind: &str, body: &[u8]) {
        fail(&self.problems_of_body(kind, body), None, body);
    }

    /// What is not as it was promised. A message that a foreign client made for a test promises
    /// nothing; why Relink parked it is told by Relink.
    fn problems(&self, message: &Captured) -> Vec<String> {
        let seen = &message.properties;
        let headers = seen["headers"].as_object().cloned().unwrap_or_default();
        let mut problems = Vec::new();
        let parked = &self.messages[PARKED];
        let is_parked = parked.addresses.contains(&message.routing_key);
        if is_parked {
            parked.check_headers(&headers, &mut problems);
        }
        if seen["app_id"].is_null() && seen["exchange"] != "relink.commands" {
            return problems;
        }
        let kind = seen["type"].as_str().unwrap_or_default();
        let is_ours = kind.starts_with("relink.");
        let Some(documented) = self.messages.get(if is_ours { kind } else { STRIPE_EVENT }) else {
            problems.push(format!("type: no message `{kind}` is published"));
            return problems;
        };
        if is_ours {
            problems.extend(self.problems_of_body(kind, &message.body));
        } else {
            let body = serde_json::from_slice(&message.body).unwrap_or_default();
            tell("body", &documented.payload, &body, &mut problems);
        }
        if let Some(properties) = &documented.properties {
            tell("properties", properties, &without_nulls(seen), &mut problems);
        }
        if !is_parked {
            documented.check_headers(&headers, &mut problems);
            documented.check_place(message, &mut problems);
        }
        if is_ours && let Ok(body) = serde_json::from_slice::<Value>(&message.body) {
            mirror(seen, &body, &mut problems);
        }
        problems
    }

    fn problems_of_body(&self, kind: &str, body: &[u8]) -> Vec<String> {
        let mut problems = Vec::new();
        let body = match serde_json::from_slice::<Value>(body) {
            Ok(body) => body,
            Err(error) => return vec![format!("body: not JSON: {error}")],
        };
        let (Some(schema), Some(documented)) = (self.bodies.get(kind), self.messages.get(kind))
        else {
            return vec![format!("body: no schema of `{kind}` is published")];
        };
        tell("body", schema, &body, &mut problems);
        if problems.is_empty() {
            tell("body, in AsyncAPI", &documented.payload, &body, &mut problems);
        }
        problems
    }
}

impl Documented {
    fn of(channel: &Value, message: &Value) -> Self {
        let address = channel["address"].as_str().unwrap();
        let mut parameters = channel["parameters"].as_object().into_iter().flatten();
        let addresses = match parameters.next() {
            Some((_, parameter)) => texts(&parameter["enum"]),
            None => [address.to_owned()].into(),
        };
        let names = message["headers"]["properties"].as_object().unwrap().keys();
        Self {
            exchange: channel["bindings"]["amqp"]["exchange"]["name"].clone(),
            addresses,
            // Types of Stripe's that nobody knew are published as well.
            is_there_only: message["name"] != STRIPE_EVENT,
            headers: compiled(&message["headers"]),
            header_names: names.cloned().collect(),
            properties: message.get("x-amqp-properties").map(compiled),
            payload: compiled(&message["payload"]["schema"]),
        }
    }

    fn check_headers(&self, headers: &Map<String, Value>, problems: &mut Vec<String>) {
        tell("headers", &self.headers, &Value::Object(headers.clone()), problems);
        let is_ours = |name: &&String| name.starts_with("relink-") || *name == header::TRACEPARENT;
        let unknown = headers.keys().filter(is_ours);
        let unknown = unknown.filter(|name| !self.header_names.contains(*name));
        problems.extend(unknown.map(|name| format!("headers: `{name}` is not documented")));
    }

    fn check_place(&self, message: &Captured, problems: &mut Vec<String>) {
        let (exchange, key) = (&message.properties["exchange"], &message.routing_key);
        // What is tried again or put back comes by the name of its queue.
        if exchange == "" {
            return;
        }
        if *exchange != self.exchange {
            problems.push(format!("came over {exchange}, documented is {}", self.exchange));
        }
        if self.is_there_only && !self.addresses.contains(key) {
            problems.push(format!("came as `{key}`, documented is {:?}", self.addresses));
        }
    }
}

/// The properties mirror the envelope.
fn mirror(seen: &Value, body: &Value, problems: &mut Vec<String>) {
    for (property, attribute) in [("message_id", "id"), ("type", "type")] {
        if seen[property] != body[attribute] {
            problems.push(format!("properties: `{property}` is not the body's `{attribute}`"));
        }
    }
}

fn compiled(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The foreign client has a null for what is not there.
fn without_nulls(seen: &Value) -> Value {
    let fields = seen.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
}

/// Values are left out of what is told: there may be links among them, which are secrets.
fn tell(what: &str, schema: &Validator, instance: &Value, problems: &mut Vec<String>) {
    problems.extend(schema.iter_errors(instance).map(|error| {
        let (place, rule) = (error.instance_path(), error.evaluation_path());
        format!("{what} at `{place}`: {}; rule {rule}", error.masked())
    }));
}

fn fail(problems: &[String], id: Option<&str>, body: &[u8]) {
    assert!(
        problems.is_empty(),
        "{}: a message is not what deploy/contracts promises\nid: {}\n{}\nbody: {}",
        std::thread::current().name().unwrap_or("a test"),
        id.unwrap_or("none"),
        problems.join("\n"),
        mask::shown(body),
    );
}

#[cfg(test)]
mod tests;
