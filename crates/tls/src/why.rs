//! Why a handshake failed, and what to do about it.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

use crate::error::TlsError;

/// A server that Relink connects to, with the names of the settings about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
    /// RabbitMQ's management API: verified with the broker's files, at an address of its own.
    Management,
}

impl Peer {
    /// What it is called in sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Database => "database",
            Self::Management => "management API",
        }
    }

    /// The setting of its address.
    pub fn url(self) -> &'static str {
        match self {
            Self::Broker => "RELINK_AMQP_URL",
            Self::Database => "RELINK_DATABASE_URL",
            Self::Management => "RELINK_MANAGEMENT_URL",
        }
    }

    /// The setting of the file with the authorities that it is verified with.
    pub fn authorities(self) -> &'static str {
        match self {
            Self::Broker | Self::Management => "RELINK_AMQP_TLS_CA_FILE",
            Self::Database => "RELINK_DATABASE_TLS_CA_FILE",
        }
    }

    /// The setting of the file with our certificate.
    pub fn certificate(self) -> &'static str {
        match self {
            Self::Broker | Self::Management => "RELINK_AMQP_TLS_CERTIFICATE_FILE",
            Self::Database => "RELINK_DATABASE_TLS_CERTIFICATE_FILE",
        }
    }

    /// The setting of the file with its key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Broker | Self::Management => "RELINK_AMQP_TLS_KEY_FILE",
            Self::Database => "RELINK_DATABASE_TLS_KEY_FILE",
        }
    }

    /// What an error is about, if it is about certificates, keys or TLS itself, as a sentence
    /// that says what to do. `None`: about something else, a network perhaps.
    pub fn why(self, error: &(dyn Error + 'static)) -> Option<String> {
        match cause(error)? {
            Cause::Files(error) => Some(error.to_string()),
            Cause::Handshake(error) => Some(self.handshake(error)),
        }
    }

    /// What to look at when the server hangs up on a connection with TLS. In TLS 1.3 it looks at
    /// our certificate after we have begun to write; what it has not read when it closes makes that
    /// a reset (RFC 1122, 4.2.2.13), which may overtake its reason. `None`: it did not hang up.
    pub fn hung_up(self, error: &(dyn Error + 'static)) -> Option<String> {
        let (peer, certificate, key) = (self.name(), self.certificate(), self.key());
        hangs_up(error).then(|| {
            format!(
                "the {peer} hung up; over TLS that may mean that it accepts no client without a \
                 certificate, or not the one of {certificate} and {key}; its log has the reason"
            )
        })
    }

    fn handshake(self, error: &rustls::Error) -> String {
        let (peer, url) = (self.name(), self.url());
        match error {
            rustls::Error::InvalidCertificate(error) => self.certificate_refused(error),
            rustls::Error::AlertReceived(alert) => self.alerted(*alert),
            rustls::Error::InvalidMessage(_) => format!(
                "the {peer} does not speak TLS at this port; write in {url} the port at which it \
                 does, or turn TLS on at the {peer}"
            ),
            rustls::Error::PeerIncompatible(what) => format!(
                "the {peer} offers no version or cipher of TLS that is still safe ({what:?}); \
                 permit TLS 1.2 or 1.3 at the {peer}"
            ),
            other => format!("TLS with the {peer} failed: {other}"),
        }
    }

    /// The server's certificate is not good enough for us.
    fn certificate_refused(self, error: &CertificateError) -> String {
        let (peer, url, authorities) = (self.name(), self.url(), self.authorities());
        match error {
            CertificateError::UnknownIssuer => format!(
                "no authority that is trusted here has signed the {peer}'s certificate; give the \
                 file of the authority that has in {authorities} (where it is unset, those that \
                 this machine trusts are asked)"
            ),
            CertificateError::NotValidForName => format!(
                "the {peer}'s certificate is for another host name; write in {url} a name that \
                 the certificate holds, or give the {peer} a certificate with this name"
            ),
            CertificateError::NotValidForNameContext { expected, presented } => format!(
                "the {peer}'s certificate is for another host name: {} is wanted, it holds {}; \
                 write in {url} a name that the certificate holds, or give the {peer} a \
                 certificate with this name",
                expected.to_str(),
                if presented.is_empty() { "none".to_owned() } else { presented.join(", ") },
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "the {peer}'s certificate has expired; renew it at the {peer} (or the clock of \
                 this machine is ahead)"
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the {peer}'s certificate is not valid yet; the clock of this machine or of the \
                 one that issued it is wrong"
            ),
            CertificateError::BadSignature => format!(
                "the {peer}'s certificate bears the name of an authority that is trusted here, \
                 and not its signature; give the authority's present file in {authorities}"
            ),
            other => format!(
                "the {peer}'s certificate is refused ({other}); give the {peer} a certificate for \
                 servers that is signed by the authority in {authorities} and is not that \
                 authority's own"
            ),
        }
    }

    /// Our certificate, or the lack of one, is not good enough for the server.
    fn alerted(self, alert: AlertDescription) -> String {
        let (peer, certificate, key) = (self.name(), self.certificate(), self.key());
        match alert {
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => format!(
                "the {peer} asks for a client certificate; give one that it accepts in \
                 {certificate} and {key}"
            ),
            AlertDescription::UnknownCA => format!(
                "the {peer} does not know the authority that signed the client certificate; give \
                 one in {certificate} that it accepts, or tell the {peer} of that authority"
            ),
            AlertDescription::CertificateExpired => format!(
                "the {peer} says that the client certificate has expired; renew the files of \
                 {certificate} and {key}, they are read again when it connects"
            ),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied => format!(
                "the {peer} refuses the client certificate of {certificate} ({alert:?}); give one \
                 that it accepts, for clients"
            ),
            AlertDescription::HandshakeFailure => format!(
                "the {peer} refuses the handshake; where it asks for a client certificate, give \
                 one in {certificate} and {key}; its log has the reason"
            ),
            other => format!("the {peer} ended TLS ({other:?}); its log has the reason"),
        }
    }
}

enum Cause<'a> {
    Files(&'a TlsError),
    Handshake(&'a rustls::Error),
}

fn hangs_up(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind.is_some_and(|kind| {
        [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::UnexpectedEof,
        ]
        .contains(&kind)
    }) || error.source().is_some_and(hangs_up)
}

/// The innermost reason that TLS gave. An `io::Error` hides what it was made of from `source`.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<Cause<'a>> {
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return Some(Cause::Files(error));
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(Cause::Handshake(error));
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => cause(inner),
        None => cause(error.source()?),
    }
}
