//! Settings of a connection to the broker.

use std::fmt;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use relink_tls::{ClientTls, Peer, is_this_machine};

/// What both adapters need to know; [`RabbitConfig::new`] sets the defaults.
#[derive(Clone)]
pub struct RabbitConfig {
    /// Holds the password, therefore private and absent from `Debug`.
    uri: AMQPUri,
    /// How the broker of an `amqps://` URL is verified, and what is shown to it. Default: it has
    /// to have a certificate of an authority that this machine trusts, and is shown none.
    pub tls: ClientTls,
    /// How long connecting, with login, may take. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a confirm, or any other answer of the broker, may take. Default 5 s, well within
    /// the time after which Stripe gives a webhook up.
    pub confirm_timeout: Duration,
    /// How many publishes may wait for their confirm, over all connections of a publisher. Default
    /// 512: beyond 256 to 512 a channel gains latency and no throughput.
    pub in_flight_max: usize,
    /// How many deliveries may be unsettled. Default 512: one batch in hand, one on its way.
    pub prefetch: u16,
    /// The name that the broker shows for the connection, followed by its purpose.
    pub connection_name: String,
    /// The first wait after a failure. Default 100 ms.
    pub backoff_min: Duration,
    /// The longest wait after a failure. Default 5 s.
    pub backoff_max: Duration,
}

/// The URL is not one; says which setting to correct and never repeats it, since it holds a
/// password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "RELINK_AMQP_URL is not an AMQP URL; write amqp://user:password@host:5672/%2f or \
     amqps://user:password@host:5671/%2f (the virtual host percent-encoded, `/` is %2f)"
)]
pub struct ConfigError;

/// Default heartbeat: a dead peer is noticed within twice this time.
const HEARTBEAT_SECONDS: u16 = 10;

/// The largest frame of a connection that publishes, in bytes; a longer body travels in several. The
/// AMQP library keeps a ring of 32 such frames for each direction, and uses all of it in turn: with
/// RabbitMQ's own 128 KiB that is 8 MiB for each connection, more than a processor's cache holds.
/// Whoever consumes keeps that size: headers travel in one frame, whoever wrote them.
const PUBLISHER_FRAME_BYTES_MAX: u32 = 32 * 1024;

impl RabbitConfig {
    /// Takes the URL and the default of everything else.
    ///
    /// The heartbeat is 10 s unless the URL's query says otherwise (`?heartbeat=15`).
    ///
    /// # Errors
    /// If it is not an `amqp://` or `amqps://` URL.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let mut uri: AMQPUri = url.parse().map_err(|_| ConfigError)?;
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host.to_owned();
        }
        // Without heartbeats a peer that vanished silently would never be noticed.
        uri.query.heartbeat =
            uri.query.heartbeat.filter(|seconds| *seconds > 0).or(Some(HEARTBEAT_SECONDS));
        Ok(Self {
            uri,
            tls: ClientTls::of_machine(Peer::Broker),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(5),
            in_flight_max: 512,
            prefetch: 1024,
            connection_name: "relink".to_owned(),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        })
    }

    /// The same for a connection that publishes: its frames are smaller, unless the URL's query says
    /// otherwise (`?frame_max=131072`).
    pub(crate) fn publishing(mut self) -> Self {
        let query = &mut self.uri.query;
        query.frame_max = query.frame_max.or(Some(PUBLISHER_FRAME_BYTES_MAX));
        self
    }

    pub(crate) fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }

    /// Whether what is sent is encrypted, and the broker verified: the URL is `amqps://`.
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// Whether somebody on the way to the broker can read the password and every message.
    pub fn is_exposed(&self) -> bool {
        !self.is_encrypted() && !is_this_machine(&self.uri.authority.host)
    }

    /// Where the broker is, without user and password.
    pub fn broker(&self) -> String {
        let authority = &self.uri.authority;
        format!("{}://{}:{}", self.uri.scheme, authority.host, authority.port)
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// The user that logs in.
    pub(crate) fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }
}

impl fmt::Debug for RabbitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitConfig")
            .field("broker", &self.broker())
            .field("vhost", &self.vhost())
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("confirm_timeout", &self.confirm_timeout)
            .field("in_flight_max", &self.in_flight_max)
            .field("prefetch", &self.prefetch)
            .field("connection_name", &self.connection_name)
            .finish_non_exhaustive()
    }
}

/// The library's parser takes a bracketed address for a missing host, which it reads as
/// `localhost`.
fn ipv6_host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1;
    let authority = authority.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_broker_show_neither_user_nor_password() {
        let config = RabbitConfig::new("amqp://anna:hunter2@mq.example:5673/%2fprod").unwrap();
        let shown = format!("{config:?} {}", config.broker());
        assert!(!shown.contains("hunter2") && !shown.contains("anna"), "{shown}");
        assert_eq!(config.broker(), "amqp://mq.example:5673");
        assert_eq!(config.vhost(), "/prod");
    }

    #[test]
    fn a_wrong_url_names_the_setting_and_is_not_repeated() {
        let error = RabbitConfig::new("amq//anna:hunter2@mq").unwrap_err().to_string();
        assert!(error.contains("RELINK_AMQP_URL") && !error.contains("hunter2"), "{error}");
        assert!(RabbitConfig::new("http://mq.example").is_err());
    }

    #[test]
    fn an_ipv6_address_is_not_taken_for_localhost() {
        let config = RabbitConfig::new("amqp://a:b@[::1]:5673/%2f").unwrap();
        assert_eq!(config.uri().authority.host, "::1");
        assert_eq!(config.uri().authority.port, 5673);
    }

    #[test]
    fn plain_connections_to_other_machines_are_exposed() {
        let is_exposed = |url| RabbitConfig::new(url).unwrap().is_exposed();
        assert!(is_exposed("amqp://mq.example/%2f") && is_exposed("amqp://10.0.0.1/%2f"));
        assert!(!is_exposed("amqps://mq.example/%2f"));
        assert!(!is_exposed("amqp://localhost/%2f") && !is_exposed("amqp://[::1]/%2f"));
    }

    #[test]
    fn frames_of_publishers_are_small_unless_the_url_says_otherwise() {
        let config = |url| RabbitConfig::new(url).unwrap();
        assert_eq!(config("amqp://mq/%2f").uri().query.frame_max, None);
        let frame_max = |url| config(url).publishing().uri().query.frame_max;
        assert_eq!(frame_max("amqp://mq/%2f"), Some(PUBLISHER_FRAME_BYTES_MAX));
        assert_eq!(frame_max("amqp://mq/%2f?frame_max=131072"), Some(131_072));
    }

    #[test]
    fn heartbeats_cannot_be_switched_off() {
        let heartbeat = |url| RabbitConfig::new(url).unwrap().uri().query.heartbeat;
        assert_eq!(heartbeat("amqp://mq/%2f?heartbeat=0"), Some(HEARTBEAT_SECONDS));
        assert_eq!(heartbeat("amqp://mq/%2f?heartbeat=15"), Some(15));
    }
}
