//! Who led to whom.

use std::collections::BTreeMap;

use relink_tests::api::Api;
use relink_tests::captured::Captured;
use relink_tests::feed::Feed;
use relink_tests::foreign::{Consumer, Foreign};
use relink_tests::ledger::settled;
use relink_tests::process::{Settings, free_address, run};
use relink_tests::role::Role;
use relink_tests::send::now_unix_s;
use relink_tests::stage::Stage;
use relink_tests::wait::until;
use serde_json::json;

use crate::collector::{Collector, Span, carried};
use crate::webhook;

/// What the sender of webhook number `n` calls its trace and its span.
fn sender(n: usize) -> (String, String) {
    (format!("{:032x}", 0xfeed_0000 + n), format!("{:016x}", 0xface_0000 + n))
}

pub(crate) async fn a_webhook_is_followed_to_its_commands_and_to_what_they_led_to(stage: &Stage) {
    let feed = Feed::new(4318, 6, 40);
    let api = Api::serve(&feed.sim).await;
    let collector = Collector::start(free_address()).await;
    let place = stage.place("traced").await;
    place.migrate().await;
    let told: Settings = vec![
        ("RELINK_OTLP_URL", collector.url()),
        // As in a container: nobody's authorities, and a proxy that leads nowhere near.
        ("SSL_CERT_FILE", "/nonexistent".to_owned()),
        ("SSL_CERT_DIR", "/nonexistent".to_owned()),
        ("HTTP_PROXY", "http://127.0.0.1:9".to_owned()),
    ];
    let settings = [api.settings(), told.clone()].concat();
    let events = Consumer::bind(&place, "relink.events", "#").await;
    let commands = Consumer::bind(&place, "relink.commands", "#").await;
    let ingress = place.start("ingress", &["ingress"], &told).await;
    let worker = place.start("worker", &["worker"], &settings).await;
    let scheduler = place.start("scheduler", &["scheduler"], &settings).await;
    for (n, event) in feed.events.iter().enumerate() {
        let (trace, span) = sender(n);
        webhook(ingress.listen, &event.body, Some(&format!("00-{trace}-{span}-01"))).await;
    }
    let (database, mut foreign) = (place.database().await, Foreign::connect(&place));
    settled(&database, &mut foreign, feed.events.len(), true).await;
    // Whatever waits goes out before they end.
    for role in [ingress, worker, scheduler] {
        assert_eq!(dropped(&role).await, 0.0);
        role.process.stop().await;
    }
    let spans = Spans::of(collector.spans());
    let captured = events.finish().await;
    for (n, event) in feed.events.iter().enumerate() {
        let message = captured.iter().find(|one| one.id.as_deref() == Some(&*event.id)).unwrap();
        let sent = spans.of_message(message, "send relink.events");
        assert_eq!((sent.trace.clone(), sent.parent.clone().unwrap()), sender(n));
        assert_eq!((&*sent.service, sent.kind), ("relink-ingress", 4));
        let processed = spans.children(sent);
        let [processed] = &processed[..] else { panic!("{processed:?}") };
        assert_eq!((&*processed.service, processed.kind), ("relink-worker", 5));
        assert_eq!((&processed.trace, processed.message()), (&sent.trace, &*event.id));
        assert!(processed.attribute("relink.verdict").is_some(), "{processed:?}");
        assert!(sent.started <= processed.started && processed.started <= processed.ended);
    }
    let commands = commands.finish().await;
    for command in &commands {
        commands_follow_from_what_was_processed(&spans, command);
    }
    observations_follow_from_commands(&spans, &captured);
    nothing_of_a_body_is_told(&spans);
}

fn commands_follow_from_what_was_processed(spans: &Spans, command: &Captured) {
    let sent = spans.of_message(command, "send relink.commands");
    assert_eq!(sent.attribute("relink.type"), Some(&*command.routing_key));
    if let Some(parent) = &sent.parent {
        let parent = &spans.by_id[parent];
        assert!(parent.name.starts_with("process relink."), "{parent:?}");
        assert_eq!(parent.trace, sent.trace);
        let verdict = parent.attribute("relink.verdict");
        assert!(verdict.is_some_and(|verdict| verdict != "duplicate"), "{parent:?}");
    } else {
        // What a timer fired follows from no message.
        assert_eq!(sent.service, "relink-scheduler", "{sent:?}");
    }
}

