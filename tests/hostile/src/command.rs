//! Commands as the followup worker takes them, and Stripe's answers to what it then asks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use prometheus::Registry;
use relink_bus::message::{Delivery, Headers, Receipt};
use relink_bus::port::{Settlement, SubscribeError, Subscriber};
use relink_stripe::client::Budget;
use relink_worker_followup::{Duties, Followup, Metrics, Observer, quietly};
use tokio_util::sync::CancellationToken;

use crate::event::delivery;
use crate::seed::COMMANDS;
use crate::source::Source;
use crate::stand::{API_KEY, Kept, Steps, client};

/// Each command is settled once, and what is published of Stripe's answers a worker can read.
pub(crate) fn run(source: &mut Source<'_>) {
    let subscriber = Arc::new(Once::of(source));
    let publisher = Arc::new(Kept::default());
    let engine = relink_engine::metrics::Metrics::register(&Registry::new()).unwrap();
    let counted = engine.queue("relink.followup").clone();
    let metrics = Metrics::register(&Registry::new(), counted).unwrap();
    let observer = Observer {
        client: client(source),
        budget: Arc::new(Budget::new(1_000.0)),
        publisher: publisher.clone(),
        wall: Arc::new(Steps::default()),
        reads: metrics.reads.clone(),
        waiting: quietly,
        held_until: None,
    };
    let observer = Some(observer);
    let followup =
        Followup { subscriber: subscriber.clone(), observer, duties: Duties::ALL, metrics };
    // Time is nobody's: who waits for a turn or a retry has waited at once.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(followup.run(CancellationToken::new())).unwrap();

    let settled = subscriber.settled.lock().unwrap();
    assert_eq!(settled.len(), 1, "a panic settles nothing: {settled:?}");
    for message in publisher.0.lock().unwrap().iter() {
        let read = relink_worker_lifecycle::decode(&delivery(message));
        assert!(read.is_ok(), "published and not to be read: {read:?}: {message:?}");
        let text = String::from_utf8_lossy(&message.body);
        assert!(!text.contains(API_KEY), "{text}");
    }
}

/// A queue with one message.
struct Once {
    delivery: Mutex<Option<Delivery>>,
    settled: Mutex<Vec<Settlement>>,
}

impl Once {
    fn of(source: &mut Source<'_>) -> Self {
        let mut document = source.pick(&COMMANDS.documents).clone();
        let kind = document["type"].as_str().unwrap_or_default().to_owned();
        let places = source.below(4);
        source.alter(&mut document, &COMMANDS.names, places);
        let mut body = document.to_string().into_bytes();
        if source.one_in(4) {
            source.damage(&mut body);
        }
        let kind = if source.one_in(8) { source.text() } else { kind };
        let delivery = Delivery {
            receipt: Receipt { generation: 1, tag: 1 },
            id: source.one_in(2).then(|| "cmd_1".into()),
            kind: Some(kind.as_str().into()),
            routing_key: kind.into(),
            timestamp_unix_s: None,
            correlation: None,
            headers: Headers::default(),
            redelivered: false,
            body: body.into(),
        };
        Self { delivery: Mutex::new(Some(delivery)), settled: Mutex::default() }
    }
}

#[async_trait]
impl Subscriber for Once {
    async fn next_batch(
        &self,
        _max: usize,
        _linger: Duration,
    ) -> Result<Vec<Delivery>, SubscribeError> {
        let taken = self.delivery.lock().unwrap().take();
        taken.map(|one| vec![one]).ok_or(SubscribeError::Closed)
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) {
        self.settled.lock().unwrap().extend(settlements.into_iter().map(|(_, how)| how));
    }

    async fn pause(&self) {}

    async fn close(&self) {}

    fn is_ready(&self) -> bool {
        true
    }
}
