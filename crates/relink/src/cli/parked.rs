//! What is said to the commands about parked messages and the ledger.

use clap::{Args, Subcommand};

use super::{AmqpArgs, DatabaseArgs, LogArgs, StripeArgs};

#[derive(Debug, Args)]
pub(crate) struct ParkedArgs {
    #[command(subcommand)]
    pub(crate) command: ParkedCommand,
    #[command(flatten, next_help_heading = "Broker")]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ParkedCommand {
    /// Count them by queue and reason, and list the longest parked ones
    List(ListArgs),
    /// Show one: its body with secrets masked, its headers, its error
    Show(ShowArgs),
    /// Put them back into their queues
    Requeue(RequeueArgs),
    /// Forget them; the ledger says that, and why
    Drop(DropArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only of this queue: lifecycle, upcoming or followup
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Only those parked for this reason, such as unparsable
    #[arg(long)]
    pub(crate) parked_for: Option<String>,
    /// Only of this type; with * at its end of every type that begins so
    #[arg(long = "type")]
    pub(crate) kind: Option<String>,
    /// Only those parked since: 2026-11-22, 2026-11-22T06:00:00Z, or so long ago (d, h, m, s)
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Only those parked until then
    #[arg(long)]
    pub(crate) until: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// How many are listed; all are counted
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The event's or command's id, or the one under which it is parked
    pub(crate) id: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What both changes are told.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Which, by their ids; without any those that the filter means
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    /// At most so many
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Do it; without it they are only shown
    #[arg(long)]
    pub(crate) write: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RequeueArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// How many a second
    #[arg(long, default_value = "50")]
    pub(crate) rate: String,
}

#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Why, for the ledger: one line
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// How many days are shown, today included
    #[arg(long, default_value = "7")]
    pub(crate) days: String,
    /// Print JSON; with --watch a line each time
    #[arg(long)]
    pub(crate) json: bool,
    /// Show it again every few seconds until interrupted; of a terminal the screen is cleared
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5")]
    pub(crate) watch: Option<String>,
    #[command(flatten, next_help_heading = "Broker")]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) database: DatabaseArgs,
    #[command(flatten, next_help_heading = "Log")]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Events made since: 2026-11-22, 2026-11-22T06:00:00Z, or so long ago, at most 30d
    #[arg(long, default_value = "1d")]
    pub(crate) from: String,
    /// Events made until then; younger ones may still be on their way
    #[arg(long, default_value = "5m")]
    pub(crate) to: String,
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
