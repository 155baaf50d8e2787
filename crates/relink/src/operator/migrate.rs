//! `relink migrate`: brings database and broker up to this version; safe to run at any time and
//! more than once.

use relink_rabbitmq::RabbitConfig;

use crate::cli::MigrateArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::progress::Progress;
use crate::settings::{Database, Databases, Problems};
use crate::telemetry::start_logging;

pub(crate) async fn run(args: MigrateArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let database = problems.database(args.database, Databases::Both);
    let amqp = match &database {
        // A SQLite file belongs to a process that needs no broker.
        Some(Database::Sqlite(_)) => None,
        _ if args.database_only => None,
        _ => problems.amqp(args.amqp),
    };
    problems.done()?;
    let Some(database) = database else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let progress = Progress::waiting(args.json, "database");
    let is_dry = args.dry_run;
    let interrupted = || match is_dry {
        true => Failure::interrupted_looking(),
        false => Failure::interrupted("what was done until then stays done; run it again"),
    };
    let work = steps(database, amqp, is_dry, &progress);
    let done = progress.during_or(work, interrupted).await?;
    progress.end();
    let verb = if args.dry_run { "to do" } else { "done" };
    let text = if args.json {
        serde_json::json!({ "dry_run": args.dry_run, "steps": done }).to_string()
    } else if done.is_empty() {
        format!("{verb}: nothing")
    } else {
        done.iter().map(|step| format!("{verb}: {step}")).collect::<Vec<_>>().join("\n")
    };
    print(&text)
}

/// Does them, or says what they would be.
async fn steps(
    database: Database,
    amqp: Option<RabbitConfig>,
    is_dry: bool,
    progress: &Progress,
) -> Result<Vec<String>, Failure> {
    let mut done: Vec<String> = Vec::new();
    match database {
        Database::Postgres(config) => {
            let steps = relink_postgres::migrate(&config, is_dry).await.map_err(super::away)?;
            done.extend(
                steps.iter().map(|step| format!("database: {} {}", step.version, step.name)),
            );
        }
        Database::Sqlite(path) if is_dry => {
            done.push(format!("database: {path} is brought up when it is opened"));
        }
        Database::Sqlite(path) => {
            relink_sqlite::SqliteStore::open(path.as_ref()).map_err(Failure::unavailable)?;
            done.push(format!("database: {path}"));
        }
    }
    if let Some(amqp) = amqp {
        progress.now("broker");
        if is_dry {
            if let Err(error) = relink_rabbitmq::verify(&amqp).await {
                done.push(format!("broker: {error}"));
            }
        } else {
            relink_rabbitmq::declare(&amqp).await.map_err(Failure::unavailable)?;
            done.push(format!("broker: exchanges, queues and bindings at {}", amqp.broker()));
        }
    }
    Ok(done)
}
