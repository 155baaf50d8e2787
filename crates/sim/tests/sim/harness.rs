//! A running simulator, a receiver of webhooks, and the published schemas.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use relink_sim::{Sim, SimConfig};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// A time to start at: 2026-11-02T01:00:00Z.
pub(crate) const START: i64 = 1_793_581_200;

/// A configuration whose clock stands still at [`START`].
pub(crate) fn still() -> SimConfig {
    SimConfig { start_unix_s: Some(START), time_scale: 0.0, ..SimConfig::default() }
}

/// The event types of a run, without their common prefix.
pub(crate) fn types(sim: &Sim) -> Vec<String> {
    let name = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    sim.events().iter().map(|e| name(e).replace("financial_connections.", "")).collect()
}

/// A simulator on a port of its own, with a client.
pub(crate) struct Running {
    pub(crate) sim: Sim,
    base: String,
    client: reqwest::Client,
}

/// An answer of the Stripe API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Running {
    pub(crate) async fn start(config: SimConfig) -> Running {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sim = Sim::new(config);
        let base = sim.serve_on_loopback().await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Running { sim, base, client }
    }

    /// A call with the right key.
    pub(crate) async fn get(&self, path: &str, version: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth("sk_test_sim");
        read(request.header("Stripe-Version", version)).await
    }

    /// A call as it is.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    /// A write with the right key.
    pub(crate) async fn post(&self, path: &str, version: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.request("POST", path).bearer_auth("sk_test_sim");
        read(request.header("Stripe-Version", version).form(form)).await
    }

    /// A call of the stand-in for Stripe.js.
    pub(crate) async fn dialog(&self, what: &str, body: Value) -> Answer {
        let path = format!("/v3/sessions/{what}");
        read(self.request("POST", &path).body(body.to_string())).await
    }

    /// A call of the control API.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Answer {
        read(self.request("POST", &format!("/control/{path}")).json(&body)).await
    }
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
    Answer { status, headers, body }
}

/// One webhook as it arrived.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) signature: String,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
}

/// A receiver that refuses the first deliveries and accepts the rest.
pub(crate) struct Receiver {
    pub(crate) url: String,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Receiver {
    pub(crate) async fn start(refuse_first: usize) -> Receiver {
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&arrivals);
        let receive = move |headers: HeaderMap, bytes: Bytes| async move {
            let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
            let body = serde_json::from_slice(&bytes).unwrap();
            let mut kept = kept.lock().unwrap();
            kept.push(Arrival { signature, bytes, body });
            if kept.len() <= refuse_first {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::OK
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/webhooks/stripe", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Receiver { url, arrivals }
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let id = |arrival: &Arrival| arrival.body["id"].as_str().unwrap().to_owned();
        self.arrivals().iter().map(id).collect()
    }
}

/// Waits for all deliveries, but not for ever.
pub(crate) async fn flush(sim: &Sim) {
    assert!(sim.flush(Duration::from_secs(20)).await, "deliveries are still pending");
}

/// The published schemas of one release.
pub(crate) struct Schemas {
    release: Value,
    /// Compiled on first use, which takes far longer than a check.
    compiled: Mutex<HashMap<String, jsonschema::Validator>>,
}

impl Schemas {
    pub(crate) fn of(version: &str) -> Schemas {
        let file = include_str!("../../fixtures/stripe-schemas.json");
        let mut file: Value = serde_json::from_str(file).unwrap();
        let mut release = file["releases"][version].take();
        assert!(release.is_object(), "no schemas of {version}");
        strict(&mut release);
        Schemas { release, compiled: Mutex::default() }
    }

    /// Demands that an object is exactly what the release says: no more and no other.
    pub(crate) fn check(&self, name: &str, object: &Value) {
        self.demand(&format!("/schemas/{name}"), object);
    }

    /// Demands the same of a snapshot event and of the object in it.
    pub(crate) fn check_event(&self, event: &Value) {
        self.demand("/snapshot_event_envelope", event);
        let name = &self.release["snapshot_events"][event["type"].as_str().unwrap()];
        self.check(name.as_str().expect("an event type of this release"), &event["data"]["object"]);
    }

    /// Demands the same of a thin notification.
    pub(crate) fn check_thin(&self, event: &Value) {
        self.demand("/thin_event_envelope", event);
        let known = self.release["thin_events"].as_array().unwrap();
        assert!(known.contains(&event["type"]), "{event}");
    }

    fn demand(&self, place: &str, object: &Value) {
        let mut compiled = self.compiled.lock().unwrap();
        let validator = compiled.entry(place.to_owned()).or_insert_with(|| {
            let mut root = self.release.clone();
            root["$ref"] = format!("#{place}").into();
            jsonschema::validator_for(&root).unwrap()
        });
        let errors: Vec<String> =
            validator.iter_errors(object).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{object:#}");
    }
}

/// From OpenAPI to JSON Schema: `nullable` becomes a type, and objects are closed, so that a
/// field of another release is an error.
fn strict(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(strict),
        Value::Object(fields) => {
            fields.values_mut().for_each(strict);
            let foreign = fields.contains_key("x-note") || fields.contains_key("x-external-ref");
            if fields.get("properties").is_some_and(Value::is_object) && !foreign {
                fields.entry("additionalProperties").or_insert(false.into());
            }
            if fields.remove("nullable") == Some(true.into()) {
                let inner = Value::Object(std::mem::take(fields));
                *fields =
                    Map::from_iter([("anyOf".to_owned(), json!([inner, { "type": "null" }]))]);
            }
        }
        _ => {}
    }
}
