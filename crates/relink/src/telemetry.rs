//! Logs, metrics and health: what every role shows of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Encoder as _, Registry, TextEncoder};
use relink_ingress::{ServeLimits, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::LogArgs;
use crate::failure::Failure;
use crate::output::Colours;
use crate::progress;
use crate::settings::Problems;

/// Starts logging to standard error; a wrong filter or format is a problem like any other.
pub(crate) fn start_logging(args: &LogArgs, problems: &mut Problems) {
    let filter = match EnvFilter::try_new(&args.log) {
        Ok(filter) => match relink_rabbitmq::LOG_DIRECTIVE.parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(_) => filter,
        },
        Err(error) => {
            problems.add(format!("RELINK_LOG: `{}` is not a filter: {error}", args.log));
            return;
        }
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(progress::stderr)
        .with_ansi(Colours::on(&std::io::stderr()).0);
    // A second start in one process, as in tests, keeps the first one's.
    let _ = match args.log_format.as_str() {
        "text" => builder.try_init(),
        "json" => builder.json().flatten_event(true).try_init(),
        other => {
            problems.add(format!("RELINK_LOG_FORMAT: `{other}` is neither text nor json"));
            return;
        }
    };
}

type Check = Box<dyn Fn() -> bool + Send + Sync>;

/// What a role waits for before it can do its work.
#[derive(Default)]
pub(crate) struct Readiness {
    checks: Vec<(&'static str, Check)>,
}

impl Readiness {
    /// Adds something to wait for.
    pub(crate) fn needs(
        &mut self,
        name: &'static str,
        check: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.checks.push((name, Box::new(check)));
    }

    fn waiting_for(&self) -> Vec<&'static str> {
        self.checks.iter().filter(|(_, check)| !check()).map(|(name, _)| *name).collect()
    }
}

/// The admin listener's state.
struct Admin {
    registry: Registry,
    readiness: Readiness,
    stop: CancellationToken,
}

/// Binds the admin port; a failure names the setting.
pub(crate) async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::unavailable(format!("{name}: cannot listen on {address}: {error}"))
    })
}

/// Serves `/metrics`, `/healthz` and `/readyz` until told to stop for good.
pub(crate) fn serve_admin(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
    draining: CancellationToken,
    stop: CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let admin = Arc::new(Admin { registry, readiness, stop: draining });
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(admin);
    let limits = ServeLimits { connections_max: 64, ..ServeLimits::default() };
    tokio::spawn(async move { serve(listener, router, limits, stop.cancelled()).await })
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    match encoder.encode(&admin.registry.gather(), &mut text) {
        Ok(()) => {
            let kind = encoder.format_type().to_owned();
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let mut waiting_for = admin.readiness.waiting_for();
    if admin.stop.is_cancelled() {
        waiting_for.push("shutdown");
    }
    let ready = waiting_for.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": ready, "waiting_for": waiting_for })))
}
