//! Timers, relay, retention, and what is compared with Stripe unasked.

use std::sync::Arc;

use relink_bus::parked::ParkedMessages;
use relink_engine::balance::Bookkeeper;
use relink_engine::clock::SystemClock;
use relink_engine::metrics::Figures;
use relink_engine::outbox::SWEEP;
use relink_engine::scheduler::Scheduler;
use relink_rabbitmq::RabbitParked;

use super::footing::Footing;
use crate::background::Background;
use crate::cli::SchedulerArgs;
use crate::failure::Failure;
use crate::settings::{Databases, Problems};
use crate::telemetry::start_logging;
use crate::wiring::StripeApi;

pub(crate) async fn run(args: SchedulerArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let amqp = problems.amqp(args.amqp);
    let database = problems.database(args.database, Databases::PostgresOnly);
    let choices = problems.choices(&args.policy, args.link);
    let retention = problems.retention(&args.retention);
    let background = problems.background(&args.background, &args.stripe.stripe_api_base);
    let stripe = problems.stripe(args.stripe);
    let collector = problems.traces(args.traces);
    let admin = problems.admin(&args.admin);
    problems.done()?;
    let (Some(amqp), Some(database), Some(choices), Some(retention), Some(admin)) =
        (amqp, database, choices, retention, admin)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let (Some(stripe), Some(background), Some(collector)) = (stripe, background, collector) else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let (footing, tracing) = Footing::new("scheduler", &amqp, Vec::new())?.told(collector)?;
    let (registry, stop) = (footing.registry.clone(), footing.stop.clone());
    let readiness = footing.readiness();
    let undone = "events that are not delivered stay unnoticed";
    let stripe = StripeApi::open(stripe, undone)?;
    let work = async move {
        let engine = footing.engine(&amqp, database, choices).await?;
        let (store, publisher) = (&engine.store, &footing.publisher);
        let lot: Arc<dyn ParkedMessages> = Arc::new(RabbitParked::new(amqp.clone()));
        let registry = &footing.registry;
        let background = Background::new(&stripe, background, store, &lot, publisher, registry)?;
        let store = Arc::clone(store);
        let background = background.run_alone(&store, footing.stop.clone());
        let wall = Arc::new(SystemClock);
        let bookkeeper = Bookkeeper::new(Arc::clone(&store), lot, wall, registry)
            .map_err(Failure::software)?
            .run(footing.stop.clone());
        let relay = engine.outbox.clone().relay(SWEEP, footing.stop.clone());
        let (tick, retention_days) = (retention.tick, retention.days);
        tracing::info!(broker = amqp.broker(), "scheduler");
        let figures = Figures::register(registry).map_err(Failure::software)?;
        let scheduler = Scheduler { engine, figures, tick, retention_days }.run(footing.stop);
        tokio::join!(relay, scheduler, background, bookkeeper);
        Ok(())
    };
    super::run(admin, registry, readiness, tracing, stop, work).await
}
