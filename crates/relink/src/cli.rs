//! Roles, operator commands and their settings; every one a flag and a `RELINK_…` variable.

mod doctor;
mod machine;
mod operator;
mod parked;
mod portal;
mod servers;
mod sim;
mod simulate;
mod tls;
mod traces;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub(crate) use doctor::DoctorArgs;
pub(crate) use machine::{CompletionsArgs, HealthcheckArgs, ManualArgs};
pub(crate) use operator::{
    BackfillArgs, CatchUpArgs, ExplainArgs, ForecastArgs, MigrateArgs, ReconcileArgs, SchemaArgs,
};
pub(crate) use parked::{
    AuditArgs, ChangeArgs, DropArgs, FilterArgs, ListArgs, ParkedArgs, ParkedCommand, RequeueArgs,
    ShowArgs, StatusArgs,
};
pub(crate) use portal::{PortalArgs, PortalRoleArgs};
pub(crate) use servers::{AmqpArgs, DatabaseArgs};
pub(crate) use sim::SimArgs;
pub(crate) use simulate::SimulateArgs;
pub(crate) use tls::{AmqpTlsArgs, DatabaseTlsArgs, ListenerTlsArgs};
pub(crate) use traces::{TRACE_RATIO, TraceArgs};

/// Keeps bank connections made with Stripe Financial Connections alive.
#[derive(Debug, Parser)]
#[command(name = "relink", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    /// What clap objects to, or help and version.
    pub(crate) fn of_command_line() -> Result<Self, clap::Error> {
        // What `parked` is told may stand before or behind the word that follows.
        let command = Self::command()
            .mut_subcommand("parked", |parked| parked.mut_args(|setting| setting.global(true)));
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take signed webhooks and publish them; 2xx only when the broker has them
    Ingress(Box<IngressArgs>),
    /// Consume events and keep the state: lifecycle, upcoming, followup (none named: all)
    Worker(Box<WorkerArgs>),
    /// Fire timers, relay what was left in the outbox, expire old rows
    Scheduler(Box<SchedulerArgs>),
    /// The relink page, to which prompts link
    Portal(Box<PortalRoleArgs>),
    /// All roles in one process on an embedded database, no broker
    Standalone(Box<StandaloneArgs>),
    /// A stand-in for Stripe's Financial Connections that sends signed webhooks
    Sim(Box<SimArgs>),
    /// Simulator, standalone and a story told on the terminal; needs nothing
    Demo(DemoArgs),
    /// Bring database and broker up to this version
    Migrate(MigrateArgs),
    /// Why something is as it is: an account, authorization or event id
    Explain(ExplainArgs),
    /// Publish events that Stripe has made and webhooks have not brought
    CatchUp(Box<CatchUpArgs>),
    /// Compare every account with Stripe, those not heard of for longest first
    Reconcile(Box<ReconcileArgs>),
    /// Read the accounts of given holders: fill an empty Relink
    Backfill(Box<BackfillArgs>),
    /// Messages that were set aside: list, show, requeue, drop
    Parked(Box<ParkedArgs>),
    /// What became of events by day, what waits, how authorizations are
    Status(StatusArgs),
    /// Compare Stripe's events with the ledger and the parked messages: what is missing
    Audit(Box<AuditArgs>),
    /// What will need a relink, by week, bank and health
    Forecast(ForecastArgs),
    /// JSON Schemas of everything that Relink publishes
    Schema(SchemaArgs),
    /// Run Relink against a simulated Stripe with everything going wrong that can
    Simulate(SimulateArgs),
    /// Look at settings, Stripe, broker and database: what is wrong, and what to do about it
    Doctor(Box<DoctorArgs>),
    /// Whether the role beside it can work: exit code 0, or 1 and why not
    Healthcheck(HealthcheckArgs),
    /// Completions for a shell, on standard output
    Completions(CompletionsArgs),
    /// Manual pages, one for each command
    Manual(ManualArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What is logged, as a tracing filter: `info`, `relink_engine=debug,warn`
    #[arg(long, env = "RELINK_LOG", default_value = "info")]
    pub(crate) log: String,
    /// How: text or json
    #[arg(long, env = "RELINK_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: String,
}

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// Where /metrics, /healthz and /readyz are served; `off` for nowhere
    #[arg(long, env = "RELINK_ADMIN_LISTEN", default_value = "127.0.0.1:9090")]
    pub(crate) admin_listen: String,
    /// How long a shutdown may take, in seconds
    #[arg(long, env = "RELINK_DRAIN_SECONDS", default_value = "25")]
    pub(crate) drain_seconds: String,
}

