//! From the webhook that is sent to the command in the hands of a platform's consumer.

mod chain;
mod lap;
mod platform;

use std::time::{Duration, Instant};

use relink_bus::topology::Exchange;
use relink_tests::place::Place;
use relink_tests::role::Role;
use relink_tests::stage::Stage;

use super::{Plan, QUEUES, Watch, bare_tables, check, linked};
use crate::drive::{Pace, drive, requests};
use crate::limit::{bind, channel, queue, waiting};
use crate::plot::Course;
use crate::report::{RELINK, Report, Sample};
use crate::traffic::Slice;
use chain::Chain;
use lap::{CONDITIONS, Lap};
use platform::Platform;

const PLATFORM: &str = "platform.commands";

/// Webhooks a second, and over how many connections: quiet and busy. As much as it takes is a
/// closed loop.
const RATES: [(usize, usize); 2] = [(200, 32), (4_000, 128)];

/// Longer than any turn, which ends when all is sent.
const FOREVER: Duration = Duration::from_secs(3600);

/// How long it is waited for what should have come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(stage: &Stage, plan: &Plan, report: &Report) {
    let (place, mut supply, links) = linked(stage, plan).await;
    let bare = Chain::bare(stage.place("bare").await, &links).await;
    let contract = Chain::by_contract(stage.place("contract").await, &links).await;
    let mut chains = [bare, contract];
    let node = stage.place("node").await;
    bare_tables(&node.database().await, &links).await;
    let mut ours = Ours::start(place, links.events.len()).await;
    for _ in 0..plan.rounds {
        for (rate, connections) in RATES {
            let slice = supply.slice(2 * rate * plan.seconds);
            let (sample, behind) = ours.paced(&slice, rate, connections).await;
            report.add("end to end", &format!("{rate}/s"), RELINK, sample);
            report.note(format!(
                "End to end at {rate}/s: settled {:.2} s after the last webhook was answered.",
                behind.as_secs_f64()
            ));
        }
        let slice = supply.slice(plan.events / 4);
        let (sample, behind) = ours.closed(&slice).await;
        report.add("end to end", CONDITIONS, RELINK, sample);
        report.note(format!(
            "End to end in a closed loop: the last command came {:.2} s after the last webhook was \
             answered.",
            behind.as_secs_f64()
        ));
        for chain in &mut chains {
            report.add("end to end", CONDITIONS, chain.name, chain.turn(&slice).await);
        }
        if plan.peers {
            report.add("end to end", CONDITIONS, "node", chain::node(&node, &slice).await);
        }
    }
    ours.stop().await;
}

/// Relink: three roles, and a platform.
struct Ours {
    place: Place,
    roles: [Role; 3],
    platform: Platform,
    /// Events so far.
    distinct: usize,
}

impl Ours {
    async fn start(place: Place, distinct: usize) -> Self {
        let (connection, broker) = channel(&place.amqp_url).await;
        queue(&broker, PLATFORM).await;
        bind(&broker, PLATFORM, Exchange::Commands.name(), "#").await;
        connection.close(200, "".into()).await.unwrap();
        let platform = Platform::listen(&place.amqp_url, PLATFORM).await;
        let roles = [
            place.start("ingress", &["ingress"], &[]).await,
            place.start("lifecycle", &["worker", "lifecycle"], &[]).await,
            place.start("upcoming", &["worker", "upcoming"], &[]).await,
        ];
        Self { place, roles, platform, distinct }
    }

    /// So many webhooks a second.
    async fn paced(
        &mut self,
        slice: &Slice,
        rate: usize,
        connections: usize,
    ) -> (Sample, Duration) {
        self.distinct += slice.events.len();
        self.platform.forget().await;
        let requests = requests(slice.events.iter().map(|event| &event.body));
        let watch = Watch::begin(self.programs());
        let pace = Pace::Rate(rate as f64);
        let driven = drive(self.roles[0].listen, &requests, connections, pace, FOREVER).await;
        assert_eq!((driven.answered.len(), driven.refused), (slice.events.len(), 0));
        let answered = Instant::now();
        self.settled().await;
        let behind = answered.elapsed();
        let settled = driven.took + behind;
        let came = self.platform.times(slice, &driven).await;
        let began = driven.sent.iter().flatten().min().unwrap();
        let course = Course::of(*began, came.iter().copied());
        let times = came.into_iter().map(|(_, took)| took).collect();
        let sample = watch.end(slice.events.len() as f64 / settled.as_secs_f64(), times);
        check(&self.place, self.distinct, slice).await;
        (Sample { course, ..sample }, behind)
    }

    /// As many webhooks as it takes.
    async fn closed(&mut self, slice: &Slice) -> (Sample, Duration) {
        self.distinct += slice.events.len();
        self.platform.forget().await;
        let lap = Lap::drive(self.roles[0].listen, slice, self.programs()).await;
        // Looking at queues and ledger costs time that the bare chains do not spend: only once it
        // seems that all is done.
        self.platform.rests(1).await;
        self.settled().await;
        let came = self.platform.rests(1).await;
        let behind = lap.behind(*came.last().unwrap());
        let sample = lap.came(&came);
        check(&self.place, self.distinct, slice).await;
        (sample, behind)
    }

    /// Waits until the queues and the outbox are empty and the consumer has got everything. The
    /// ledger is asked as well: a queue does not count what a worker has and has not settled.
    async fn settled(&self) {
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
                if applied >= i64::try_from(self.distinct).unwrap() && left == 0 {
                    break;
                }
            }
            assert!(began.elapsed() < PATIENCE, "{left} messages are left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connection.close(200, "".into()).await.unwrap();
    }

    fn programs(&self) -> Vec<u32> {
        self.roles.iter().map(|role| role.process.id()).collect()
    }

    async fn stop(self) {
        for role in self.roles {
            role.process.stop().await;
        }
    }
}
