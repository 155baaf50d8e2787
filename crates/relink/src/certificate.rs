//! Keeps the listeners' certificate what its files hold: looked at every few seconds and on SIGHUP.

use std::time::Duration;

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use relink_tls::{Reload, ServerCertificate};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// How often the files are looked at: two small reads, soon enough for any renewal.
const PERIOD: Duration = Duration::from_secs(5);

/// What is counted of it.
struct Metrics {
    changed: prometheus::IntCounter,
    failed: prometheus::IntCounter,
    expires: IntGauge,
}

impl Metrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let reloads = IntCounterVec::new(
            Opts::new(
                "relink_tls_reloads_total",
                "Looks at the files of the listeners' certificate that found others, by result",
            ),
            &["result"],
        )?;
        let expires = IntGauge::new(
            "relink_tls_certificate_expiry_seconds",
            "When the certificate that listeners show expires, in Unix seconds",
        )?;
        registry.register(Box::new(reloads.clone()))?;
        registry.register(Box::new(expires.clone()))?;
        let [changed, failed] =
            ["changed", "failed"].map(|result| reloads.with_label_values(&[result]));
        Ok(Self { changed, failed, expires })
    }
}

/// Looks at the files until told to stop; broken ones leave the certificate that is shown.
pub(crate) fn keep_fresh(
    certificate: Option<ServerCertificate>,
    registry: &Registry,
    stop: CancellationToken,
) -> Result<Option<ServerCertificate>, Failure> {
    let Some(certificate) = certificate else { return Ok(None) };
    let metrics = Metrics::new(registry).map_err(Failure::software)?;
    metrics.expires.set(certificate.expires_at_unix_s());
    if certificate.has_expired() {
        tracing::warn!("the listeners' certificate has expired; clients will not take it");
    }
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| Failure::software(format!("signals: {error}")))?;
    let watched = certificate.clone();
    tokio::spawn(async move {
        let mut told = None;
        let mut clock = tokio::time::interval(PERIOD);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = clock.tick() => {}
                _ = hangup.recv() => told = None,
            }
            told = look(&watched, &metrics, told);
        }
    });
    Ok(Some(certificate))
}

/// What is wrong, so that it is told once and counted each time.
fn look(
    certificate: &ServerCertificate,
    metrics: &Metrics,
    told: Option<String>,
) -> Option<String> {
    match certificate.reload() {
        Ok(Reload::Unchanged) => None,
        Ok(Reload::Changed) => {
            let expires = certificate.expires_at_unix_s();
            metrics.changed.inc();
            metrics.expires.set(expires);
            let expires = jiff::Timestamp::from_second(expires).map(|at| at.to_string());
            let expires = expires.unwrap_or_default();
            tracing::info!(expires, "the listeners show a new certificate");
            None
        }
        Err(error) => {
            metrics.failed.inc();
            let error = error.to_string();
            if told.as_ref() != Some(&error) {
                tracing::error!(error, "the listeners keep the certificate that they have");
            }
            Some(error)
        }
    }
}