#[derive(Debug, Args)]
pub(crate) struct StripeArgs {
    /// A key that may read Financial Connections; without one nothing is verified
    #[arg(long, env = "RELINK_STRIPE_API_KEY", hide_env_values = true)]
    pub(crate) stripe_api_key: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_STRIPE_API_KEY_FILE")]
    pub(crate) stripe_api_key_file: Option<String>,
    /// Where Stripe's API is
    #[arg(long, env = "RELINK_STRIPE_API_BASE", default_value = "https://api.stripe.com")]
    pub(crate) stripe_api_base: String,
    /// The version of reads: a preview one, only those tell cause, action and authorization
    #[arg(long, env = "RELINK_STRIPE_API_VERSION", default_value = "2026-09-30.preview")]
    pub(crate) stripe_api_version: String,
    /// Permit plain http to hosts other than this one, for a stand-in on a private network
    #[arg(long, env = "RELINK_STRIPE_ALLOW_HTTP", default_value = "false")]
    pub(crate) stripe_allow_http: String,
    /// Reads of Stripe a second; its own limit is 25 for each endpoint
    #[arg(long, env = "RELINK_STRIPE_READS_PER_SECOND", default_value = "20")]
    pub(crate) stripe_reads_per_second: String,
}

#[derive(Debug, Args)]
pub(crate) struct FollowupArgs {
    /// Ask Stripe for a refresh once an account is back; `false`: the platform does
    #[arg(long, env = "RELINK_REFRESH_DATA", default_value = "true")]
    pub(crate) refresh_data: String,
    /// Read a holder's accounts after a relink made another authorization; `false`: the platform
    #[arg(long, env = "RELINK_RECONCILE_ACCOUNTS", default_value = "true")]
    pub(crate) reconcile_accounts: String,
}

#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    /// Endpoint secrets (whsec_…), comma separated: several while one is rotated
    #[arg(long, env = "RELINK_WEBHOOK_SECRETS", hide_env_values = true)]
    pub(crate) webhook_secrets: Option<String>,
    /// A file that holds them instead
    #[arg(long, env = "RELINK_WEBHOOK_SECRETS_FILE")]
    pub(crate) webhook_secrets_file: Option<String>,
    /// How old a signature may be, in seconds; 0 switches the check off
    #[arg(long, env = "RELINK_WEBHOOK_TOLERANCE_SECONDS", default_value = "300")]
    pub(crate) webhook_tolerance_seconds: String,
    /// Take only events of this mode: live or test; both where unset
    #[arg(long, env = "RELINK_WEBHOOK_MODE")]
    pub(crate) webhook_mode: Option<String>,
    /// Where webhooks are taken: path /webhooks/stripe
    #[arg(long, env = "RELINK_INGRESS_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) ingress_listen: String,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// How long a new case waits for its siblings before the prompt, in seconds; 0: not at all
    #[arg(long, env = "RELINK_SETTLE_SECONDS", default_value = "5")]
    pub(crate) settle_seconds: String,
    /// Observations of different status this close together are verified, in seconds
    #[arg(long, env = "RELINK_DOUBT_SECONDS", default_value = "5")]
    pub(crate) doubt_seconds: String,
    /// Reminders before a known date, comma separated (d, h, m, s)
    #[arg(long, env = "RELINK_REMINDERS_BEFORE", default_value = "14d,7d,3d,1d")]
    pub(crate) reminders_before: String,
    /// Reminders after the prompt of something that is broken already
    #[arg(long, env = "RELINK_REMINDERS_AFTER", default_value = "3d,7d,14d")]
    pub(crate) reminders_after: String,
    /// From the last reminder to the escalation
    #[arg(long, env = "RELINK_ESCALATE_AFTER", default_value = "1d")]
    pub(crate) escalate_after: String,
    /// Whether tokenized account numbers that stop working make a case
    #[arg(long, env = "RELINK_WATCH_NUMBERS", default_value = "true")]
    pub(crate) watch_numbers: String,
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// Where customers reach the relink page: https://relink.example.com; prompts carry links
    #[arg(long, env = "RELINK_PORTAL_URL")]
    pub(crate) portal_url: Option<String>,
    /// What links are signed with: at least 32 bytes; several while one is rotated, newest first
    #[arg(long, env = "RELINK_LINK_KEY", hide_env_values = true)]
    pub(crate) link_key: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_LINK_KEY_FILE")]
    pub(crate) link_key_file: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    /// How long inbox and history are kept, in days; at least 35, above Stripe's replay of 30
    #[arg(long, env = "RELINK_RETENTION_DAYS", default_value = "90")]
    pub(crate) retention_days: String,
    /// How often timers are looked at, in milliseconds
    #[arg(long, env = "RELINK_TICK_MILLISECONDS", default_value = "250")]
    pub(crate) tick_milliseconds: String,
}

