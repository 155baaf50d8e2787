//! The portal as a whole: what its handlers share, and its routes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::map_response_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use prometheus::Registry;
use relink_bus::port::Publisher;
use relink_core::policy::Policy;
use relink_engine::clock::Clock;
use relink_engine::link::LinkSigner;
use relink_engine::parked::Desk;
use relink_engine::store::Store;
use relink_stripe::client::{Budget, Client};

use crate::api::{self, Problem};
use crate::asset::Assets;
use crate::config::PortalConfig;
use crate::layout::{Layout, prefix};
use crate::limiter::Limiter;
use crate::metrics::Metrics;
use crate::page;
use crate::relinks::Relinks;
use crate::trouble::Trouble;
use crate::view::{View, Words};

/// How many attempts one case may start at once: more than anybody needs, and few enough that a
/// link in wrong hands does not use up Stripe's limit.
const STARTS_MAX: u32 = 10;
/// How soon there is one more.
const START_EVERY: Duration = Duration::from_secs(30);

/// How many calls of the API one token may make at once, and how soon there is one more: a
/// platform's own calls come far below, and one that runs wild leaves room for the others.
const CALLS_MAX: u32 = 100;
/// See [`CALLS_MAX`].
const CALL_EVERY: Duration = Duration::from_millis(20);

/// What the portal works with.
pub struct PortalParts {
    /// The database; only read.
    pub store: Arc<dyn Store>,
    /// Where parked messages are dealt with.
    pub desk: Desk,
    /// Where sessions that ended are reported.
    pub publisher: Arc<dyn Publisher>,
    /// Stripe; `None` without an API key.
    pub client: Option<Client>,
    /// How often a second Stripe may be asked.
    pub reads_per_second: f64,
    /// Knows links again.
    pub signer: LinkSigner,
    /// The clock of the rules.
    pub clock: Arc<dyn Clock>,
    /// The machine's clock.
    pub wall: Arc<dyn Clock>,
    /// The operator's choices.
    pub policy: Arc<Policy>,
}

/// Why there is no portal.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// A setting cannot be used.
    #[error("{0}")]
    Config(&'static str),
    /// The registry has metrics of a portal already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// The relink page and the API; cloning shares them.
#[derive(Clone)]
pub struct Portal(pub(crate) Arc<Shared>);

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) config: PortalConfig,
    pub(crate) prefix: String,
    pub(crate) layout: Layout,
    pub(crate) assets: Assets,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) desk: Desk,
    pub(crate) signer: LinkSigner,
    pub(crate) relinks: Relinks,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) starts: Limiter,
    pub(crate) calls: Limiter,
    pub(crate) metrics: Metrics,
}

impl Portal {
    /// Prepares the portal; nothing is listened on yet.
    ///
    /// # Errors
    /// When a setting cannot be used, or the registry has a portal already.
    pub fn new(
        config: PortalConfig,
        parts: PortalParts,
        registry: &Registry,
    ) -> Result<Self, PortalError> {
        let relinks = Relinks {
            publisher: parts.publisher,
            client: parts.client,
            budget: Arc::new(Budget::new(parts.reads_per_second)),
            wall: parts.wall,
        };
        Ok(Self(Arc::new(Shared {
            prefix: prefix(&config.url).to_owned(),
            layout: Layout::new(&config).map_err(PortalError::Config)?,
            assets: Assets::new(&config.brand),
            store: parts.store,
            desk: parts.desk,
            signer: parts.signer,
            relinks,
            clock: parts.clock,
            policy: parts.policy,
            starts: Limiter::new(STARTS_MAX, START_EVERY),
            calls: Limiter::new(CALLS_MAX, CALL_EVERY),
            metrics: Metrics::register(registry)?,
            config,
        })))
    }

    /// The page under `/relink/`, the API under `/v1/`; anything else is a page that says so.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/relink/returned", get(page::returned).fallback(wrong_method))
            .route("/relink/assets/{name}", get(asset).fallback(wrong_method))
            .route("/relink/{token}", get(page::show).fallback(wrong_method))
            .route("/relink/{token}/start", post(page::start).fallback(wrong_method))
            .route("/relink/{token}/complete", post(page::complete).fallback(wrong_method))
            .merge(api::routes())
            .fallback(not_found)
            .layer(map_response_with_state(self.clone(), protect))
            .with_state(self.clone())
    }
}

async fn asset(
    State(portal): State<Portal>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    let found = name.ok().and_then(|Path(name)| portal.0.assets.answer(&name));
    found.unwrap_or_else(|| portal.0.trouble(Trouble::NotFound))
}

async fn not_found(State(portal): State<Portal>, request: Request) -> Response {
    if request.uri().path().starts_with("/v1/") {
        return Problem::NotFound.answer();
    }
    portal.0.trouble(Trouble::NotFound)
}

async fn wrong_method(State(portal): State<Portal>) -> Response {
    portal.0.trouble(Trouble::Method)
}

async fn protect(State(portal): State<Portal>, response: Response) -> Response {
    portal.0.layout.protect(response)
}

impl Shared {
    /// Counts and shows a page on which nothing can be started.
    pub(crate) fn page(&self, name: &str, status: StatusCode, view: &View) -> Response {
        self.count_page(name);
        self.layout.page(status, view)
    }

    pub(crate) fn count_page(&self, name: &str) {
        self.metrics.pages.with_label_values(&[name]).inc();
    }

    /// The page that says what went wrong.
    pub(crate) fn trouble(&self, trouble: Trouble) -> Response {
        let view = Words::general(&self.config).trouble(trouble);
        self.page(trouble.as_str(), trouble.status(), &view)
    }

    /// Whether one more attempt may be started.
    pub(crate) fn may_start(&self, name: &str) -> bool {
        self.starts.take(name, Instant::now()).is_ok()
    }
}
