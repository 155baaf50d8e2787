//! How to reach the database, and the limits of waiting for it.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use relink_engine::store::StoreError;
use relink_tls::{ClientTls, Peer, is_this_machine};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How to reach the database.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=…`. Every `sslmode` but `disable`
    /// verifies the server in full; without one a server of this machine is reached plainly.
    pub url: String,
    /// How the server is verified, and what is shown to it. Default: it has to have a certificate
    /// of an authority that this machine trusts, and is shown none. Files in it demand TLS.
    pub tls: ClientTls,
    /// Connections at most: more than workers with a batch in hand are of no use.
    pub pool_size: usize,
    /// Named prepared statements. `false` behind a pooler that hands a connection to each
    /// transaction and does not follow them.
    pub prepare: bool,
    /// How long to wait for a connection: free, new or checked.
    pub connect_timeout: Duration,
}

/// What libpq is told in the URL, and Relink in a setting of its own.
const FILE_PARAMETERS: [(&str, &str); 3] = [
    ("sslrootcert", "RELINK_DATABASE_TLS_CA_FILE"),
    ("sslcert", "RELINK_DATABASE_TLS_CERTIFICATE_FILE"),
    ("sslkey", "RELINK_DATABASE_TLS_KEY_FILE"),
];

impl PostgresConfig {
    /// A configuration with the defaults for everything but the address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: ClientTls::of_machine(Peer::Database),
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
        let mode = mode(&config, &self.tls);
        config.ssl_mode(mode);
        let manager = match mode {
            SslMode::Disable => Manager::from_config(config, NoTls, fast),
            _ => Manager::from_config(config, FreshTls(self.tls.clone()), fast),
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

    /// Whether the URL says that nothing is encrypted.
    ///
    /// # Errors
    /// If it is no URL of PostgreSQL.
    pub fn is_plain_by_choice(&self) -> Result<bool, StoreError> {
        Ok(self.parse()?.get_ssl_mode() == SslMode::Disable)
    }

    fn parse(&self) -> Result<Config, StoreError> {
        for (parameter, setting) in FILE_PARAMETERS {
            if self.url.contains(&format!("?{parameter}="))
                || self.url.contains(&format!("&{parameter}="))
            {
                return Err(StoreError::Misconfigured(format!(
                    "RELINK_DATABASE_URL has the parameter {parameter}, which is not known here; \
                     take it out and give the file in {setting}"
                )));
            }
        }
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

/// How it is connected: encrypted and verified, unless the operator says otherwise or the server
/// is on this machine and nothing is said.
fn mode(config: &Config, tls: &ClientTls) -> SslMode {
    match config.get_ssl_mode() {
        SslMode::Disable => SslMode::Disable,
        // What the driver takes for unsaid. It would do without TLS where the server offers none,
        // which anybody on the way can pretend.
        SslMode::Prefer if !tls.has_files() && is_here(config) => SslMode::Disable,
        _ => SslMode::Require,
    }
}

fn is_here(config: &Config) -> bool {
    let is_here = |host: &Host| match host {
        Host::Tcp(name) => is_this_machine(name),
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_here)
        && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

/// Makes each connection with the certificates as they are then.
#[derive(Clone)]
struct FreshTls(ClientTls);

impl<S> MakeTlsConnect<S> for FreshTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Self::Error> {
        let config = self.0.config()?;
        let mut maker = MakeRustlsConnect::new((*config).clone());
        let connect = <MakeRustlsConnect as MakeTlsConnect<S>>::make_tls_connect(&mut maker, host);
        Ok(connect?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn mode_of(rest: &str, tls: &ClientTls) -> SslMode {
        let url = format!("postgres://relink:hunter2@{rest}");
        mode(&PostgresConfig::new(url).parse().unwrap(), tls)
    }

    #[test]
    fn other_machines_are_verified_unless_the_operator_says_otherwise() {
        let machine = ClientTls::of_machine(Peer::Database);
        let own = ClientTls::new(Peer::Database, Some(PathBuf::from("authority.pem")), None);
        for (rest, expected, with_files) in [
            ("db.example/relink", SslMode::Require, SslMode::Require),
            ("10.0.0.1/relink", SslMode::Require, SslMode::Require),
            ("db.example/relink?sslmode=prefer", SslMode::Require, SslMode::Require),
            ("db.example/relink?sslmode=verify-ca", SslMode::Require, SslMode::Require),
            ("db.example/relink?sslmode=disable", SslMode::Disable, SslMode::Disable),
            ("localhost/relink", SslMode::Disable, SslMode::Require),
            ("127.0.0.1/relink", SslMode::Disable, SslMode::Require),
            ("[::1]/relink", SslMode::Disable, SslMode::Require),
            ("%2Frun%2Fpostgresql/relink", SslMode::Disable, SslMode::Require),
            ("localhost/relink?sslmode=verify-full", SslMode::Require, SslMode::Require),
            ("localhost/relink?hostaddr=10.0.0.1", SslMode::Require, SslMode::Require),
            ("localhost,db.example/relink", SslMode::Require, SslMode::Require),
        ] {
            assert_eq!(mode_of(rest, &machine), expected, "{rest}");
            assert_eq!(mode_of(rest, &own), with_files, "{rest} with a file");
        }
    }

    #[test]
    fn parameters_of_other_clients_are_told_by_what_replaces_them() {
        for (parameter, setting) in [
            ("sslrootcert=/ca.pem", "RELINK_DATABASE_TLS_CA_FILE"),
            ("sslcert=/mine.pem", "RELINK_DATABASE_TLS_CERTIFICATE_FILE"),
            ("sslmode=require&sslkey=/key.pem", "RELINK_DATABASE_TLS_KEY_FILE"),
        ] {
            let url = format!("postgres://relink:hunter2@db.example/relink?{parameter}");
            let error = PostgresConfig::new(url).parse().unwrap_err().to_string();
            assert!(error.contains(setting) && !error.contains("hunter2"), "{error}");
        }
    }
}