/// What was read for a command comes back as an event of the same trace.
fn observations_follow_from_commands(spans: &Spans, events: &[Captured]) {
    let carried_out: Vec<&Span> =
        spans.by_id.values().filter(|span| span.name == "process relink.followup").collect();
    assert!(!carried_out.is_empty(), "the feed asks for reads");
    for span in &carried_out {
        let sent = &spans.by_id[span.parent.as_ref().unwrap()];
        assert_eq!((&*sent.name, sent.message()), ("send relink.commands", span.message()));
    }
    let observed: Vec<&Captured> =
        events.iter().filter(|one| one.routing_key.starts_with("relink.observed.")).collect();
    assert!(!observed.is_empty());
    for message in observed {
        let sent = spans.of_message(message, "send relink.events");
        let parent = &spans.by_id[sent.parent.as_ref().unwrap()];
        assert_eq!(parent.name, "process relink.followup");
        assert_eq!(spans.children(sent).len(), 1);
    }
}

fn nothing_of_a_body_is_told(spans: &Spans) {
    let known = [
        "error.type",
        "messaging.destination.name",
        "messaging.message.body.size",
        "messaging.message.conversation_id",
        "messaging.message.id",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.rabbitmq.destination.routing_key",
        "messaging.system",
        "relink.attempts",
        "relink.redelivered",
        "relink.requeues",
        "relink.type",
        "relink.verdict",
    ];
    for span in spans.by_id.values() {
        let unknown: Vec<_> =
            span.attributes.keys().filter(|key| !known.contains(&key.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

pub(crate) async fn what_a_person_puts_back_is_linked_to_the_trace_it_had(stage: &Stage) {
    let collector = Collector::start(free_address()).await;
    let place = stage.place("replayed").await;
    place.migrate().await;
    let told: Settings = vec![("RELINK_OTLP_URL", collector.url())];
    let ingress = place.start("ingress", &["ingress"], &told).await;
    let worker = place.start("worker", &["worker", "lifecycle"], &told).await;
    // It passes for an event at the door and for none at the desk.
    let hopeless = json!({
        "id": "evt_1", "object": "event", "api_version": "2026-09-30.preview", "livemode": true,
        "created": now_unix_s(), "type": "financial_connections.account.created",
        "data": { "object": null },
    });
    let (trace, span) = sender(1);
    let body = hopeless.to_string().into_bytes();
    webhook(ingress.listen, &body, Some(&format!("00-{trace}-{span}-01"))).await;
    let first = collector.named("process relink.lifecycle", 1).await.remove(0);
    let sent = collector.named("send relink.events", 1).await.remove(0);
    assert_eq!((&first.trace, first.parent.as_ref()), (&trace, Some(&sent.id)));
    assert_eq!((first.attribute("error.type"), first.failed), (Some("impossible"), true));
    assert_eq!(first.links, []);

    let put_back = ["parked", "requeue", "evt_1", "--write"];
    until(async || {
        let output = run(&put_back, &place.settings(&[])).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    })
    .await;
    let both = collector.named("process relink.lifecycle", 2).await;
    let again = both.iter().find(|span| span.id != first.id).unwrap();
    assert_eq!((&again.parent, again.message()), (&None, "evt_1"));
    assert_eq!(again.links, [(trace.clone(), sent.id)]);
    assert_ne!(again.trace, trace);
    assert_eq!(again.attribute("relink.requeues"), Some("1"));
    for role in [ingress, worker] {
        role.process.stop().await;
    }
}

async fn dropped(role: &Role) -> f64 {
    role.metric("relink_trace_spans_total{result=\"dropped\"}").await
}

struct Spans {
    by_id: BTreeMap<String, Span>,
}

impl Spans {
    fn of(spans: Vec<Span>) -> Self {
        let count = spans.len();
        let by_id: BTreeMap<String, Span> =
            spans.into_iter().map(|span| (span.id.clone(), span)).collect();
        assert_eq!(by_id.len(), count, "every span has an id of its own and is told once");
        Self { by_id }
    }

    /// The span whose context a message carries.
    fn of_message(&self, message: &Captured, name: &str) -> &Span {
        let (trace, id, is_sampled) = carried(&message.properties);
        let span = self.by_id.get(&id).unwrap_or_else(|| panic!("{id} of {message:?}"));
        assert!(is_sampled);
        assert_eq!((&*span.name, &span.trace), (name, &trace));
        assert_eq!(Some(span.message()), message.id.as_deref());
        span
    }

    fn children(&self, parent: &Span) -> Vec<&Span> {
        let of_it = |span: &&Span| span.parent.as_ref() == Some(&parent.id);
        self.by_id.values().filter(of_it).collect()
    }
}
