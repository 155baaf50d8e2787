//! From the webhook that is sent to the command in the hands of a platform's consumer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use relink_tests::place::Place;
use relink_tests::process::free_address;
use relink_tests::role::Role;
use relink_tests::stage::Stage;
use tokio::sync::Mutex;

use super::{Plan, QUEUES, Watch, bare_settings, bare_tables, check, linked, listening};
use crate::drive::{Driven, Pace, drive, requests};
use crate::limit::{EVENTS, channel, queue, waiting};
use crate::peer::peer;
use crate::plot::Course;
use crate::report::{RELINK, Report, Sample};
use crate::traffic::{Slice, Supply};

const PLATFORM: &str = "platform.commands";

/// Deliveries on their way to the consumer.
const PREFETCH: u16 = 1024;

/// How often the consumer acknowledges, in deliveries.
const ACKNOWLEDGE_EVERY: usize = 64;

/// Webhooks a second, and over how many connections: quiet, busy, and what is asked for.
const RATES: [(usize, usize); 3] = [(200, 32), (4_000, 128), (8_000, 256)];

/// How long it is waited for what should have come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(stage: &Stage, plan: &Plan, report: &Report) {
    let (place, mut supply, links) = linked(stage, plan).await;
    let mut distinct = links.events.len();
    let platform = Platform::listen(&place).await;
    let roles = [
        place.start("ingress", &["ingress"], &[]).await,
        place.start("lifecycle", &["worker", "lifecycle"], &[]).await,
        place.start("upcoming", &["worker", "upcoming"], &[]).await,
    ];
    for _ in 0..plan.rounds {
        for (rate, connections) in RATES {
            let slice = supply.slice(2 * rate * plan.seconds);
            distinct += slice.events.len();
            let turn = Turn { roles: &roles, place: &place, platform: &platform };
            let (sample, behind) = turn.take(&slice, distinct, rate, connections).await;
            report.add("end to end", &format!("{rate}/s"), RELINK, sample);
            report.note(format!(
                "End to end at {rate}/s: settled {:.2} s after the last webhook was answered.",
                behind.as_secs_f64()
            ));
            check(&place, distinct, &slice).await;
        }
    }
    for role in roles {
        role.process.stop().await;
    }
    if plan.peers {
        chain(stage, plan, &links, &mut supply, report).await;
    }
}

/// The chain of hand-written peers: webhooks as fast as its ingress takes them, until its worker
/// has written them all. It sends no commands.
async fn chain(stage: &Stage, plan: &Plan, links: &Slice, supply: &mut Supply, report: &Report) {
    let place = stage.place("node").await;
    bare_tables(&place.database().await, links).await;
    let (_connection, broker) = channel(&place.amqp_url).await;
    for _ in 0..plan.rounds {
        let slice = supply.slice(plan.events / 4);
        queue(&broker, EVENTS).await;
        let listen = free_address();
        let settings = bare_settings(&place, listen, slice.events.len());
        let mut ingress = peer("ingress.mjs", &settings);
        assert_eq!(ingress.line().await, "ready");
        listening(listen).await;
        let mut worker = peer("worker.mjs", &settings);
        let watch = Watch::begin(vec![ingress.id(), worker.id()]);
        let requests = requests(slice.events.iter().map(|event| &event.body));
        let began = Instant::now();
        let driven = drive(listen, &requests, 64, Pace::Closed, Duration::from_secs(3600)).await;
        assert_eq!(driven.answered.len(), slice.events.len(), "not all were taken");
        worker.line().await;
        let rate = slice.events.len() as f64 / began.elapsed().as_secs_f64();
        report.add("end to end", "8000/s", "node", watch.end(rate, vec![]));
        ingress.stop().await;
        worker.stop().await;
    }
}

struct Turn<'a> {
    roles: &'a [Role],
    place: &'a Place,
    platform: &'a Platform,
}

