//! Requests to the portal: its API and the relink page.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use http::Request;
use prometheus::Registry;
use relink_core::id::{CaseId, Scope};
use relink_core::input::Input;
use relink_core::policy::Policy;
use relink_core::time::{Second, Span};
use relink_engine::batch::Batch;
use relink_engine::clock::Clock as _;
use relink_engine::link::{LinkClaims, LinkSigner};
use relink_engine::parked::{Desk, StoreLot};
use relink_engine::store::Store;
use relink_portal::{ApiToken, Brand, Colour, Portal, PortalConfig, PortalParts, Texts, UiMode};
use relink_sqlite::SqliteStore;
use relink_stripe::mapping;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::seed::EVENTS;
use crate::source::Source;
use crate::stand::{API_KEY, Kept, Steps, client};

const TOKENS: [(&str, &str); 2] = [("read", "token-that-reads"), ("write", "token-that-writes")];
const KEY: [u8; 32] = *b"a-key-of-thirty-two-bytes-or-mor";

/// What the bodies of the API have, in all of its calls.
const NAMES: [&str; 20] = [
    "account",
    "permissions",
    "subcategories",
    "ui_mode",
    "return_url",
    "ids",
    "all",
    "queue",
    "parked_for",
    "type",
    "since",
    "until",
    "limit",
    "write",
    "reason",
    "authorization",
    "completion",
    "session",
    "outcome",
    "holder",
];

struct Desktop {
    store: Arc<dyn Store>,
    clock: Arc<Steps>,
    router: RefCell<Router>,
    asked: Cell<u32>,
    runtime: Runtime,
    subjects: Vec<String>,
    tokens: Vec<String>,
}

/// How often one portal is asked: below what it takes of one caller at once. The next one stands
/// over the same store.
const ASKED_MAX: u32 = 64;

impl Desktop {
    fn router(&self) -> Router {
        if self.asked.get() == ASKED_MAX {
            self.asked.set(0);
            *self.router.borrow_mut() = portal(&self.store, &self.clock);
        }
        self.asked.set(self.asked.get() + 1);
        self.router.borrow().clone()
    }
}

thread_local! {
    static DESKTOP: LazyLock<Desktop> = LazyLock::new(desktop);
}

/// A portal over a store that knows what the examples tell.
fn desktop() -> Desktop {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
    let clock = Arc::new(Steps::default());
    let inputs: Arc<[Input]> =
        EVENTS.bodies.iter().filter_map(|body| mapping::input(body).ok()).collect();
    let batch = Batch {
        inputs: inputs.clone(),
        traceparents: vec![None; inputs.len()].into(),
        policy: Arc::new(policy()),
        now: clock.now(),
        wall: clock.clone(),
    };
    runtime.block_on(store.transact(inputs, batch.decider().0)).unwrap();
    let mut subjects = vec!["x".to_owned(), "%2e%2e".to_owned(), "%ff".to_owned()];
    for event in &EVENTS.documents {
        for place in ["/data/object/id", "/data/object/authorization"] {
            let id = event.pointer(place).and_then(Value::as_str);
            subjects.extend(id.map(str::to_owned));
        }
    }
    let router = RefCell::new(portal(&store, &clock));
    let tokens = tokens(&subjects);
    Desktop { store, clock, router, asked: Cell::new(0), runtime, subjects, tokens }
}

/// Links to the first case of each subject, whether it has one or not, and what is no link.
fn tokens(subjects: &[String]) -> Vec<String> {
    let signer = LinkSigner::new([KEY]).unwrap();
    let sign = |subject: &String| {
        signer.sign(&LinkClaims {
            case: CaseId::new(format!("live:{subject}:case-1")),
            subject: subject.as_str().into(),
            scope: Scope::own(true),
            expires: Second(i64::MAX / 1000),
        })
    };
    subjects.iter().map(sign).chain(["1.x.y".to_owned()]).collect()
}

fn policy() -> Policy {
    Policy { settle: Span::ZERO, ..Policy::default() }
}

fn portal(store: &Arc<dyn Store>, clock: &Arc<Steps>) -> Router {
    let parts = PortalParts {
        store: store.clone(),
        desk: Desk {
            lot: Arc::new(StoreLot { store: store.clone(), clock: clock.clone() }),
            store: Some(store.clone()),
            decode: |_| Some(relink_worker_lifecycle::decode),
            clock: clock.clone(),
        },
        publisher: Arc::new(Kept::default()),
        client: Some(client(&mut Source::new(b"Stripe's answers"))),
        reads_per_second: 1_000_000.0,
        signer: LinkSigner::new([KEY]).unwrap(),
        clock: clock.clone(),
        wall: clock.clone(),
        policy: Arc::new(policy()),
    };
    Portal::new(config(), parts, &Registry::new()).unwrap().router()
}

