//! What is said to `relink doctor`.

use clap::Args;

use super::{AmqpArgs, StandaloneArgs};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Whose settings and rights must be there: ingress, worker (or worker lifecycle, upcoming,
    /// followup), scheduler, portal, standalone; none named: what is given is checked
    pub(crate) roles: Vec<String>,
    /// End with 1 for warnings as well
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// How long a transaction may be open, for it keeps dead rows from being removed (d, h, m, s)
    #[arg(long, default_value = "5m")]
    pub(crate) transaction_age: String,
    /// The broker's management API, for what AMQP does not tell: https://host:15671, with a user
    /// and a password where those of RELINK_AMQP_URL will not do
    #[arg(long, env = "RELINK_MANAGEMENT_URL", hide_env_values = true)]
    pub(crate) management_url: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_MANAGEMENT_URL_FILE")]
    pub(crate) management_url_file: Option<String>,
    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
    /// All the others: a single process has those of every role.
    #[command(flatten)]
    pub(crate) rest: StandaloneArgs,
}
