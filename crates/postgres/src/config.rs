//! How to reach the database, and the limits of waiting for it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use relink_engine::store::StoreError;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How to reach the database.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=…`; `require` and above verify the
    /// server's certificate against the system's roots.
    pub url: String,
    /// Connections at most: more than workers with a batch in hand are of no use.
    pub pool_size: usize,
    /// Named prepared statements. `false` behind a pooler that hands a connection to each
    /// transaction and does not follow them.
    pub prepare: bool,
    /// How long to wait for a connection: free, new or checked.
    pub connect_timeout: Duration,
}

impl PostgresConfig {
    /// A configuration with the defaults for everything but the address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 8,
            prepare: true,
            connect_timeout: Duration::from_secs(5),
        }
    }

    pub(crate) fn pool(&self) -> Result<Pool, StoreError> {
        let mut config = self.parse()?;
        config.application_name("relink");
        config.connect_timeout(self.connect_timeout);
        // A server that is gone without a word is found out within these, not after hours.
        config.keepalives_idle(Duration::from_secs(15));
        config.tcp_user_timeout(Duration::from_secs(15));
        // A look at the socket is enough: every transaction can fail anyway, and the next
        // attempt gets a new connection.
        let fast = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if is_plain(&config) {
            config.ssl_mode(SslMode::Disable);
            Manager::from_config(config, NoTls, fast)
        } else {
            Manager::from_config(config, tls()?, fast)
        };
        Pool::builder(manager)
            .max_size(self.pool_size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(self.connect_timeout))
            .create_timeout(Some(self.connect_timeout))
            .recycle_timeout(Some(self.connect_timeout))
            .build()
            .map_err(|error| StoreError::Misconfigured(format!("connection pool: {error}")))
    }

    fn parse(&self) -> Result<Config, StoreError> {
        // The driver knows no `verify-…`; with rustls `require` verifies all that they ask for.
        let url = self.url.replace("sslmode=verify-full", "sslmode=require");
        let url = url.replace("sslmode=verify-ca", "sslmode=require");
        let config: Config = url.parse().map_err(|_| {
            // The driver's error may quote the URL, and with it the password.
            StoreError::Misconfigured(
                "RELINK_DATABASE_URL is not a PostgreSQL URL \
                 (postgres://user:password@host:port/database?sslmode=…)"
                    .into(),
            )
        })?;
        if config.get_hosts().is_empty() {
            return Err(StoreError::Misconfigured("RELINK_DATABASE_URL names no host".into()));
        }
        Ok(config)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL: it holds the password.
        f.debug_struct("PostgresConfig")
            .field("pool_size", &self.pool_size)
            .field("prepare", &self.prepare)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Whether nothing is gained by TLS: it is not wanted, or the server is on this machine.
fn is_plain(config: &Config) -> bool {
    let here = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        _ => true,
    });
    match config.get_ssl_mode() {
        SslMode::Disable => true,
        SslMode::Prefer => here,
        _ => false,
    }
}

fn tls() -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(StoreError::Misconfigured(
            "no root certificates on this system to verify the server of RELINK_DATABASE_URL: \
             install them, or say sslmode=disable"
                .into(),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Misconfigured(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