fn config() -> PortalConfig {
    let token = |(scope, token): (&str, &str)| {
        let mut text = format!("{scope}:");
        for byte in Sha256::digest(token) {
            write!(text, "{byte:02x}").unwrap();
        }
        ApiToken::parse(&text).unwrap()
    };
    PortalConfig {
        url: "https://relink.example.com".into(),
        brand: Brand {
            name: "Northwind".into(),
            colour: Colour::parse("#0b57d0").unwrap(),
            logo: None,
        },
        texts: Texts::shipped().unwrap(),
        mode: UiMode::Page,
        stripe_js: "https://js.stripe.com/v3/".into(),
        publishable_key: Some("pk_live_hostile".into()),
        api_tokens: TOKENS.map(token).into(),
    }
}

/// No request is a fault of ours, none without a token is answered, and no secret comes back.
pub(crate) fn run(source: &mut Source<'_>) {
    DESKTOP.with(|desktop| {
        let (usual, path) = path(source, desktop);
        let method = if source.one_in(8) { "DELETE" } else { usual };
        let token = match source.below(4) {
            0 => source.text(),
            1 => format!("Bearer {}", TOKENS[0].1),
            _ => format!("Bearer {}", TOKENS[1].1),
        };
        let mut request = Request::builder().method(method);
        for (name, value) in [
            ("authorization", token.clone()),
            (
                "content-type",
                (*source.pick(&["application/json", "application/json", "text/html"])).to_owned(),
            ),
            ("idempotency-key", if source.one_in(3) { source.text() } else { "key".to_owned() }),
            ("accept-language", source.text()),
        ] {
            if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
                request = request.header(name, value);
            }
        }
        let body = body(source);
        // What no URL can be never reaches the portal.
        let Ok(request) = request.uri(&path).body(Body::from(body)) else { return };
        let (status, answer) = desktop.runtime.block_on(async {
            let answer = desktop.router().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            (status, to_bytes(answer.into_body(), usize::MAX).await.unwrap())
        });
        let answer = String::from_utf8_lossy(&answer);
        // 502 and 503 speak of the Stripe that was made up.
        assert!(status < 500 || [502, 503].contains(&status), "{method} {path}: {status} {answer}");
        let is_api = path.starts_with("/v1/");
        let is_known = TOKENS.iter().any(|(_, one)| token == format!("Bearer {one}"));
        let is_open = path.starts_with("/v1/openapi.json");
        assert!(!is_api || is_known || is_open || status >= 400, "{method} {path}: {answer}");
        if is_api && status != 405 {
            let read = serde_json::from_str::<Value>(&answer);
            assert!(read.is_ok(), "{method} {path}: {status} {answer}");
        }
        for secret in [API_KEY, TOKENS[0].1, TOKENS[1].1] {
            assert!(!answer.contains(secret), "{method} {path}: {answer}");
        }
    });
}

/// A path and the method that it is there for.
fn path(source: &mut Source<'_>, desktop: &Desktop) -> (&'static str, String) {
    let subject = source.pick(&desktop.subjects).clone();
    let token = source.pick(&desktop.tokens).clone();
    let (method, path) = match source.below(15) {
        0 => ("GET", "/v1/authorizations".to_owned()),
        1 => ("GET", format!("/v1/authorizations/{subject}")),
        2 => ("GET", format!("/v1/authorizations/{subject}/history")),
        3 | 4 => ("POST", format!("/v1/authorizations/{subject}/relink-sessions")),
        5 => ("GET", format!("/v1/accounts/{subject}")),
        6 => ("GET", format!("/v1/accounts/{subject}/history")),
        7 => ("POST", format!("/v1/relink-sessions/{subject}/complete")),
        8 => ("GET", "/v1/parked".to_owned()),
        9 => ("POST", "/v1/parked/requeue".to_owned()),
        10 => ("POST", "/v1/parked/drop".to_owned()),
        11 => ("GET", format!("/relink/{token}")),
        12 => ("POST", format!("/relink/{token}/start")),
        13 => ("POST", format!("/relink/{token}/complete")),
        _ => ("GET", format!("/{}", source.text())),
    };
    (method, path + &query(source))
}

fn query(source: &mut Source<'_>) -> String {
    let mut query = String::new();
    // Mostly none: what a call does not know it refuses.
    for _ in 0..source.below(6).saturating_sub(3) {
        let name = *source.pick(&NAMES);
        let value = match source.below(3) {
            0 => source.number().to_string(),
            1 => source
                .pick(&["lifecycle", "true", "relink_required", "financial*", "%00"])
                .to_string(),
            _ => source.bytes(6).iter().map(|byte| format!("%{byte:02x}")).collect(),
        };
        let joint = if query.is_empty() { '?' } else { '&' };
        write!(query, "{joint}{name}={value}").unwrap();
    }
    query
}

fn body(source: &mut Source<'_>) -> Vec<u8> {
    let names = NAMES.map(str::to_owned);
    let mut document = json!({ "ids": ["evt_1"], "write": true, "reason": "x", "limit": 3 });
    if source.one_in(2) {
        document = json!({ "account": "fca_1", "permissions": ["balances"] });
    }
    let places = source.below(4);
    source.alter(&mut document, &names, places);
    let mut body = document.to_string().into_bytes();
    if source.one_in(4) {
        source.damage(&mut body);
    }
    body
}
