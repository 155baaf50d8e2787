//! Relink: keeps bank connections made with Stripe Financial Connections alive.
//!
//! The only binary. [`cli`] lists the roles and operator commands; [`settings`] turns flags and
//! environment into checked configuration, all problems at once, before any port is bound;
//! [`role`] has one file per role and [`operator`] one per command. What they share – stores, the
//! bus, the engine – is put together in [`wiring`]. No rule, no SQL and no AMQP here.

mod background;
mod broker_metrics;
mod certificate;
mod cli;
mod failure;
mod operator;
mod otlp;
mod output;
mod progress;
mod role;
mod settings;
mod shutdown;
mod sink;
mod telemetry;
mod wiring;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::of_command_line() {
        Ok(cli) => cli,
        Err(error) => {
            // What clap itself refuses is a usage error like any other; help and version are not.
            let code = if error.use_stderr() { failure::EX_USAGE } else { 0 };
            return match output::unless_read_enough(error.print()) {
                Err(error) if code == 0 => Failure::output(&error).report(),
                _ => ExitCode::from(code),
            };
        }
    };
    // One provider for every TLS connection of the process; a second installation is no matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::software(format!("no runtime: {error}")).report(),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Ingress(args) => role::ingress::run(*args).await,
        Command::Worker(args) => role::worker::run(*args).await,
        Command::Scheduler(args) => role::scheduler::run(*args).await,
        Command::Portal(args) => role::portal::run(*args).await,
        Command::Standalone(args) => role::standalone::run(*args).await,
        Command::Sim(args) => role::sim::run(*args).await,
        Command::Demo(args) => role::demo::run(args).await,
        Command::Migrate(args) => operator::migrate::run(args).await,
        Command::Explain(args) => operator::explain::run(args).await,
        Command::Forecast(args) => operator::forecast::run(args).await,
        Command::CatchUp(args) => operator::catch_up::run(*args).await,
        Command::Reconcile(args) => operator::reconcile::run(*args).await,
        Command::Backfill(args) => operator::backfill::run(*args).await,
        Command::Parked(args) => operator::parked::run(*args).await,
        Command::Status(args) => operator::status::run(args).await,
        Command::Audit(args) => operator::audit::run(*args).await,
        Command::Schema(args) => operator::schema::run(&args),
        Command::Simulate(args) => operator::simulate::run(&args).await,
        Command::Doctor(args) => operator::doctor::run(*args).await,
        Command::Healthcheck(args) => operator::healthcheck::run(args).await,
        Command::Completions(args) => operator::paper::completions(&args),
        Command::Manual(args) => operator::paper::manual(&args),
    }
}
