//! The portal over HTTP, with the simulator as Stripe and the workers that its webhooks reach.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use prometheus::Registry;
use relink_bus::in_process::{InProcessBus, InProcessSubscriber, Now};
use relink_bus::port::{Parked, ParkingLot};
use relink_bus::topology::WorkQueue;
use relink_core::aggregate::Aggregate;
use relink_core::policy::Policy;
use relink_core::time::{Span, Time};
use relink_engine::clock::{Clock, SystemClock};
use relink_engine::consume::{Consumer, Decode, Order};
use relink_engine::engine::{Availability, Engine};
use relink_engine::link::{LinkSigner, Links};
use relink_engine::metrics::Metrics;
use relink_engine::outbox::Outbox;
use relink_engine::parked::{Desk, StoreLot};
use relink_engine::store::Store;
use relink_ingress::{Ingress, IngressConfig, ServeLimits, serve};
use relink_portal::{ApiToken, Brand, Colour, Portal, PortalConfig, PortalParts, Texts, UiMode};
use relink_sim::{Link, PREVIEW_VERSION, Sim, SimConfig};
use relink_sqlite::SqliteStore;
use relink_stripe::client::{Client, ClientConfig};
use relink_stripe::signature::Verifier;
use reqwest::{Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "whsec_portal";
const API_KEY: &str = "sk_test_portal";
pub(crate) const PUBLISHABLE_KEY: &str = "pk_test_portal";
pub(crate) const READ_TOKEN: &str = "a token that may read";
pub(crate) const WRITE_TOKEN: &str = "a token that may write";
const PATIENCE: Duration = Duration::from_secs(20);

/// The machine's clock, some time ahead.
#[derive(Default)]
pub(crate) struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Time {
        SystemClock.now().after(Span(self.0.load(Ordering::SeqCst)))
    }
}

/// Keeps parked messages where the portal looks for them.
struct Lot(Arc<dyn Store>);

#[async_trait::async_trait]
impl ParkingLot for Lot {
    async fn park(&self, parked: Parked) -> Result<(), String> {
        self.0.park(parked).await.map_err(|error| error.to_string())
    }
}

pub(crate) struct Stand {
    pub(crate) sim: Sim,
    pub(crate) sim_url: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) signer: LinkSigner,
    pub(crate) registry: Registry,
    /// The portal's clock.
    pub(crate) clock: Arc<Ahead>,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    attempts: AtomicU32,
}

pub(crate) struct Choice {
    pub(crate) mode: UiMode,
    pub(crate) has_key: bool,
    pub(crate) version: &'static str,
}

pub(crate) const USUAL: Choice =
    Choice { mode: UiMode::Page, has_key: true, version: PREVIEW_VERSION };

pub(crate) async fn stand(choice: Choice) -> Stand {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (hooks, hooks_url) = loopback().await;
    let (pages, url) = loopback().await;
    let sim = Sim::new(SimConfig {
        api_key: API_KEY.into(),
        webhook_url: Some(format!("{hooks_url}/webhooks/stripe")),
        webhook_secret: SECRET.into(),
        ..SimConfig::default()
    });
    let sim_url = sim.serve_on_loopback().await.unwrap();

    let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
    let registry = Registry::new();
    let bus = work(&store, &registry);
    let verifier = Verifier::new(vec![SecretString::from(SECRET)], 300);
    let config = IngressConfig::new(verifier, Arc::new(|| SystemClock.now().0));
    let ingress = Ingress::new(config, Arc::new(bus.clone()), &registry).unwrap();
    tokio::spawn(serve(hooks, ingress.router(), ServeLimits::default(), pending()));

    let key = SecretString::from(API_KEY);
    let client = Client::new(ClientConfig::new(&sim_url, key, choice.version)).unwrap();
    let signer = LinkSigner::new([b"a key of thirty-two bytes or more"]).unwrap();
    let clock = Arc::new(Ahead::default());
    let parts = PortalParts {
        store: Arc::clone(&store),
        desk: Desk {
            lot: Arc::new(StoreLot { store: Arc::clone(&store), clock: Arc::new(SystemClock) }),
            store: Some(Arc::clone(&store)),
            decode: |_| Some(relink_worker_lifecycle::decode),
            clock: Arc::new(SystemClock),
        },
        publisher: Arc::new(bus),
        client: choice.has_key.then_some(client),
        reads_per_second: 100.0,
        signer: signer.clone(),
        clock: clock.clone(),
        wall: Arc::new(SystemClock),
        policy: Arc::new(policy()),
    };
    let portal = Portal::new(config_of(&url, &sim_url, choice.mode), parts, &registry).unwrap();
    tokio::spawn(serve(pages, portal.router(), ServeLimits::default(), pending()));
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    Stand { sim, sim_url, store, signer, registry, clock, url, http, attempts: AtomicU32::new(100) }
}

fn config_of(url: &str, sim_url: &str, mode: UiMode) -> PortalConfig {
    PortalConfig {
        url: url.into(),
        brand: Brand {
            name: "Northwind <Money>".into(),
            colour: Colour::parse("#0b57d0").unwrap(),
            logo: None,
        },
        texts: Texts::shipped().unwrap(),
        mode,
        stripe_js: format!("{sim_url}/v3/"),
        publishable_key: Some(PUBLISHABLE_KEY.into()),
        api_tokens: [("read", READ_TOKEN), ("write", WRITE_TOKEN)].map(token).into(),
    }
}

