//! Where the broker and the database are.

use clap::Args;

use super::{AmqpTlsArgs, DatabaseTlsArgs};

#[derive(Debug, Args)]
pub(crate) struct AmqpArgs {
    /// The broker: amqps://user:password@host:5671/vhost, or amqp:// on a network that is safe
    #[arg(long, env = "RELINK_AMQP_URL", hide_env_values = true)]
    pub(crate) amqp_url: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_AMQP_URL_FILE")]
    pub(crate) amqp_url_file: Option<String>,
    #[command(flatten)]
    pub(crate) tls: AmqpTlsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// The database: postgres://user:password@host:5432/name; for standalone and what looks into
    /// its file sqlite://path as well
    #[arg(long, env = "RELINK_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_DATABASE_URL_FILE")]
    pub(crate) database_url_file: Option<String>,
    /// Connections to PostgreSQL at the most
    #[arg(long, env = "RELINK_DATABASE_POOL_SIZE", default_value = "8")]
    pub(crate) database_pool_size: String,
    /// Use named prepared statements; `false` behind a transaction-mode pooler
    #[arg(long, env = "RELINK_DATABASE_PREPARE", default_value = "true")]
    pub(crate) database_prepare: String,
    #[command(flatten)]
    pub(crate) tls: DatabaseTlsArgs,
}
