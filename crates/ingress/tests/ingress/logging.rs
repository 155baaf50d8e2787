//! What the log says, and what it must never say.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::stand::{DEACTIVATED, NOW, SECRET, Stand, digest, event, sign};
use relink_bus::port::PublishError;
use tracing::level_filters::LevelFilter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Collects what this thread says, and with it everything on its single-threaded runtime.
    fn collect(level: LevelFilter) -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn bodies_signatures_and_secrets_never_reach_the_log() {
    let (log, _guard) = Log::collect(LevelFilter::TRACE);
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    assert_eq!(stand.send(&body).await.status, 200);
    let foreign = sign("whsec_foreign", NOW, &body);
    assert_eq!(stand.send_with(&body, &[("stripe-signature", &foreign)]).await.status, 400);
    assert_eq!(stand.send(b"{\"secret\": \"fcsess_client_secret\"}").await.status, 400);
    *stand.publisher.error.lock().unwrap() = Some(PublishError::Away);
    assert_eq!(stand.send(&body).await.status, 503);

    let text = log.text();
    let v1 = digest(SECRET, NOW, &body);
    for forbidden in [SECRET, "whsec_foreign", &v1, &foreign, "client_secret", "balance", "fca_1"] {
        assert!(!text.contains(forbidden), "{forbidden} in:\n{text}");
    }
    assert_eq!(text.matches("event.id=\"evt_1\"").count(), 2, "{text}");
}

#[tokio::test]
async fn an_outage_is_warned_about_once_per_interval_and_reason() {
    let (log, _guard) = Log::collect(LevelFilter::WARN);
    let stand = Stand::start().await;
    let body = event(DEACTIVATED);
    for error in [PublishError::Away, PublishError::Blocked] {
        *stand.publisher.error.lock().unwrap() = Some(error);
        for _ in 0..5 {
            assert_eq!(stand.send(&body).await.status, 503);
        }
    }
    assert_eq!(log.text().lines().count(), 2, "{}", log.text());
    stand.now_unix_ms.store(NOW * 1000 + 10_000, Ordering::Relaxed);
    assert_eq!(stand.send(&body).await.status, 503);
    assert_eq!(log.text().lines().count(), 3);
    assert!(log.text().contains("reason=\"blocked\""), "{}", log.text());
}
