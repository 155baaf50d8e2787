//! Timers, relay, retention, and what is compared with Stripe unasked.

use std::sync::Arc;

use relink_bus::port::Publisher;
use relink_engine::clock::SystemClock;
use relink_engine::engine::Availability;
use relink_engine::scheduler::Scheduler;
use relink_rabbitmq::RabbitPublisher;

use crate::background::Background;
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
    let policy = problems.policy(&args.policy);
    let retention = problems.retention(&args.retention);
    let stripe = problems.stripe(args.stripe);
    let background = problems.background(&args.background);
    let admin = problems.admin(&args.admin);
    problems.done()?;
    let (Some(amqp), Some(database), Some(policy), Some(retention), Some(admin)) =
        (amqp, database, policy, retention, admin)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let (Some(stripe), Some(background)) = (stripe, background) else {
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
        let background = Background::new(stripe, background, &store, &publisher, &work_registry)?
            .run(stop.clone());
        let engine =
            wiring::engine(store, publisher, policy, clock, database_state, &work_registry)?;
        let relay = engine.outbox.clone().relay(stop.clone());
        let (tick, retention_days) = (retention.tick, retention.days);
        tracing::info!(broker = amqp.broker(), "scheduler");
        let scheduler = Scheduler { engine, tick, retention_days }.run(stop);
        tokio::join!(relay, scheduler, background);
        Ok(())
    };
    super::run(admin, registry, readiness, stop, work).await
}
