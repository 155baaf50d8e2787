//! Webhooks in: how many are answered 200 because the broker has them.

use std::net::SocketAddr;

use lapin::Channel;
use relink_bus::topology::{LIFECYCLE_KEYS, UPCOMING_KEYS};
use relink_tests::place::Place;
use relink_tests::process::free_address;
use relink_tests::stage::Stage;

use super::{Plan, QUEUES, Watch, bare_settings, listening};
use crate::drive::{Pace, drive, requests};
use crate::limit::{Bare, EVENTS, bind, channel, exchange, purge, queue, waiting};
use crate::peer::peer;
use crate::report::{RELINK, Report, Sample};
use crate::traffic::{Slice, Supply};

/// Where the bare program publishes that does as the contract says.
pub(super) const TOPIC: &str = "bench.topic";

/// Requests that are made for one turn; far more than can be answered.
const ENOUGH: usize = 60_000;

pub(super) async fn run(stage: &Stage, plan: &Plan, report: &Report) {
    let place = stage.place("ingress").await;
    place.migrate().await;
    let slice = Supply::new(plan.authorizations).slice(ENOUGH * plan.seconds / 2);
    let (_connection, broker) = channel(&place.amqp_url).await;
    for _ in 0..plan.rounds {
        for connections in [64, 256] {
            let conditions = format!("{connections} connections");
            let turn = Turn { plan, slice: &slice, connections };
            let ingress = place.start("ingress", &["ingress"], &[]).await;
            let (sample, accepted) = turn.take(ingress.listen, ingress.process.id()).await;
            let mut stored = 0;
            for queue in QUEUES {
                stored += waiting(&broker, queue).await;
                purge(&broker, queue).await;
            }
            assert_eq!(stored, accepted, "accepted and not in the queues, or the reverse");
            ingress.process.stop().await;
            report.add("ingress", &conditions, RELINK, sample);

            let settings = bare_settings(&place, free_address(), 0);
            let sample = turn.other(&place, Bare::start("ingress", &settings), &settings).await;
            report.add("ingress", &conditions, "bare", sample);
            let mut settings = bare_settings(&place, free_address(), 0);
            settings.push(("BENCH_EXCHANGE", TOPIC.to_owned()));
            let sample = turn.other(&place, Bare::start("ingress", &settings), &settings).await;
            report.add("ingress", &conditions, "bare, by contract", sample);
            if plan.peers {
                let settings = bare_settings(&place, free_address(), 0);
                let node = peer("ingress.mjs", &settings);
                let sample = turn.other(&place, node, &settings).await;
                report.add("ingress", &conditions, "node", sample);
            }
        }
    }
}

/// An exchange as the contract has it, with the queue bound to all keys of webhooks.
pub(super) async fn topic(broker: &Channel) {
    exchange(broker, TOPIC).await;
    for key in LIFECYCLE_KEYS.into_iter().chain(UPCOMING_KEYS) {
        bind(broker, EVENTS, TOPIC, key).await;
    }
}

struct Turn<'a> {
    plan: &'a Plan,
    slice: &'a Slice,
    connections: usize,
}

impl Turn<'_> {
    async fn take(&self, address: SocketAddr, process: u32) -> (Sample, usize) {
        let requests = requests(self.slice.events.iter().map(|event| &event.body));
        let watch = Watch::begin(vec![process]);
        let driven =
            drive(address, &requests, self.connections, Pace::Closed, self.plan.time()).await;
        let sample = watch.driven(&driven);
        assert_eq!(driven.refused, 0, "webhooks were refused");
        assert!(driven.answered.len() < requests.len(), "there were too few requests");
        (sample, driven.answered.len())
    }

    async fn other(&self, place: &Place, mut program: Bare, settings: &[(&str, String)]) -> Sample {
        let (connection, broker) = channel(&place.amqp_url).await;
        queue(&broker, EVENTS).await;
        topic(&broker).await;
        assert_eq!(program.line().await, "ready");
        let address: SocketAddr =
            settings.iter().find(|(name, _)| *name == "BENCH_LISTEN").unwrap().1.parse().unwrap();
        listening(address).await;
        let (sample, accepted) = self.take(address, program.id()).await;
        assert_eq!(waiting(&broker, EVENTS).await, accepted, "lost by the other program");
        program.stop().await;
        connection.close(200, "".into()).await.unwrap();
        sample
    }
}