#[derive(Debug, Args)]
pub(crate) struct BackgroundArgs {
    /// Catch up with Stripe's events when none came for so long, in seconds; 0: never
    #[arg(long, env = "RELINK_CATCH_UP_SILENCE_SECONDS", default_value = "600")]
    pub(crate) catch_up_silence_seconds: String,
    /// Read accounts of which nothing was heard for so many days; 0: never
    #[arg(long, env = "RELINK_RECONCILE_DAYS", default_value = "7")]
    pub(crate) reconcile_days: String,
    /// Reads of Stripe a second for these two, beside those of the followup worker
    #[arg(long, env = "RELINK_BACKGROUND_READS_PER_SECOND", default_value = "2")]
    pub(crate) background_reads_per_second: String,
}

#[derive(Debug, Args)]
pub(crate) struct IngressArgs {
    #[command(flatten)]
    pub(crate) webhook: WebhookArgs,
    #[command(flatten)]
    pub(crate) tls: ListenerTlsArgs,
    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// lifecycle, upcoming, followup; none named: all
    pub(crate) workers: Vec<String>,
    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) stripe: StripeArgs,
    #[command(flatten)]
    pub(crate) followup: FollowupArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    /// Deliveries that the broker hands out ahead of their acknowledgement, per worker
    #[arg(long, env = "RELINK_PREFETCH", default_value = "1024")]
    pub(crate) prefetch: String,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SchedulerArgs {
    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) stripe: StripeArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    #[command(flatten)]
    pub(crate) background: BackgroundArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StandaloneArgs {
    #[command(flatten)]
    pub(crate) webhook: WebhookArgs,
    #[command(flatten)]
    pub(crate) tls: ListenerTlsArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) stripe: StripeArgs,
    #[command(flatten)]
    pub(crate) followup: FollowupArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) page: PortalArgs,
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    #[command(flatten)]
    pub(crate) background: BackgroundArgs,
    /// Post every command there as well, signed as Standard Webhooks
    #[arg(long, env = "RELINK_COMMANDS_URL")]
    pub(crate) commands_url: Option<String>,
    /// The secret for that: whsec_ and at least 24 bytes in base64
    #[arg(long, env = "RELINK_COMMANDS_SECRET", hide_env_values = true)]
    pub(crate) commands_secret: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_COMMANDS_SECRET_FILE")]
    pub(crate) commands_secret_file: Option<String>,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the relink page listens on this machine; the demo's other listeners take the next
    /// free ports, and so does the page where this one is taken
    #[arg(long, env = "RELINK_DEMO_PORT", default_value = "12400")]
    pub(crate) demo_port: String,
    /// Run the story and end: 0 only if state and commands are what they should be
    #[arg(long)]
    pub(crate) once: bool,
    /// Print the commands alone, one JSON document a line
    #[arg(long)]
    pub(crate) json: bool,
}
