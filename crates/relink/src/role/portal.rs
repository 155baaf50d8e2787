//! The relink page: links in, sessions at Stripe, observations out.

use std::sync::Arc;

use prometheus::Registry;
use relink_bus::parked::ParkedMessages;
use relink_bus::port::Publisher;
use relink_core::policy::Policy;
use relink_engine::clock::{Clock, SystemClock};
use relink_engine::link::Links;
use relink_engine::parked::Desk;
use relink_engine::store::Store;
use relink_ingress::{Listener, ServeLimits, serve};
use relink_portal::{Portal, PortalConfig, PortalParts};
use relink_rabbitmq::RabbitParked;
use tokio_util::sync::CancellationToken;

use super::footing::Footing;
use crate::certificate;
use crate::cli::PortalRoleArgs;
use crate::failure::Failure;
use crate::settings::{Databases, Problems};
use crate::telemetry::{bind, start_logging};
use crate::wiring::{self, StripeApi};

/// Connections of customers, most of them idle between two clicks.
const CONNECTIONS_MAX: usize = 1024;

pub(crate) async fn run(args: PortalRoleArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let amqp = problems.amqp(args.amqp);
    let database = problems.database(args.database, Databases::PostgresOnly);
    let stripe = problems.stripe(args.stripe);
    let links = problems.links(args.link);
    if let Some(None) = links {
        problems.add("RELINK_PORTAL_URL is not set; write the address at which customers reach it");
    }
    let page = problems.page(args.page, stripe.as_ref());
    let certificate = problems.certificate(args.tls);
    let collector = problems.traces(args.traces);
    let admin = problems.admin(&args.admin);
    problems.done()?;
    let (Some(amqp), Some(database), Some(stripe), Some(Some(links)), Some(page)) =
        (amqp, database, stripe, links, page)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let (Some(collector), Some(admin)) = (collector, admin) else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let (footing, tracing) = Footing::new("portal", &amqp, Vec::new())?.told(collector)?;
    let (registry, stop) = (footing.registry.clone(), footing.stop.clone());
    let listener = bind("RELINK_PORTAL_LISTEN", page.listen).await?;
    let certificate = certificate::keep_fresh(certificate.flatten(), &registry, stop.clone())?;
    let (broker, https) = (amqp.broker(), certificate.is_some());
    tracing::info!(listen = %page.listen, https, broker, "portal");
    let listener = Listener::new(listener, certificate);
    // The page itself says when the database is away later on.
    let readiness = footing.readiness();
    let stripe = StripeApi::open(stripe, "no session can be made")?;
    let work = async move {
        let store = footing.store(&amqp, database).await?;
        let setup = Setup { listener, config: page.config(&links), links };
        let clock = Arc::new(SystemClock);
        let lot = Arc::new(RabbitParked::new(amqp));
        let portal =
            setup.build(store, lot, footing.publisher, &stripe, clock, &footing.registry)?;
        portal.run(footing.stop).await;
        Ok(())
    };
    super::run(admin, registry, readiness, tracing, stop, work).await
}

/// A relink page that is not built yet.
pub(super) struct Setup {
    pub(super) listener: Listener,
    pub(super) config: PortalConfig,
    pub(super) links: Links,
}

impl Setup {
    pub(super) fn build(
        self,
        store: Arc<dyn Store>,
        lot: Arc<dyn ParkedMessages>,
        publisher: Arc<dyn Publisher>,
        stripe: &StripeApi,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Page, Failure> {
        let desk = Desk {
            lot,
            store: Some(Arc::clone(&store)),
            decode: wiring::decode,
            clock: Arc::new(SystemClock),
        };
        let parts = PortalParts {
            store,
            desk,
            publisher,
            reads_per_second: stripe.reads_per_second,
            client: stripe.client.clone(),
            signer: self.links.signer().clone(),
            clock,
            wall: Arc::new(SystemClock),
            // Cases are opened elsewhere; here the policy only tells which accounts one is about.
            policy: Arc::new(Policy::default()),
        };
        let portal = Portal::new(self.config, parts, registry).map_err(Failure::software)?;
        Ok(Page { listener: self.listener, portal })
    }
}

/// A relink page and where it listens.
pub(super) struct Page {
    listener: Listener,
    portal: Portal,
}

impl Page {
    /// Serves until told to stop; what is in hand is finished first.
    pub(super) async fn run(self, stop: CancellationToken) {
        let limits = ServeLimits { connections_max: CONNECTIONS_MAX, ..ServeLimits::default() };
        serve(self.listener, self.portal.router(), limits, stop.cancelled()).await;
    }
}
