//! Webhooks in, confirmed messages out.

use std::sync::Arc;

use relink_bus::port::Publisher as _;
use relink_ingress::{Ingress, Listener, ServeLimits, serve};
use relink_rabbitmq::RabbitPublisher;

use crate::cli::IngressArgs;
use crate::failure::Failure;
use crate::otlp::Tracing;
use crate::settings::Problems;
use crate::telemetry::{Readiness, bind, start_logging};
use crate::{broker_metrics, certificate, shutdown, wiring};

pub(crate) async fn run(args: IngressArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let (webhook, amqp, admin) =
        (problems.webhook(args.webhook), problems.amqp(args.amqp), problems.admin(&args.admin));
    let certificate = problems.certificate(args.tls);
    let collector = problems.traces(args.traces);
    problems.done()?;
    let (Some(webhook), Some(amqp), Some(admin), Some(certificate), Some(collector)) =
        (webhook, amqp, admin, certificate, collector)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let stop = shutdown::on_signal()?;
    let registry = wiring::registry("ingress")?;
    let publisher = Arc::new(RabbitPublisher::new(amqp.clone()));
    broker_metrics::register(&registry, publisher.connections().collect())?;
    let tracing = Tracing::start(collector, "ingress", &registry)?;
    let traced = tracing.publisher(Arc::clone(&publisher) as _);
    let ingress = Ingress::new(webhook.config, traced, &registry).map_err(Failure::software)?;
    let listener = bind("RELINK_INGRESS_LISTEN", webhook.listen).await?;
    let certificate = certificate::keep_fresh(certificate, &registry, stop.clone())?;
    let (broker, https) = (amqp.broker(), certificate.is_some());
    tracing::info!(listen = %webhook.listen, https, broker, "ingress");
    let listener = Listener::new(listener, certificate);
    let mut readiness = Readiness::default();
    readiness.needs("broker", move || publisher.is_ready());

    let work_stop = stop.clone();
    let work = async move {
        // Listening while the broker is away: a 503 with its reason is better than a refusal.
        let checked = async {
            match wiring::prepare_broker(&amqp, &work_stop).await {
                Err(failure) if !work_stop.is_cancelled() => Err(failure),
                _ => {
                    work_stop.cancelled().await;
                    Ok(())
                }
            }
        };
        let serving =
            serve(listener, ingress.router(), ServeLimits::default(), work_stop.cancelled());
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => Ok(()),
            checked = checked => {
                if checked.is_ok() {
                    serving.await;
                }
                checked
            }
        }
    };
    super::run(admin, registry, readiness, tracing, stop, work).await
}
