//! One request and its retries.

use std::time::Duration;

use relink_core::id::Scope;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url, redirect};
use secrecy::ExposeSecret;

use super::answer::{self, Answer};
use super::config::{ClientConfig, ConfigError, RETRIES_MAX, is_header_text, is_loopback};
use super::error::{CallError, Malformed, Trace};

/// The longest answer that is read, in bytes: a page of 100 accounts takes about 200 KB.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The longest key Stripe takes (Stripe docs: idempotent requests).
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    /// The mode of the key, where its prefix tells (Stripe docs: API keys).
    pub(super) livemode: Option<bool>,
    retries: u32,
    retry_base: Duration,
    retry_cap: Duration,
}

/// What is asked of Stripe, attempt after attempt.
struct Call<'a> {
    url: Url,
    post: Option<Post<'a>>,
}

struct Post<'a> {
    form: &'a [(&'a str, &'a str)],
    idempotency_key: &'a str,
}

/// An attempt that failed, and whether another one is worth making.
struct Failure {
    error: CallError,
    retry: bool,
}

impl Transport {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let base = config.base_url()?;
        // Another part of the process may have installed one before; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("relink/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(config)?)
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            // A redirect would carry the key to wherever it points; Stripe makes none.
            .redirect(redirect::Policy::none());
        if is_loopback(&base) {
            // A proxy of the environment could not reach this host's own loopback.
            builder = builder.no_proxy();
        }
        if base.scheme() == "http" {
            // No TLS, so a container without root certificates will do.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self {
            http: builder.build().map_err(|_| ConfigError::Tls)?,
            base,
            livemode: mode_of(config.api_key.expose_secret()),
            retries: config.max_retries.min(RETRIES_MAX),
            retry_base: config.retry_base,
            retry_cap: config.retry_cap,
        })
    }

    /// Gets what stands under a path.
    pub(super) async fn get(
        &self,
        scope: &Scope,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        self.call(scope, &Call { url: self.url(path, query), post: None }).await
    }

    /// Posts a form; every attempt carries the same key, so that Stripe does it once (Stripe
    /// docs: idempotent requests, keys of up to 255 characters).
    pub(super) async fn post(
        &self,
        scope: &Scope,
        path: &[&str],
        form: &[(&str, &str)],
        idempotency_key: &str,
    ) -> Result<Answer, CallError> {
        let fits = idempotency_key.len() <= IDEMPOTENCY_KEY_BYTES_MAX;
        if !fits || !is_header_text(idempotency_key) {
            let what = Malformed::Request;
            return Err(CallError::Malformed { what, trace: Trace::default() });
        }
        let post = Some(Post { form, idempotency_key });
        self.call(scope, &Call { url: self.url(path, &[]), post }).await
    }

    async fn call(&self, scope: &Scope, call: &Call<'_>) -> Result<Answer, CallError> {
        if self.livemode.is_some_and(|livemode| livemode != scope.livemode) {
            return Err(CallError::OtherMode);
        }
        let mut attempt = 0;
        loop {
            match self.attempt(call, scope).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if !failure.retry || attempt >= self.retries => {
                    return Err(failure.error);
                }
                Err(_) => {}
            }
            tokio::time::sleep(self.delay(attempt)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, call: &Call<'_>, scope: &Scope) -> Result<Answer, Failure> {
        let mut request = match &call.post {
            None => self.http.get(call.url.clone()),
            Some(post) => self
                .http
                .post(call.url.clone())
                .header(IDEMPOTENCY_KEY, post.idempotency_key)
                .form(post.form),
        };
        if let Some(account) = &scope.stripe_account {
            request = request.header(STRIPE_ACCOUNT, &**account);
        }
        let mut response = request.send().await.map_err(Failure::of_connection)?;
        let body = read(&mut response).await?;
        let status = response.status();
        if !status.is_success() {
            let retry = answer::should_retry(status, response.headers());
            let error = answer::refusal(status, response.headers(), &body);
            return Err(Failure { error, retry });
        }
        Answer::of(response.headers(), &body).map_err(|error| Failure { error, retry: false })
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // The base was checked to have a path that can be extended.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The wait before the next attempt, as the official SDKs have it: doubling, capped, cut by
    /// up to a half at random so that workers do not return together, never below the base.
    fn delay(&self, attempt: u32) -> Duration {
        let grown = self.retry_base.saturating_mul(2_u32.saturating_pow(attempt));
        let jittered = grown.min(self.retry_cap).mul_f64(0.5 * (1.0 + rand::random::<f64>()));
        jittered.max(self.retry_base)
    }
}

impl Failure {
    /// Stripe's SDKs retry whatever happened to the connection. The error itself names the URL
    /// and goes no further.
    fn of_connection(error: reqwest::Error) -> Self {
        let error = if error.is_timeout() { CallError::Timeout } else { CallError::Connection };
        Self { error, retry: true }
    }
}

fn headers(config: &ClientConfig) -> Result<HeaderMap, ConfigError> {
    let bearer = format!("Bearer {}", config.api_key.expose_secret());
    let mut key = HeaderValue::try_from(bearer).map_err(|_| ConfigError::KeyNotAcceptable)?;
    key.set_sensitive(true);
    let version =
        HeaderValue::try_from(&config.version).map_err(|_| ConfigError::VersionNotAcceptable)?;
    Ok(HeaderMap::from_iter([(AUTHORIZATION, key), (STRIPE_VERSION, version)]))
}

/// Secret and restricted keys name their mode: `sk_live_…`, `rk_test_…`.
fn mode_of(key: &str) -> Option<bool> {
    let rest = key.strip_prefix("sk_").or_else(|| key.strip_prefix("rk_"))?;
    match rest.split_once('_')?.0 {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    }
}

/// Reads the body up to [`ANSWER_BYTES_MAX`].
async fn read(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::of_connection)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            let error = answer::malformed(response.headers(), Malformed::TooLarge);
            return Err(Failure { error, retry: false });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
