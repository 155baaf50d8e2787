//! https of a running process, seen by clients that trust one authority each.

use std::net::SocketAddr;

use relink_sim::signature_header;
use relink_tests::authority::Authority;
use relink_tests::feed::Feed;
use relink_tests::process::free_address;
use relink_tests::role::{Role, WEBHOOK_SECRET, start};
use relink_tests::send::now_unix_s;
use relink_tests::stage::Stage;
use relink_tests::wait::until;

use crate::files::Files;

/// What a look at broken files counts.
const FAILED: &str = "relink_tls_reloads_total{result=\"failed\"}";

/// What is logged about them.
const KEPT: &str = "the listeners keep the certificate that they have";

pub(crate) async fn listeners_speak_https_and_show_what_was_renewed(stage: &Stage) {
    let mut files = Files::new(stage.folder().join("certificates"));
    files.server_shows(&files.authority.server(&["localhost"]));
    let page = free_address();
    let role = begin(stage, &files, page).await;
    let first = Client::trusting(&files.authority);
    let feed = Feed::new(802, 2, 6);
    let body = |n: usize| feed.events[n].body.clone();
    assert_eq!(first.webhook(role.listen, body(0)).await.unwrap(), 200);
    let described = first.get(page, "/v1/openapi.json").await.unwrap();
    assert_eq!(described, 200, "the API is at the same certificate");
    // No TLS, no answer; the administration port has none.
    assert!(relink_tests::http::get(role.listen, "/").await.is_err());

    // A renewal by another authority: whoever trusts only that one gets through in the end.
    files.authority = Authority::new("second");
    let second = Client::trusting(&files.authority);
    assert!(second.webhook(role.listen, body(1)).await.is_err());
    files.server_shows(&files.authority.server(&["localhost"]));
    until(async || second.webhook(role.listen, body(1)).await.map(drop)).await;
    assert_eq!(second.webhook(role.listen, body(2)).await.unwrap(), 200);
    assert_eq!(second.get(page, "/v1/openapi.json").await.unwrap(), 200);
    assert!(first.webhook(role.listen, body(3)).await.is_err());

    // A broken one is counted and told once; the last good certificate stays. Between the two
    // files of a renewal a look may have met a pair that does not fit.
    let told = || role.process.log().matches(KEPT).count();
    let (before, failed_before) = (told(), role.metric(FAILED).await);
    files.file("server.pem", "half a certificate");
    until(async || match role.metric(FAILED).await {
        failed if failed >= failed_before + 2.0 => Ok(()),
        failed => Err(format!("{failed} failed looks")),
    })
    .await;
    assert_eq!(told(), before + 1, "{}", role.process.log());
    assert_eq!(second.webhook(role.listen, body(4)).await.unwrap(), 200);
    // Who asks by a signal is told again.
    role.process.signal("HUP").await;
    until(async || match told() - before {
        2 => Ok(()),
        count => Err(format!("told {count} times")),
    })
    .await;
    files.server_shows(&files.authority.server(&["localhost"]));
    role.process.signal("HUP").await;
    assert_eq!(second.webhook(role.listen, body(5)).await.unwrap(), 200);
    assert!(role.metric("relink_tls_certificate_expiry_seconds").await > now_unix_s() as f64);
    role.process.stop().await;
}

async fn begin(stage: &Stage, files: &Files, page: SocketAddr) -> Role {
    let path = |name| files.path(name).display().to_string();
    let settings = vec![
        ("RELINK_DATABASE_URL", format!("sqlite://{}", stage.folder().join("db").display())),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_TLS_CERTIFICATE_FILE", path("server.pem")),
        ("RELINK_TLS_KEY_FILE", path("server-key.pem")),
        ("RELINK_PORTAL_LISTEN", page.to_string()),
        ("RELINK_PORTAL_URL", format!("https://localhost:{}", page.port())),
        ("RELINK_PORTAL_BRAND", "Harbor".to_owned()),
        ("RELINK_LINK_KEY", "a key of thirty-two bytes at least".replace(' ', "-")),
        ("RELINK_STRIPE_API_KEY", "sk_test_sim".to_owned()),
        ("RELINK_STRIPE_PUBLISHABLE_KEY", "pk_test_sim".to_owned()),
        // Nobody is there, and nobody is asked.
        ("RELINK_STRIPE_API_BASE", format!("http://{}", free_address())),
        ("RELINK_CATCH_UP_SILENCE_SECONDS", "0".to_owned()),
        ("RELINK_RECONCILE_DAYS", "0".to_owned()),
    ];
    start(stage.folder(), "standalone", &["standalone"], settings).await
}

/// A client without any memory of connections.
struct Client {
    authority: reqwest::Certificate,
}

impl Client {
    fn trusting(authority: &Authority) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_pem(authority.certificate().as_bytes());
        Self { authority: authority.unwrap() }
    }

    fn http(&self, address: SocketAddr) -> reqwest::Client {
        reqwest::Client::builder()
            .tls_certs_only([self.authority.clone()])
            .resolve("localhost", address)
            .no_proxy()
            .build()
            .unwrap()
    }

    async fn webhook(&self, address: SocketAddr, body: bytes::Bytes) -> Result<u16, String> {
        let url = format!("https://localhost:{}/webhooks/stripe", address.port());
        let signature = signature_header(&[WEBHOOK_SECRET], now_unix_s(), &body);
        let request = self.http(address).post(url).header("stripe-signature", signature);
        let answer = request.body(body).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| format!("{error:?}"))
    }

    async fn get(&self, address: SocketAddr, path: &str) -> Result<u16, String> {
        let url = format!("https://localhost:{}{path}", address.port());
        let answer = self.http(address).get(url).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| format!("{error:?}"))
    }
}
