//! Timers, relay, retention.

use std::sync::Arc;

use relink_bus::port::Publisher;
use relink_engine::clock::SystemClock;
use relink_engine::engine::Availability;
use relink_engine::scheduler::Scheduler;
use relink_rabbitmq::RabbitPublisher;

use crate::cli::SchedulerArgs;
use crate::failure::Failure;
use crate::settings::{Database, Problems};
use crate::telemetry::{Readiness, start_logging};
use crate::{shutdown, wiring};

pub(crate) async fn run(args: SchedulerArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let amqp = problems.amqp(args.amqp);
    let database = problems.database(args.database);
    if let Some(Database::Sqlite(_)) = database {
        problems.add(
            "RELINK_DATABASE_URL: the scheduler needs postgres://; `relink standalone` has its own",
        );
    }
    let choices = problems.choices(&args.policy, args.link);
    let retention = problems.retention(&args.retention);
    let admin = problems.admin(&args.admin);
    problems.done()?;
    let (Some(amqp), Some(database), Some(choices), Some(retention), Some(admin)) =
        (amqp, database, choices, retention, admin)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let stop = shutdown::on_signal()?;
    let registry = wiring::registry("scheduler")?;
    let publisher = Arc::new(RabbitPublisher::new(amqp.clone()));
    let mut readiness = Readiness::default();
    let watched = Arc::clone(&publisher);
    readiness.needs("broker", move || watched.is_ready());
    let database_state = Availability::default();
    let watched = database_state.clone();
    readiness.needs("database", move || watched.is_available());
    let (work_stop, work_registry) = (stop.clone(), registry.clone());
    let work = async move {
        let stop = work_stop;
        wiring::prepare_broker(&amqp, &stop).await?;
        let store = wiring::open_store(database, &stop).await?;
        let clock = Arc::new(SystemClock);
        let publisher = publisher as Arc<dyn Publisher>;
        let engine =
            wiring::engine(store, publisher, choices, clock, database_state, &work_registry)?;
        let relay = engine.outbox.clone().relay(stop.clone());
        let (tick, retention_days) = (retention.tick, retention.days);
        tracing::info!(broker = amqp.broker(), "scheduler");
        tokio::join!(relay, Scheduler { engine, tick, retention_days }.run(stop));
        Ok(())
    };
    super::run(admin, registry, readiness, stop, work).await
}
