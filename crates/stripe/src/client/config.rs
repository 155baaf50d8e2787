//! What the client needs to know, and what it refuses to start with.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// The most retries of one call, whatever is configured: further patience is the caller's queue.
pub const RETRIES_MAX: u32 = 10;

/// Settings of a [`Client`](super::Client).
#[derive(Clone)]
pub struct ClientConfig {
    /// Where the API is: `https://api.stripe.com`, or a stand-in's address.
    pub base: String,
    /// The API key; a restricted key that may use Financial Connections and read events will do.
    pub api_key: SecretString,
    /// The `Stripe-Version` of every call: a `*.preview` one.
    pub version: String,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one attempt may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How often a call is tried again, at most [`RETRIES_MAX`] times.
    pub max_retries: u32,
    /// The shortest wait before a retry; it doubles with every further one.
    pub retry_base: Duration,
    /// The longest wait before a retry.
    pub retry_cap: Duration,
    /// Permits plain http to hosts other than this one; for a stand-in on a private network.
    pub allow_http: bool,
}

impl ClientConfig {
    /// The usual settings: two retries after 0.5 to 2 s as in the official SDKs, 5 s to connect,
    /// 20 s for an attempt, https only.
    pub fn new(base: impl Into<String>, api_key: SecretString, version: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            api_key,
            version: version.into(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            max_retries: 2,
            retry_base: Duration::from_millis(500),
            retry_cap: Duration::from_secs(2),
            allow_http: false,
        }
    }

    /// Finds what is wrong without building anything.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.base_url()?;
        if !is_header_text(self.api_key.expose_secret()) {
            return Err(ConfigError::KeyNotAcceptable);
        }
        if !is_header_text(&self.version) {
            return Err(ConfigError::VersionNotAcceptable);
        }
        Ok(())
    }

    pub(super) fn base_url(&self) -> Result<Url, ConfigError> {
        let base = Url::parse(&self.base).map_err(|_| ConfigError::BaseNotAUrl)?;
        if base.cannot_be_a_base() || !base.has_host() {
            return Err(ConfigError::BaseNotAUrl);
        }
        let has_credentials = !base.username().is_empty() || base.password().is_some();
        if has_credentials || base.query().is_some() || base.fragment().is_some() {
            return Err(ConfigError::BaseHasExtras);
        }
        match base.scheme() {
            "https" => Ok(base),
            "http" if self.allow_http || is_loopback(&base) => Ok(base),
            _ => Err(ConfigError::BaseNotHttps),
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("version", &self.version)
            .field("timeout", &self.timeout)
            .field("max_retries", &self.max_retries)
            .finish_non_exhaustive()
    }
}

/// Why a client cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The base is not a URL with a host.
    #[error("the API base is not a URL with a host")]
    BaseNotAUrl,
    /// The base carries credentials, a query or a fragment.
    #[error("the API base must be scheme, host, port and path only")]
    BaseHasExtras,
    /// The base is neither https nor permitted to be http.
    #[error("the API base must be https, unless it is on this host or http is allowed")]
    BaseNotHttps,
    /// The key is empty or cannot stand in a header.
    #[error("the API key is empty or not printable ASCII")]
    KeyNotAcceptable,
    /// The version is empty or cannot stand in a header.
    #[error("the API version is empty or not printable ASCII")]
    VersionNotAcceptable,
    /// TLS cannot be set up, usually because the system has no root certificates.
    #[error("TLS cannot be set up; are root certificates installed?")]
    Tls,
}

pub(super) fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
