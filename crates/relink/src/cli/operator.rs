//! What is said to the commands of an operator that have no file of their own.

use std::path::PathBuf;

use clap::Args;

use super::{AmqpArgs, DatabaseArgs, LogArgs, StripeArgs};

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Leave the broker out: for `standalone` with postgres://
    #[arg(long)]
    pub(crate) database_only: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Broker")]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// An account, an authorization or an event
    #[arg(value_name = "fca_…|fcauth_…|evt_…")]
    pub(crate) id: String,
    /// How many lines of history
    #[arg(long, default_value_t = 30)]
    pub(crate) limit: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CatchUpArgs {
    /// How far back, at most the 30 days that Stripe lists (d, h, m, s)
    #[arg(long, default_value = "30d")]
    pub(crate) since: String,
    /// Publish them; without it they are only shown
    #[arg(long)]
    pub(crate) write: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Broker")]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Stripe")]
    pub(crate) stripe: StripeArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// Walk all accounts once and end; without it go on and on, as the scheduler does
    #[arg(long)]
    pub(crate) once: bool,
    /// Going on, read accounts of which nothing was heard for so many days
    #[arg(long, default_value = "7")]
    pub(crate) days: String,
    /// Read and publish; without it only shown is how much there is to read
    #[arg(long)]
    pub(crate) write: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Broker")]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Stripe")]
    pub(crate) stripe: StripeArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// A file of holders, one a line: cus_… or acct_…; `-` is standard input
    #[arg(default_value = "-")]
    pub(crate) file: String,
    /// The Connect account whose customers they are; none: the platform's own
    #[arg(long)]
    pub(crate) stripe_account: Option<String>,
    /// Publish what was read; without it accounts are only counted
    #[arg(long)]
    pub(crate) write: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Broker")]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten, next_help_heading = "Stripe")]
    pub(crate) stripe: StripeArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    /// A table of what banks do, in place of the one that is shipped (TOML)
    #[arg(long, env = "RELINK_BANKS")]
    pub(crate) banks: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Only this type, such as prompt_relink or relink.prompt_relink.v1
    pub(crate) kind: Option<String>,
    /// The whole contract on the wire instead, as an AsyncAPI 3.1 document
    #[arg(long, conflicts_with = "kind")]
    pub(crate) asyncapi: bool,
    /// The HTTP API of the portal instead, as an OpenAPI 3.1 document
    #[arg(long, conflicts_with_all = ["kind", "asyncapi"])]
    pub(crate) openapi: bool,
    /// Hold them against what `relink schema` of another version has printed into this file: tells
    /// what is new and what breaks who reads messages, and ends with 1 if anything breaks
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "asyncapi", "openapi"])]
    pub(crate) diff: Option<PathBuf>,
    /// Print the differences as JSON
    #[arg(long, requires = "diff")]
    pub(crate) json: bool,
}