fn token((scope, token): (&str, &str)) -> ApiToken {
    let hash = Sha256::digest(token);
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    ApiToken::parse(&format!("{scope}:{digits}")).unwrap()
}

/// Prompts at once.
fn policy() -> Policy {
    Policy { settle: Span::ZERO, ..Policy::default() }
}

/// The workers that turn webhooks and observations into state.
fn work(store: &Arc<dyn Store>, registry: &Registry) -> InProcessBus {
    let lot: Arc<dyn ParkingLot> = Arc::new(Lot(Arc::clone(store)));
    let now: Now = Arc::new(|| SystemClock.now().0);
    let queues = [WorkQueue::Lifecycle, WorkQueue::Upcoming];
    let (bus, subscribers) = InProcessBus::new(&queues, &lot, 1.0, &now);
    let metrics = Arc::new(Metrics::register(registry).unwrap());
    let wall = Arc::new(SystemClock);
    let outbox = Outbox {
        store: Arc::clone(store),
        publisher: Arc::new(bus.clone()),
        wall: wall.clone(),
        metrics: Arc::clone(&metrics),
        links: None,
    };
    let engine = Engine {
        store: Arc::clone(store),
        policy: Arc::new(policy()),
        clock: wall,
        outbox,
        metrics,
        database: Availability::default(),
    };
    let decoders: [Decode; 2] = [relink_worker_lifecycle::decode, relink_worker_upcoming::decode];
    for ((queue, subscriber), decode) in queues.into_iter().zip(subscribers).zip(decoders) {
        let subscriber: Arc<InProcessSubscriber> = subscriber;
        let (engine, linger_max) = (engine.clone(), Duration::ZERO);
        let order = Order::AcknowledgeFirst;
        let (halves_from, at_once) = (usize::MAX, 1);
        let consumer =
            Consumer { queue, subscriber, decode, engine, linger_max, order, halves_from, at_once };
        tokio::spawn(consumer.run(CancellationToken::new()));
    }
    bus
}

async fn loopback() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// An authorization whose customer was prompted, and the way to its page.
pub(crate) struct Outage {
    pub(crate) authorization: String,
    pub(crate) accounts: Vec<String>,
    pub(crate) link: String,
}

impl Stand {
    /// Ada's accounts at Harbor Federal Bank, and none of them works.
    pub(crate) async fn outage(&self, accounts: usize) -> Outage {
        self.outage_of("cus_Ada", accounts).await
    }

    pub(crate) async fn outage_of(&self, holder: &str, accounts: usize) -> Outage {
        let change = self.sim.outage(Link::of(holder, "Harbor Federal Bank", accounts)).unwrap();
        let authorization = change.authorization.unwrap();
        self.settle().await;
        let link = self.link(&authorization).await;
        Outage { authorization, accounts: change.accounts, link }
    }

    /// Waits until every webhook is answered, so that what it taught is committed.
    pub(crate) async fn settle(&self) {
        assert!(self.sim.flush(PATIENCE).await, "webhooks are not answered");
    }

    pub(crate) async fn aggregate(&self, authorization: &str) -> Aggregate {
        self.store.find(authorization).await.unwrap().remove(0)
    }

    /// The link that a prompt would carry.
    pub(crate) async fn link(&self, authorization: &str) -> String {
        let aggregate = self.aggregate(authorization).await;
        let case = aggregate.state.case.as_ref().expect("a case is open");
        let links = Links::new(self.signer.clone(), &self.url);
        links.url(&case.id, authorization, &aggregate.key.scope, self.clock.now())
    }

    pub(crate) fn turn(&self, span: Span) {
        self.clock.0.fetch_add(span.0, Ordering::SeqCst);
    }

    pub(crate) async fn get(&self, url: &str) -> (StatusCode, String) {
        read(self.http.get(url).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Response {
        self.http.post(url).json(body).send().await.unwrap()
    }

    /// Clicks: a client secret and a completion.
    pub(crate) async fn start(&self, link: &str) -> (String, String) {
        let number = self.attempts.fetch_add(1, Ordering::SeqCst);
        let answer = self.post(&format!("{link}/start"), &attempt(number)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let started: Value = answer.json().await.unwrap();
        let text = |name: &str| started[name].as_str().unwrap().to_owned();
        (text("client_secret"), text("completion"))
    }

    pub(crate) async fn complete(&self, link: &str, completion: &str) -> (StatusCode, String) {
        let body = json!({ "completion": completion });
        read(self.post(&format!("{link}/complete"), &body).await).await
    }

    /// What the customer does at the bank, through the call that the stand-in for Stripe.js makes.
    pub(crate) async fn finish(&self, client_secret: &str, outcome: &str) {
        let url = format!("{}/v3/sessions/finish", self.sim_url);
        let body = json!({ "client_secret": client_secret, "outcome": outcome });
        assert_eq!(self.post(&url, &body).await.status(), StatusCode::OK);
    }

    /// The sessions that were made, as the simulator has them.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        let state = self.sim.state();
        let sessions = &state["sessions"];
        sessions.as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn counted(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name);
        let values = metrics
            .flat_map(|family| family.get_metric())
            .filter(|metric| metric.get_label().iter().any(|pair| pair.value() == label));
        values.map(|metric| metric.get_counter().get_value()).sum()
    }
}

pub(crate) fn attempt(number: u32) -> Value {
    json!({ "attempt": format!("{number:032x}") })
}

pub(crate) async fn read(answer: Response) -> (StatusCode, String) {
    (answer.status(), answer.text().await.unwrap())
}
