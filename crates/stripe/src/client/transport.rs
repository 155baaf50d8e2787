//! One request and its retries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use relink_core::id::Scope;
use reqwest::Url;
use secrecy::ExposeSecret;

use super::answer::{self, Answer};
use super::config::{ClientConfig, ConfigError, RETRIES_MAX, is_header_text};
use super::error::{CallError, Malformed, Trace};
use super::wire::{Wire, WireError};

/// The longest key Stripe takes (Stripe docs: idempotent requests).
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

#[derive(Clone)]
pub(super) struct Transport {
    wire: Arc<dyn Wire>,
    headers: HeaderMap,
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
    pub(super) fn new(config: &ClientConfig, wire: Arc<dyn Wire>) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            wire,
            headers: headers(config)?,
            base: config.base_url()?,
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
        let request = self.request(call, scope).map_err(|error| Failure { error, retry: false })?;
        let response = self.wire.exchange(request).await.map_err(Failure::of_wire)?;
        let (status, headers) = (response.status(), response.headers());
        if !status.is_success() {
            let retry = answer::should_retry(status, headers);
            let error = answer::refusal(status, headers, response.body());
            return Err(Failure { error, retry });
        }
        Answer::of(headers, response.body()).map_err(|error| Failure { error, retry: false })
    }

    fn request(&self, call: &Call<'_>, scope: &Scope) -> Result<Request<Bytes>, CallError> {
        let unfit = || CallError::Malformed { what: Malformed::Request, trace: Trace::default() };
        let header = |value: &str| HeaderValue::try_from(value).map_err(|_| unfit());
        let mut body = Bytes::new();
        let mut headers = self.headers.clone();
        if let Some(account) = &scope.stripe_account {
            headers.insert(STRIPE_ACCOUNT, header(account)?);
        }
        if let Some(post) = &call.post {
            headers.insert(IDEMPOTENCY_KEY, header(post.idempotency_key)?);
            headers.insert(CONTENT_TYPE, FORM);
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(post.form)
                .finish();
            body = form.into();
        }
        let method = if call.post.is_some() { Method::POST } else { Method::GET };
        let request = Request::builder().method(method).uri(call.url.as_str()).body(body);
        let mut request = request.map_err(|_| unfit())?;
        *request.headers_mut() = headers;
        Ok(request)
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
        let jittered = grown.min(self.retry_cap).mul_f64(0.5 * (1.0 + self.wire.chance()));
        jittered.max(self.retry_base)
    }
}

impl Failure {
    /// Stripe's SDKs retry whatever happened to the connection.
    fn of_wire(error: WireError) -> Self {
        let error = match error {
            WireError::Timeout => CallError::Timeout,
            WireError::Connection => CallError::Connection,
            WireError::TooLarge(headers) => {
                let error = answer::malformed(&headers, Malformed::TooLarge);
                return Self { error, retry: false };
            }
        };
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
