//! How requests reach Stripe: a port, so that a simulation can answer them in its own process.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use reqwest::redirect;

use super::config::{ClientConfig, ConfigError, is_loopback};

/// The longest answer that is read, in bytes: a page of 100 accounts takes about 200 KB.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Carries one request and its answer.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Sends the request and reads the whole answer, whatever its status; bounded in time.
    ///
    /// # Errors
    /// When there is no answer. The request may have been carried out all the same.
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WireError>;

    /// A random number from 0 up to 1, so that those who wait do not return together.
    fn chance(&self) -> f64;
}

/// Why there is no answer. It names no URL.
#[derive(Clone, Debug)]
pub enum WireError {
    /// It did not come in time.
    Timeout,
    /// The connection was not made, or broke.
    Connection,
    /// It is longer than any that Stripe gives; its headers.
    TooLarge(HeaderMap),
}

/// Over the network.
pub(super) struct Network {
    http: reqwest::Client,
}

impl Network {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let base = config.base_url()?;
        // Another part of the process may have installed one before; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("relink/", env!("CARGO_PKG_VERSION")))
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
        Ok(Self { http: builder.build().map_err(|_| ConfigError::Tls)? })
    }
}

#[async_trait]
impl Wire for Network {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WireError> {
        let request = reqwest::Request::try_from(request).map_err(error)?;
        let mut answer = self.http.execute(request).await.map_err(error)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(error)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(WireError::TooLarge(std::mem::take(answer.headers_mut())));
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    fn chance(&self) -> f64 {
        rand::random()
    }
}

/// The error itself names the URL and goes no further.
fn error(error: reqwest::Error) -> WireError {
    if error.is_timeout() { WireError::Timeout } else { WireError::Connection }
}
