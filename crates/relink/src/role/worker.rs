//! Events in, state and commands out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relink_bus::port::{Publisher, SubscribeError, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_engine::clock::SystemClock;
use relink_engine::consume::{Consumer, Order};
use relink_engine::engine::Engine;
use relink_rabbitmq::{RabbitConfig, RabbitSubscriber};
use relink_stripe::client::Budget;
use relink_worker_followup::{Duties, Followup, IN_HAND, Metrics, Observer, quietly};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::footing::Footing;
use crate::cli::WorkerArgs;
use crate::failure::Failure;
use crate::settings::{self, Databases, Problems};
use crate::telemetry::start_logging;
use crate::wiring::{self, StripeApi};

/// The longest that a batch waits for more, on a busy queue: a command may come so much later, and
/// the database has a fifth less to do for each event (`tests/README.md`).
const LINGER_MAX: Duration = Duration::from_millis(20);

/// From how many inputs on a batch is decided in halves: each costs a transaction of its own.
pub(super) const HALVES_FROM: usize = 64;

pub(crate) async fn run(args: WorkerArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let queues = queues(&args.workers, &mut problems);
    let amqp = problems.amqp(args.amqp);
    let database = problems.database(args.database, Databases::PostgresOnly);
    let followup = problems.followup(args.stripe, &args.followup);
    let choices = problems.choices(&args.policy, args.link);
    let prefetch = problems.positive("RELINK_PREFETCH", &args.prefetch);
    let collector = problems.traces(args.traces);
    let admin = problems.admin(&args.admin);
    problems.done()?;
    let (
        Some(mut amqp),
        Some(database),
        Some(followup),
        Some(choices),
        Some(prefetch),
        Some(collector),
        Some(admin),
    ) = (amqp, database, followup, choices, prefetch, collector, admin)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    amqp.prefetch = prefetch;

    let subscribers: Vec<(WorkQueue, Arc<RabbitSubscriber>)> =
        queues.iter().map(|queue| (*queue, Arc::new(subscriber(&amqp, *queue)))).collect();
    let consuming = subscribers.iter().map(|(queue, one)| (queue.name(), one.state().clone()));
    let (footing, tracing) = Footing::new("worker", &amqp, consuming.collect())?.told(collector)?;
    let (registry, stop) = (footing.registry.clone(), footing.stop.clone());
    let mut readiness = footing.readiness();
    for (queue, subscriber) in &subscribers {
        let subscriber = Arc::clone(subscriber);
        readiness.needs(queue.name(), move || subscriber.is_ready());
    }
    let traced = subscribers.into_iter().map(|(queue, one)| {
        let subscriber: Arc<dyn Subscriber> = one;
        (queue, tracing.subscriber(queue, subscriber))
    });
    let traced = traced.collect();
    let is_asked = queues.contains(&WorkQueue::Followup);
    let undone = "accounts whose details are unknown stay unverified";
    let open = |followup: settings::Followup| {
        Ok((StripeApi::open(followup.stripe, undone)?, followup.duties))
    };
    let followup = is_asked.then(|| open(followup)).transpose()?;
    let work = async move {
        let engine = footing.engine(&amqp, database, choices).await?;
        let parts = Parts {
            engine,
            publisher: footing.publisher,
            followup,
            registry: footing.registry,
            order: Order::PublishFirst,
            linger_max: LINGER_MAX,
            halves_from: HALVES_FROM,
            at_once: 1,
        };
        tracing::info!(queues = ?queues, broker = amqp.broker(), "worker");
        run_all(traced, parts, footing.stop).await
    };
    super::run(admin, registry, readiness, tracing, stop, work).await
}

fn queues(names: &[String], problems: &mut Problems) -> BTreeSet<WorkQueue> {
    let mut queues = BTreeSet::new();
    for name in names.iter().flat_map(|name| name.split(',')).filter(|name| !name.is_empty()) {
        match name {
            "lifecycle" => queues.insert(WorkQueue::Lifecycle),
            "upcoming" => queues.insert(WorkQueue::Upcoming),
            "followup" => queues.insert(WorkQueue::Followup),
            other => {
                problems.add(format!(
                    "`{other}` is no worker; there are lifecycle, upcoming and followup"
                ));
                false
            }
        };
    }
    if queues.is_empty() {
        queues.extend(WorkQueue::ALL);
    }
    queues
}

fn subscriber(amqp: &RabbitConfig, queue: WorkQueue) -> RabbitSubscriber {
    let mut amqp = amqp.clone();
    if queue == WorkQueue::Followup {
        // Nothing ahead: what only waits here is charged with each connection that is lost.
        amqp.prefetch = amqp.prefetch.min(IN_HAND);
    }
    RabbitSubscriber::new(amqp, queue)
}

/// What consumers are made of.
pub(super) struct Parts {
    pub(super) engine: Engine,
    pub(super) publisher: Arc<dyn Publisher>,
    /// Wanted where a followup queue is among them.
    pub(super) followup: Option<(StripeApi, Duties)>,
    pub(super) registry: prometheus::Registry,
    pub(super) order: Order,
    /// See [`Consumer::linger_max`].
    pub(super) linger_max: Duration,
    /// See [`Consumer::halves_from`].
    pub(super) halves_from: usize,
    /// See [`Consumer::at_once`].
    pub(super) at_once: usize,
}

/// Runs a consumer per queue until told to stop; the first that cannot go on ends them all.
pub(super) async fn run_all(
    subscribers: Vec<(WorkQueue, Arc<dyn Subscriber>)>,
    mut parts: Parts,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let mut consumers: JoinSet<Result<(), SubscribeError>> = JoinSet::new();
    for (queue, subscriber) in subscribers {
        let stop = stop.clone();
        if let Some(decode) = wiring::decode(queue) {
            let consumer = Consumer {
                queue,
                subscriber,
                decode,
                engine: parts.engine.clone(),
                linger_max: parts.linger_max,
                order: parts.order,
                halves_from: parts.halves_from,
                at_once: parts.at_once,
            };
            consumers.spawn(consumer.run(stop));
        } else if let Some((stripe, duties)) = parts.followup.take() {
            let counted = parts.engine.metrics.queue(queue.name()).clone();
            let metrics = Metrics::register(&parts.registry, counted).map_err(Failure::software)?;
            let budget = Budget::new(stripe.reads_per_second);
            if stripe.client.is_some() {
                metrics.budget.set(budget.rate());
            }
            let observer = stripe.client.map(|client| Observer {
                client,
                budget: Arc::new(budget),
                publisher: Arc::clone(&parts.publisher),
                wall: Arc::new(SystemClock),
                reads: metrics.reads.clone(),
                waiting: quietly,
                held_until: None,
            });
            let followup = Followup { subscriber, observer, duties, metrics };
            consumers.spawn(followup.run(stop));
        }
    }
    let mut result = Ok(());
    while let Some(ended) = consumers.join_next().await {
        let failure = match ended {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => Failure::unavailable(error),
            Err(error) => Failure::software(format!("a consumer panicked: {error}")),
        };
        stop.cancel();
        result = Err(failure);
    }
    result
}
