//! What the scheduler does of its own accord: catch up with events that did not come, compare
//! with Stripe what nothing was heard of.

use std::sync::Arc;

use prometheus::Registry;
use relink_bus::parked::ParkedMessages;
use relink_bus::port::Publisher;
use relink_engine::claim::Claim;
use relink_engine::clock::SystemClock;
use relink_engine::store::Store;
use relink_stripe::client::Budget;
use relink_worker_followup::catch_up::{self, CatchUp};
use relink_worker_followup::reconcile::Reconcile;
use relink_worker_followup::{Observer, quietly};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::settings;
use crate::wiring::StripeApi;

/// The name of the claim to it.
const WORK: &str = "background";

/// Both, ready to run; nothing without an API key.
#[derive(Clone)]
pub(crate) struct Background {
    catch_up: Option<CatchUp>,
    reconcile: Option<Reconcile>,
    settings: settings::Background,
}

impl Background {
    pub(crate) fn new(
        stripe: &StripeApi,
        settings: settings::Background,
        store: &Arc<dyn Store>,
        lot: &Arc<dyn ParkedMessages>,
        publisher: &Arc<dyn Publisher>,
        registry: &Registry,
    ) -> Result<Self, Failure> {
        let Some(client) = stripe.client.clone() else {
            return Ok(Self { catch_up: None, reconcile: None, settings });
        };
        let rate = settings.reads_per_second.min(stripe.reads_per_second);
        let budget = Arc::new(Budget::new(rate));
        let catch_up = CatchUp {
            client: client.clone(),
            budget: Arc::clone(&budget),
            store: Arc::clone(store),
            lot: Some(Arc::clone(lot)),
            publisher: Some(Arc::clone(publisher)),
            wall: Arc::new(SystemClock),
            waiting: quietly,
            events: catch_up::register(registry).map_err(Failure::software)?,
        };
        let observer = Observer {
            client,
            budget,
            publisher: Arc::clone(publisher),
            wall: Arc::new(SystemClock),
            reads: relink_worker_followup::Reads::unasked(registry).map_err(Failure::software)?,
            waiting: quietly,
            held_until: None,
        };
        let reconcile = Reconcile { observer, store: Arc::clone(store) };
        Ok(Self { catch_up: Some(catch_up), reconcile: Some(reconcile), settings })
    }

    /// Runs until told to stop, in one process at a time: what each of several read would use up
    /// Stripe's limit for nothing.
    pub(crate) async fn run_alone(self, store: &Arc<dyn Store>, stop: CancellationToken) {
        let claim = Claim {
            store: Arc::clone(store),
            work: WORK,
            claimant: format!("{:032x}", rand::random::<u128>()).into(),
            wall: Arc::new(SystemClock),
        };
        claim.hold(stop, |held| self.clone().run(held)).await;
    }

    /// Runs until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let catching_up = async {
            if let (Some(catch_up), Some(silence)) = (self.catch_up, self.settings.silence) {
                catch_up.keep_up(silence, stop.clone()).await;
            }
        };
        let reconciling = async {
            if let (Some(reconcile), Some(age)) = (self.reconcile, self.settings.age) {
                reconcile.keep_on(age, stop.clone()).await;
            }
        };
        tokio::join!(catching_up, reconciling);
    }
}
