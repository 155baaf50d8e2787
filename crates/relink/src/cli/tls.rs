//! Files of certificates and keys, in PEM.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct AmqpTlsArgs {
    /// Authorities that may have signed the broker's certificate, instead of this machine's
    #[arg(long, env = "RELINK_AMQP_TLS_CA_FILE")]
    pub(crate) amqp_tls_ca_file: Option<String>,
    /// The certificate to show to a broker that asks for one
    #[arg(long, env = "RELINK_AMQP_TLS_CERTIFICATE_FILE")]
    pub(crate) amqp_tls_certificate_file: Option<String>,
    /// The private key of that certificate
    #[arg(long, env = "RELINK_AMQP_TLS_KEY_FILE")]
    pub(crate) amqp_tls_key_file: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DatabaseTlsArgs {
    /// Authorities that may have signed the database's certificate, instead of this machine's
    #[arg(long, env = "RELINK_DATABASE_TLS_CA_FILE")]
    pub(crate) database_tls_ca_file: Option<String>,
    /// The certificate to show to a database that asks for one
    #[arg(long, env = "RELINK_DATABASE_TLS_CERTIFICATE_FILE")]
    pub(crate) database_tls_certificate_file: Option<String>,
    /// The private key of that certificate
    #[arg(long, env = "RELINK_DATABASE_TLS_KEY_FILE")]
    pub(crate) database_tls_key_file: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListenerTlsArgs {
    /// The listeners' certificate, with those of authorities in between: they speak https with it
    #[arg(long, env = "RELINK_TLS_CERTIFICATE_FILE")]
    pub(crate) tls_certificate_file: Option<String>,
    /// The private key of that certificate
    #[arg(long, env = "RELINK_TLS_KEY_FILE")]
    pub(crate) tls_key_file: Option<String>,
}
