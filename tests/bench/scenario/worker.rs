//! From the queue to the state: a queue that is full, and workers that empty it.

use std::time::Duration;

use futures_util::future::join_all;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use relink_tests::place::Place;
use relink_tests::process::free_address;
use relink_tests::role::Role;
use relink_tests::stage::Stage;

use super::{Plan, Watch, bare_settings, bare_tables, check, fill, linked, rate, settled};
use crate::limit::{Bare, EVENTS, confirming, queue};
use crate::peer::peer;
use crate::plot::Course;
use crate::report::{RELINK, Report, Sample};
use crate::traffic::Slice;

/// Workers without work, and how long they are watched.
const IDLE: (usize, Duration) = (16, Duration::from_secs(10));

/// Publishes under way when a queue is filled.
const WINDOW: usize = 512;

pub(super) async fn run(stage: &Stage, plan: &Plan, report: &Report) {
    let (ours, mut supply, links) = linked(stage, plan).await;
    let (bare, node) = (stage.place("bare").await, stage.place("node").await);
    bare_tables(&bare.database().await, &links).await;
    bare_tables(&node.database().await, &links).await;
    let mut distinct = links.events.len();
    for _ in 0..plan.rounds {
        let slice = supply.slice(plan.events).lifecycle();
        distinct += slice.events.len();
        let sample = drain(&ours, &slice, 1).await;
        check(&ours, distinct, &slice).await;
        report.add("worker", "one", RELINK, sample);
        let settings = bare_settings(&bare, free_address(), slice.bodies().len());
        let sample = other(&bare, &slice, || Bare::start("worker", &settings)).await;
        report.add("worker", "one", "bare", sample);
        if plan.peers {
            let settings = bare_settings(&node, free_address(), slice.bodies().len());
            let sample = other(&node, &slice, || peer("worker.mjs", &settings)).await;
            report.add("worker", "one", "node", sample);
        }
    }
}

/// One, two and four workers; and many that have nothing to do.
pub(super) async fn scale(stage: &Stage, plan: &Plan, report: &Report) {
    let (place, mut supply, links) = linked(stage, plan).await;
    let mut distinct = links.events.len();
    for _ in 0..plan.rounds {
        for workers in [1, 2, 4] {
            let slice = supply.slice(plan.events).lifecycle();
            distinct += slice.events.len();
            let sample = drain(&place, &slice, workers).await;
            if workers == 1 {
                check(&place, distinct, &slice).await;
            }
            report.add("scale", &format!("{workers} workers"), RELINK, sample);
        }
    }
    let mut idle = Vec::new();
    for number in 0..IDLE.0 {
        idle.push(place.start(&format!("idle-{number}"), &["worker", "lifecycle"], &[]).await);
    }
    let watch = Watch::begin(idle.iter().map(|one| one.process.id()).collect());
    tokio::time::sleep(IDLE.1).await;
    report.add("scale", &format!("{} idle workers", IDLE.0), RELINK, watch.end(0.0, vec![]));
}

/// Fills the queue, then starts the workers and waits until all is settled.
pub(super) async fn drain(place: &Place, slice: &Slice, workers: usize) -> Sample {
    let count = slice.bodies().len();
    let ingress = place.start("ingress", &["ingress"], &[]).await;
    fill(&ingress, slice).await;
    ingress.process.stop().await;
    let mut roles: Vec<Role> = Vec::new();
    let launch = |number| place.launch(&format!("worker-{number}"), &["worker", "lifecycle"], &[]);
    roles.extend((0..workers).map(launch));
    for role in &mut roles {
        role.answers().await;
    }
    let watch = Watch::begin(roles.iter().map(|role| role.process.id()).collect());
    let looks = settled(&roles.iter().collect::<Vec<_>>(), count).await;
    let course = Course::of_looks(&looks);
    let sample = Sample { course, ..watch.end(rate(&looks), vec![]) };
    for role in roles {
        role.process.stop().await;
    }
    sample
}

async fn other(place: &Place, slice: &Slice, start: impl Fn() -> Bare) -> Sample {
    let bodies = slice.bodies();
    let (connection, broker) = confirming(&place.amqp_url).await;
    queue(&broker, EVENTS).await;
    for window in bodies.chunks(WINDOW) {
        let publishes = window.iter().map(|body| {
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            broker.basic_publish("".into(), EVENTS.into(), options, body, properties)
        });
        for confirm in join_all(publishes).await {
            confirm.unwrap().await.unwrap();
        }
    }
    let mut program = start();
    let watch = Watch::begin(vec![program.id()]);
    let line = program.line().await;
    let took: f64 = line.strip_prefix("done ").unwrap().parse().unwrap();
    let sample = watch.end(bodies.len() as f64 / took, vec![]);
    program.stop().await;
    connection.close(200, "".into()).await.unwrap();
    let row = place.database().await.query_one("SELECT count(*) FROM inbox", &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) >= i64::try_from(slice.events.len()).unwrap(), "lost by it");
    sample
}
