//! A server that answers from a script and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use relink_core::id::Scope;
use relink_stripe::client::{Budget, CallError, Client, ClientConfig, Trace};
use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const DATE: &str = "Mon, 02 Nov 2026 00:00:00 GMT";
pub(crate) const DATE_UNIX: i64 = 1_793_577_600;
pub(crate) const KEY: &str = "rk_live_51Secret";
pub(crate) const VERSION: &str = "2026-09-30.preview";

/// One scripted answer.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
    pub(crate) after: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &Value) -> Self {
        let headers = vec![("date", DATE), ("request-id", "req_1")];
        Self { status, headers, body: body.to_string(), after: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }
}

/// What the server will answer and was asked.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) replies: Arc<Mutex<VecDeque<Reply>>>,
    /// Path and query, then the headers that matter.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// Of each POST: path, idempotency key, and the form decoded.
    pub(crate) posted: Arc<Mutex<Vec<Posted>>>,
}

/// One POST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) form: Vec<(String, String)>,
}

async fn posted(request: Request) -> Posted {
    let path = request.uri().to_string();
    let key = request.headers()["idempotency-key"].to_str().expect("text").to_owned();
    let body = to_bytes(request.into_body(), usize::MAX).await.expect("a body");
    // The same encoding as that of a query.
    let body = std::str::from_utf8(&body).expect("text");
    let query = Url::parse(&format!("http://x/?{body}")).expect("a URL");
    Posted { path, key, form: query.query_pairs().into_owned().collect() }
}

fn line(request: &Request) -> String {
    let header =
        |name: &str| request.headers().get(name).map_or("-", |value| value.to_str().expect("text"));
    let [version, account, key] = ["stripe-version", "stripe-account", "authorization"].map(header);
    format!("{} {version} {account} {key}", request.uri())
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    script.asked.lock().expect("a lock").push(line(&request));
    if request.method() == Method::POST {
        let posted = posted(request).await;
        script.posted.lock().expect("a lock").push(posted);
    }
    // The last reply stands for all that follow.
    let reply = {
        let mut replies = script.replies.lock().expect("a lock");
        let next = replies.pop_front().expect("a reply");
        if replies.is_empty() {
            replies.push_back(next.clone());
        }
        next
    };
    tokio::time::sleep(reply.after).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).expect("a response")
}

pub(crate) async fn serve(replies: impl IntoIterator<Item = Reply>) -> (Script, Client) {
    let replies = Arc::new(Mutex::new(replies.into_iter().collect()));
    let script = Script { replies, ..Script::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (script, Client::new(config(&format!("http://{address}"))).expect("a client"))
}

pub(crate) fn config(base: &str) -> ClientConfig {
    ClientConfig {
        timeout: Duration::from_millis(300),
        retry_base: Duration::from_millis(1),
        retry_cap: Duration::from_millis(4),
        ..ClientConfig::new(base, SecretString::from(KEY), VERSION)
    }
}

pub(crate) fn account(id: &str) -> Value {
    json!({"id": id, "object": "financial_connections.account", "status": "inactive"})
}

pub(crate) fn refused(code: &str) -> Value {
    json!({"error": {"type": "invalid_request_error", "code": code, "message": "No such: x"}})
}

pub(crate) fn trace(code: Option<&str>) -> Trace {
    Trace { code: code.map(str::to_owned), request_id: Some("req_1".to_owned()) }
}

pub(crate) fn live() -> Scope {
    Scope::own(true)
}

pub(crate) async fn failure(replies: impl IntoIterator<Item = Reply>) -> (usize, CallError) {
    let (script, client) = serve(replies).await;
    let error = client.account(&live(), &"fca_1".into()).await.expect_err("a refusal");
    let asked = script.asked.lock().expect("a lock").len();
    (asked, error)
}

/// A budget that nobody waits for.
pub(crate) fn plenty() -> Budget {
    Budget::new(100_000.0)
}
