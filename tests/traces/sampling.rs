//! What is told, and what is only passed on.

use relink_tests::feed::Feed;
use relink_tests::foreign::Consumer;
use relink_tests::process::{Settings, free_address};
use relink_tests::stage::Stage;

use crate::collector::{Collector, carried};
use crate::webhook;

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

pub(crate) async fn who_sends_a_webhook_decides_and_the_ratio_about_the_others(stage: &Stage) {
    let feed = Feed::new(4319, 2, 9);
    let bodies: Vec<_> = feed.events.iter().map(|event| event.body.clone()).collect();
    let given = [Some(SAMPLED), Some(NOT_SAMPLED), None];
    let place = stage.place("sampled").await;
    place.migrate().await;
    let consumer = Consumer::bind(&place, "relink.events", "#").await;
    // Nobody is told; only those who ask for it; all but those who do not want it.
    let mut collectors = Vec::new();
    for (n, ratio) in [None, Some("0"), Some("1")].into_iter().enumerate() {
        let collector = Collector::start(free_address()).await;
        let settings: Settings = match ratio {
            None => vec![],
            Some(ratio) => {
                vec![("RELINK_OTLP_URL", collector.url()), ("RELINK_TRACE_RATIO", ratio.to_owned())]
            }
        };
        let ingress = place.start("ingress", &["ingress"], &settings).await;
        for (body, traceparent) in bodies[n * 3..].iter().zip(given) {
            webhook(ingress.listen, body, traceparent).await;
        }
        ingress.process.stop().await;
        collectors.push(collector);
    }
    let seen = consumer.finish().await;
    assert_eq!(seen.len(), 9);
    let header = |n: usize| seen[n].properties["headers"]["traceparent"].as_str();
    assert_eq!([header(0), header(1), header(2)], given, "without a collector nothing changes");
    assert_eq!(collectors[0].spans().len(), 0);

    assert_eq!((header(4), header(7)), (Some(NOT_SAMPLED), Some(NOT_SAMPLED)));
    for (n, sampled) in [(3, true), (5, false), (6, true), (8, true)] {
        let (trace, span, is_sampled) = carried(&seen[n].properties);
        assert_eq!(is_sampled, sampled, "{n}");
        let told = collectors[n / 3].spans();
        assert_eq!(told.iter().any(|one| one.trace == trace && one.id == span), sampled, "{n}");
        let of_the_sender = trace == SAMPLED.split('-').nth(1).unwrap();
        assert_eq!(of_the_sender, n % 3 == 0, "{n}");
    }
    assert_eq!((collectors[1].spans().len(), collectors[2].spans().len()), (1, 2));
}
