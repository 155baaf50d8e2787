//! Connecting, and what the broker's errors mean.

use std::fmt;
use std::io;
use std::time::Duration;

use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{AMQPUriTcpExt as _, RustlsConnector};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use relink_tls::{ClientTls, Peer};

use crate::config::RabbitConfig;

/// Why something did not work, by what can be done about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// Trying again may help.
    Away(String),
    /// An exchange or a queue does not exist; holds the broker's words.
    Missing(String),
    /// An exchange or a queue exists with other properties; holds the broker's words.
    Inequivalent(String),
    /// The user may not do this, and may do other things.
    Forbidden(String),
    /// Another connection has it to itself.
    Locked(String),
    /// Trying again cannot help; says which setting to correct.
    Misconfigured(String),
    /// Certificates do not fit; says what to do. That ends a start. Whoever runs already tries
    /// again: files and the broker's certificate are renewed one after the other.
    Untrusted(String),
}

impl Trouble {
    /// The text for whoever has to correct a setting, if that is what it takes.
    pub(crate) fn misconfigured(&self) -> Option<&str> {
        match self {
            Self::Forbidden(text) | Self::Misconfigured(text) => Some(text),
            Self::Away(_)
            | Self::Missing(_)
            | Self::Inequivalent(_)
            | Self::Locked(_)
            | Self::Untrusted(_) => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(text)
        | Self::Missing(text)
        | Self::Inequivalent(text)
        | Self::Forbidden(text)
        | Self::Locked(text)
        | Self::Misconfigured(text)
        | Self::Untrusted(text)) = self;
        f.write_str(text)
    }
}

impl From<lapin::Error> for Trouble {
    fn from(error: lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(error) => classify(error),
            ErrorKind::IOError(cause) => match Peer::Broker.why(&**cause) {
                Some(text) => Self::Untrusted(text),
                None => Self::Away(error.to_string()),
            },
            ErrorKind::ParsingError(_) => Self::Away(format!(
                "{error}: what answers does not speak AMQP; where it wants TLS, write amqps://"
            )),
            _ => Self::Away(error.to_string()),
        }
    }
}

fn classify(error: &AMQPError) -> Trouble {
    let text = error.get_message().to_string();
    match error.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Trouble::Missing(text),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) if text.contains("inequivalent") => {
            Trouble::Inequivalent(text)
        }
        AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => Trouble::Locked(text),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Trouble::Forbidden(format!(
            "the broker refuses access: {text}; check the user and the password in \
             RELINK_AMQP_URL, and give that user what deploy/rabbitmq/permissions.json has for \
             its role (for all roles at once: configure and read on `^relink\\.` and write on \
             `^(relink\\.|amq\\.default$)`; retries and parked messages go through the latter)"
        )),
        // The same code also means "connection limit reached", which passes.
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) if !text.contains("limit") => {
            Trouble::Misconfigured(format!(
                "the broker refuses the virtual host: {text}; create it, grant the user access, \
                 or correct the path of RELINK_AMQP_URL (`/` is written %2f)"
            ))
        }
        _ => Trouble::Away(text),
    }
}

/// Connects and logs in. The library's own recovery stays off: it does not cover channel errors,
/// acknowledgement timeouts or deleted queues.
pub(crate) async fn connect(config: &RabbitConfig, purpose: &str) -> Result<Connection, Trouble> {
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("{} {purpose}", config.connection_name).into())
        .with_client_property("product".into(), "relink".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
    let connected = if config.is_encrypted() {
        let connecting = connect_encrypted(config.uri(), config.tls.clone(), properties);
        bounded(config.connect_timeout, "the login", connecting).await
    } else {
        let connecting = Connection::connect_uri(config.uri(), properties);
        bounded(config.connect_timeout, "the login", connecting).await
    };
    match connected {
        // A broker that hangs up during the login instead of saying why leaves nothing to go by.
        Err(Trouble::Away(text)) => Err(Trouble::Away(format!(
            "no connection to {} as `{}`: {text}",
            config.broker(),
            config.user()
        ))),
        other => other,
    }
}

/// As the library does it, but with certificates that are read now, and with no authority but
/// those that the operator named: the library would trust the machine's as well.
async fn connect_encrypted(
    uri: AMQPUri,
    tls: ClientTls,
    properties: ConnectionProperties,
) -> lapin::Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let connect = async move |mut uri: AMQPUri, runtime| {
        let config = tls.config().map_err(io::Error::other)?;
        uri.scheme = AMQPScheme::AMQP;
        let stream = uri.connect_async(&runtime).await?;
        let connector = RustlsConnector::from(config);
        Ok(stream.into_rustls(&connector, &uri.authority.host).await?)
    };
    Connection::connector(uri, runtime, connect, properties).await.map_err(|error| {
        let ErrorKind::IOError(cause) = error.kind() else {
            return error;
        };
        match Peer::Broker.hung_up(&**cause).filter(|_| Peer::Broker.why(&**cause).is_none()) {
            Some(hint) => io::Error::new(cause.kind(), format!("{cause}; {hint}")).into(),
            None => error,
        }
    })
}

/// Waits for an answer of the broker, but not for ever.
pub(crate) async fn bounded<T>(
    limit: Duration,
    what: &str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(Trouble::from),
        Err(_) => Err(Trouble::Away(format!("no answer to {what} within {limit:?}"))),
    }
}

/// Closes politely if the broker answers; dropping it is enough otherwise.
pub(crate) async fn close(connection: &Connection, limit: Duration) {
    // 200 is AMQP's reply code for "nothing is wrong".
    let _ = bounded(limit, "connection.close", connection.close(200, "OK".into())).await;
}
