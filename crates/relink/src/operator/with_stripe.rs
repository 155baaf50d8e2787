//! What operator commands share that ask Stripe and publish what they learn.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use relink_bus::port::Publisher;
use relink_engine::clock::SystemClock;
use relink_rabbitmq::{RabbitConfig, RabbitPublisher};
use relink_stripe::client::{Budget, Client};
use relink_worker_followup::Observer;
use tokio_util::sync::CancellationToken;

use super::CONNECTING_BROKER;
use crate::cli::{AmqpArgs, StripeArgs};
use crate::failure::Failure;
use crate::output::print;
use crate::progress::{Progress, beside, stderr};
use crate::settings::{Database, Problems, Stripe};
use crate::wiring;

/// How long the broker may take to be there.
const CONNECT: Duration = Duration::from_secs(15);
/// How often it is asked.
const STEP: Duration = Duration::from_millis(50);

/// Stripe's settings; without a key these commands can do nothing.
pub(super) fn stripe(problems: &mut Problems, args: StripeArgs) -> Option<Stripe> {
    let stripe = problems.stripe(args)?;
    if stripe.client.is_none() {
        problems.add("RELINK_STRIPE_API_KEY is not set; this command asks Stripe");
    }
    Some(stripe)
}

/// The broker's settings, where something is to be published.
pub(super) fn broker(problems: &mut Problems, args: AmqpArgs, write: bool) -> Option<RabbitConfig> {
    write.then(|| problems.amqp(args)).flatten()
}

/// A SQLite file belongs to the process of `relink standalone`, and so does its bus.
pub(super) fn refuse_sqlite(
    problems: &mut Problems,
    database: Option<&Database>,
    write: bool,
    setting: &str,
) {
    if let (true, Some(Database::Sqlite(_))) = (write, database) {
        problems.add(format!(
            "RELINK_DATABASE_URL: with a SQLite file nothing is published from outside; `relink \
             standalone` does this by itself, see {setting}"
        ));
    }
}

/// The client and its budget.
pub(super) fn client(stripe: Stripe) -> Result<(Client, Arc<Budget>), Failure> {
    let config = stripe.client.ok_or_else(|| Failure::software("there is no key"))?;
    let client = Client::new(config).map_err(Failure::unavailable)?;
    Ok((client, Arc::new(Budget::new(stripe.reads_per_second))))
}

/// A publisher that is connected, to a broker with everything in place.
pub(super) async fn publisher(
    amqp: RabbitConfig,
    progress: &Progress,
) -> Result<Arc<dyn Publisher>, Failure> {
    progress.now(CONNECTING_BROKER);
    let connect = async {
        wiring::prepare_broker(&amqp, &CancellationToken::new()).await?;
        let publisher = RabbitPublisher::new(amqp);
        while !publisher.is_ready() {
            tokio::time::sleep(STEP).await;
        }
        Ok(Arc::new(publisher) as Arc<dyn Publisher>)
    };
    let connect = async {
        tokio::time::timeout(CONNECT, connect).await.unwrap_or_else(|_| {
            Err(Failure::unavailable("the broker of RELINK_AMQP_URL does not answer"))
        })
    };
    progress.during_or(connect, || Failure::interrupted("nothing was published")).await
}

/// Reads and publishes.
pub(super) fn observer(
    client: Client,
    budget: Arc<Budget>,
    publisher: Arc<dyn Publisher>,
) -> Result<Observer, Failure> {
    let reads =
        relink_worker_followup::Reads::unasked(&Registry::new()).map_err(Failure::software)?;
    let (wall, held_until) = (Arc::new(SystemClock), None);
    Ok(Observer { client, budget, publisher, wall, reads, waiting, held_until })
}

/// Says on standard error that something is tried again: nothing else tells for up to 21 seconds.
pub(super) fn waiting(error: &dyn std::fmt::Display, pause: Duration) {
    // In one piece: between two the progress would be drawn.
    let line = format!("relink: {error}; tried again in {} s\n", pause.as_secs());
    let _ = stderr().write_all(line.as_bytes());
}

/// Whoever must have a publisher and has nothing to publish.
pub(super) struct Nowhere;

#[async_trait::async_trait]
impl Publisher for Nowhere {
    async fn publish(
        &self,
        _: relink_bus::message::Message,
    ) -> Result<(), relink_bus::port::PublishError> {
        Err(relink_bus::port::PublishError::Away)
    }

    fn is_ready(&self) -> bool {
        false
    }
}

/// One line on standard output; a reader that has seen enough is no failure.
pub(super) fn say(text: impl std::fmt::Display) -> Result<(), Failure> {
    beside(&std::io::stdout(), || print(&text.to_string()))
}