impl Turn<'_> {
    async fn take(
        &self,
        slice: &Slice,
        distinct: usize,
        rate: usize,
        connections: usize,
    ) -> (Sample, Duration) {
        self.platform.forget().await;
        let requests = requests(slice.events.iter().map(|event| &event.body));
        let watch = Watch::begin(self.roles.iter().map(|role| role.process.id()).collect());
        let pace = Pace::Rate(rate as f64);
        let ingress = self.roles[0].listen;
        let driven = drive(ingress, &requests, connections, pace, Duration::from_secs(3600)).await;
        assert_eq!((driven.answered.len(), driven.refused), (slice.events.len(), 0));
        let answered = Instant::now();
        self.settled(distinct).await;
        let behind = answered.elapsed();
        let settled = driven.took + behind;
        let came = self.platform.times(slice, &driven).await;
        let began = driven.sent.iter().flatten().min().unwrap();
        let course = Course::of(*began, came.iter().copied());
        let times = came.into_iter().map(|(_, took)| took).collect();
        let sample = watch.end(slice.events.len() as f64 / settled.as_secs_f64(), times);
        (Sample { course, ..sample }, behind)
    }

    /// Waits until the queues and the outbox are empty and the consumer has got everything. The
    /// ledger is asked as well: a queue does not count what a worker has and has not settled.
    async fn settled(&self, distinct: usize) {
        let (connection, broker) = channel(&self.place.amqp_url).await;
        let database = self.place.database().await;
        let began = Instant::now();
        loop {
            let mut left = 0;
            for queue in QUEUES.iter().chain([&PLATFORM]) {
                left += waiting(&broker, queue).await;
            }
            if left == 0 {
                let sql = "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox)";
                let row = database.query_one(sql, &[]).await.unwrap();
                let [applied, left]: [i64; 2] = std::array::from_fn(|place| row.get(place));
                if applied >= i64::try_from(distinct).unwrap() && left == 0 {
                    break;
                }
            }
            assert!(began.elapsed() < PATIENCE, "{left} messages are left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connection.close(200, "".into()).await.unwrap();
    }
}

/// A platform's consumer: which command came when, by the event that caused it.
struct Platform {
    came: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Platform {
    async fn listen(place: &Place) -> Self {
        let (connection, channel) = channel(&place.amqp_url).await;
        queue(&channel, PLATFORM).await;
        bind(&channel, PLATFORM).await;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(PLATFORM.into(), "".into(), options, arguments).await;
        let came = Arc::new(Mutex::new(HashMap::new()));
        let platform = Self { came: Arc::clone(&came) };
        tokio::spawn(async move {
            consume(consumer.unwrap(), &came).await;
            drop((connection, channel));
        });
        platform
    }

    async fn forget(&self) {
        self.came.lock().await.clear();
    }

    /// When the first command of each webhook came, and how long after the webhook was sent.
    async fn times(&self, slice: &Slice, driven: &Driven) -> Vec<(Instant, Duration)> {
        let came = self.came.lock().await;
        let events = slice.events.iter().zip(&driven.sent);
        let times: Vec<_> = events
            .filter_map(|(event, sent)| {
                came.get(&event.id).map(|came| (*came, came.duration_since(sent.unwrap())))
            })
            .collect();
        assert!(!times.is_empty(), "no command came");
        times
    }
}

async fn consume(mut consumer: Consumer, came: &Mutex<HashMap<String, Instant>>) {
    let mut count = 0;
    while let Some(Ok(delivery)) = consumer.next().await {
        let now = Instant::now();
        // The event that caused it; commands that the time caused have none.
        if let Some(event) = delivery.properties.correlation_id() {
            came.lock().await.entry(event.as_str().to_owned()).or_insert(now);
        }
        count += 1;
        if count % ACKNOWLEDGE_EVERY == 0 || delivery.delivery_tag % 16 == 1 {
            delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
        }
    }
}

/// Binds a queue to all commands.
pub(super) async fn bind(channel: &Channel, queue: &str) {
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let exchange = "relink.commands";
    channel
        .queue_bind(queue.into(), exchange.into(), "#".into(), options, arguments)
        .await
        .unwrap();
}
