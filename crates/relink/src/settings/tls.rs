//! Certificates and keys: every file is read before a port is bound, so that what is wrong with it
//! is a problem of the configuration.

use relink_postgres::PostgresConfig;
use relink_rabbitmq::RabbitConfig;
use relink_tls::{ClientTls, Identity, Peer, PemFile, ServerCertificate};

use super::Problems;
use crate::cli::{AmqpTlsArgs, DatabaseTlsArgs, ListenerTlsArgs};

/// The setting of the listeners' certificate.
const CERTIFICATE: &str = "RELINK_TLS_CERTIFICATE_FILE";
/// The setting of its key.
const KEY: &str = "RELINK_TLS_KEY_FILE";

impl Problems {
    /// Completes the broker's configuration.
    pub(super) fn broker_tls(
        &mut self,
        config: Option<RabbitConfig>,
        args: AmqpTlsArgs,
    ) -> Option<RabbitConfig> {
        let AmqpTlsArgs { amqp_tls_ca_file, amqp_tls_certificate_file, amqp_tls_key_file } = args;
        let authorities = named(amqp_tls_ca_file);
        let pair = (named(amqp_tls_certificate_file), named(amqp_tls_key_file));
        let tls = self.client_tls(Peer::Broker, authorities, pair)?;
        let mut config = config?;
        if config.is_encrypted() {
            self.readable(&tls)?;
        } else if tls.has_files() {
            self.add(
                "RELINK_AMQP_URL is amqp://, which is not encrypted, and RELINK_AMQP_TLS_… files \
                 are set; write amqps:// and the port for it (5671), or take the files out",
            );
            return None;
        } else if config.is_exposed() {
            tracing::warn!(
                broker = config.broker(),
                "what is sent to the broker of RELINK_AMQP_URL is not encrypted, the password \
                 neither; write amqps:// where anybody else is on that network"
            );
        }
        config.tls = tls;
        Some(config)
    }

    /// Completes the database's configuration.
    pub(super) fn database_tls(
        &mut self,
        config: &mut PostgresConfig,
        args: DatabaseTlsArgs,
    ) -> Option<()> {
        let DatabaseTlsArgs {
            database_tls_ca_file,
            database_tls_certificate_file,
            database_tls_key_file,
        } = args;
        let authorities = named(database_tls_ca_file);
        let pair = (named(database_tls_certificate_file), named(database_tls_key_file));
        let tls = self.client_tls(Peer::Database, authorities, pair)?;
        let is_plain = config.is_plain_by_choice();
        let is_plain = is_plain.map_err(|error| self.add(error.to_string())).ok()?;
        if is_plain && tls.has_files() {
            self.add(
                "RELINK_DATABASE_URL says sslmode=disable, and RELINK_DATABASE_TLS_… files are \
                 set; take one of them out",
            );
            return None;
        }
        if tls.has_files() {
            self.readable(&tls)?;
        }
        config.tls = tls;
        Some(())
    }

    /// That nothing is set for a database that is a file.
    pub(super) fn no_database_tls(&mut self, args: &DatabaseTlsArgs) {
        for (file, name) in [
            (&args.database_tls_ca_file, Peer::Database.authorities()),
            (&args.database_tls_certificate_file, Peer::Database.certificate()),
            (&args.database_tls_key_file, Peer::Database.key()),
        ] {
            if file.as_ref().is_some_and(|file| !file.is_empty()) {
                self.add(format!(
                    "{name} is set, and RELINK_DATABASE_URL names a SQLite file, to which nobody \
                     connects; take one of them out"
                ));
            }
        }
    }

    /// What the listeners show; `None` inside where they speak plain HTTP.
    pub(crate) fn certificate(
        &mut self,
        args: ListenerTlsArgs,
    ) -> Option<Option<ServerCertificate>> {
        let pair = (named(args.tls_certificate_file), named(args.tls_key_file));
        let Some((certificate, key)) = self.pair(CERTIFICATE, KEY, pair)? else {
            return Some(None);
        };
        let (certificate, key) = (PemFile::new(CERTIFICATE, certificate), PemFile::new(KEY, key));
        let loaded = ServerCertificate::load(certificate, key);
        loaded.map(Some).map_err(|error| self.add(error.to_string())).ok()
    }

    fn client_tls(
        &mut self,
        peer: Peer,
        authorities: Option<String>,
        pair: (Option<String>, Option<String>),
    ) -> Option<ClientTls> {
        let pair = self.pair(peer.certificate(), peer.key(), pair)?;
        let identity = pair.map(|(certificate, key)| Identity {
            certificate: certificate.into(),
            key: key.into(),
        });
        Some(ClientTls::new(peer, authorities.map(Into::into), identity))
    }

    /// A certificate and its key: both or none.
    fn pair(
        &mut self,
        certificate: &str,
        key: &str,
        pair: (Option<String>, Option<String>),
    ) -> Option<Option<(String, String)>> {
        match pair {
            (Some(certificate), Some(key)) => Some(Some((certificate, key))),
            (None, None) => Some(None),
            (is_certificate, _) => {
                let (set, unset) = match is_certificate {
                    Some(_) => (certificate, key),
                    None => (key, certificate),
                };
                self.add(format!("{set} is set without {unset}; a certificate needs its key"));
                None
            }
        }
    }

    fn readable(&mut self, tls: &ClientTls) -> Option<()> {
        tls.config().map(drop).map_err(|error| self.add(error.to_string())).ok()
    }
}

fn named(file: Option<String>) -> Option<String> {
    file.filter(|file| !file.is_empty())
}
