//! A collector that takes OTLP over HTTP, and is strict: a field that `trace.proto` does not have,
//! or that is of another form than its JSON is, ends the test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use relink_tests::wait::until;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

/// A span as it came.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// `service.name` of its resource.
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    /// `SpanKind`: 4 sends, 5 takes.
    pub(crate) kind: u8,
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Trace and span.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) failed: bool,
}

impl Span {
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    pub(crate) fn message(&self) -> &str {
        self.attribute("messaging.message.id").unwrap()
    }
}

/// Keeps what it is sent.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    taken: Arc<Taken>,
}

struct Taken {
    spans: Mutex<Vec<Span>>,
    /// What it answers with.
    status: AtomicU16,
    /// What it refused.
    refused: Mutex<BTreeSet<Bytes>>,
    /// How often it refused the same once more.
    repeated: AtomicUsize,
}

impl Collector {
    pub(crate) async fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let taken = Arc::new(Taken {
            spans: Mutex::default(),
            status: AtomicU16::new(200),
            refused: Mutex::default(),
            repeated: AtomicUsize::new(0),
        });
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, taken }
    }

    /// Its base, as it is configured.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn answers(&self, status: u16) {
        self.taken.status.store(status, Ordering::Relaxed);
    }

    /// How many requests came again after they were refused, and were refused again.
    pub(crate) fn repeated(&self) -> usize {
        self.taken.repeated.load(Ordering::Relaxed)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.taken.spans.lock().unwrap().clone()
    }

    /// Waits until so many spans have come that are called so.
    pub(crate) async fn named(&self, name: &str, count: usize) -> Vec<Span> {
        until(async || {
            let mut spans = self.spans();
            spans.retain(|span| span.name == name);
            if spans.len() >= count { Ok(spans) } else { Err(format!("{name}: {spans:?}")) }
        })
        .await
    }
}

async fn take(
    State(taken): State<Arc<Taken>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    assert_eq!(headers["content-type"], "application/json");
    let status = StatusCode::from_u16(taken.status.load(Ordering::Relaxed)).unwrap();
    if status.is_success() {
        let request: Request = serde_json::from_slice(&body).unwrap();
        taken.spans.lock().unwrap().extend(request.spans());
    }
    if !status.is_success() && !taken.refused.lock().unwrap().insert(body) {
        taken.repeated.fetch_add(1, Ordering::Relaxed);
    }
    (status, "{}")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resource {
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScopeSpans {
    #[serde(rename = "scope")]
    _scope: Scope,
    spans: Vec<SpanBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scope {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "version")]
    _version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpanBody {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    flags: u32,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue>,
    #[serde(default)]
    links: Vec<Link>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Link {
    trace_id: String,
    span_id: String,
    #[serde(rename = "flags")]
    _flags: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Status {
    code: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyValue {
    key: String,
    value: AnyValue,
}

#[derive(Deserialize)]
enum AnyValue {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
}

impl Request {
    fn spans(self) -> impl Iterator<Item = Span> {
        self.resource_spans.into_iter().flat_map(|of_one| {
            let service = attributes(of_one.resource.attributes)["service.name"].clone();
            let spans = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| span.read(service.clone()))
        })
    }
}

impl SpanBody {
    fn read(self, service: String) -> Span {
        assert_eq!(self.flags & 1, 1, "only what is sampled is told");
        Span {
            service,
            trace: hexadecimal(self.trace_id, 32),
            id: hexadecimal(self.span_id, 16),
            parent: self.parent_span_id.map(|id| hexadecimal(id, 16)),
            name: self.name,
            kind: self.kind,
            started: self.start_time_unix_nano.parse().unwrap(),
            ended: self.end_time_unix_nano.parse().unwrap(),
            attributes: attributes(self.attributes),
            links: self
                .links
                .into_iter()
                .map(|link| (hexadecimal(link.trace_id, 32), hexadecimal(link.span_id, 16)))
                .collect(),
            failed: self.status.is_some_and(|status| status.code == 2),
        }
    }
}

fn hexadecimal(id: String, digits: usize) -> String {
    assert!(id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    id
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        AnyValue::Text(text) => text,
        AnyValue::Number(number) => number.parse::<i64>().unwrap().to_string(),
        AnyValue::Flag(is) => is.to_string(),
    };
    all.into_iter().map(|one| (one.key, text(one.value))).collect()
}

/// Trace and span of the `traceparent` that a message carries, and whether it is sampled.
pub(crate) fn carried(properties: &Value) -> (String, String, bool) {
    let text = properties["headers"]["traceparent"].as_str().unwrap();
    let parts: Vec<&str> = text.split('-').collect();
    let ["00", trace, span, flags] = parts[..] else { panic!("{text}") };
    (trace.to_owned(), span.to_owned(), flags == "01")
}
