//! Without a broker: one process, SQLite, 2xx after the commit. And how soon processes are ready.

use std::time::Instant;

use relink_tests::http::get;
use relink_tests::process::free_address;
use relink_tests::role::{WEBHOOK_SECRET, start as start_role};
use relink_tests::stage::Stage;

use super::{Plan, Watch, bare_settings, listening};
use crate::drive::{Pace, drive, requests};
use crate::peer::peer;
use crate::report::{RELINK, Report, Sample};
use crate::traffic::Supply;

const CONNECTIONS: usize = 64;

pub(super) async fn run(stage: &Stage, plan: &Plan, report: &Report) {
    let mut supply = Supply::new(plan.authorizations);
    let slice = supply.slice(30_000 * plan.seconds);
    for round in 0..plan.rounds {
        let folder = stage.folder().join(format!("round-{round}"));
        std::fs::create_dir(&folder).unwrap();
        let requests = requests(slice.events.iter().map(|event| &event.body));
        let settings = vec![
            ("RELINK_DATABASE_URL", format!("sqlite://{}/relink.db", folder.display())),
            ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ];
        let role = start_role(&folder, "standalone", &["standalone"], settings).await;
        let watch = Watch::begin(vec![role.process.id()]);
        let driven = drive(role.listen, &requests, CONNECTIONS, Pace::Closed, plan.time()).await;
        assert_eq!(driven.refused, 0, "webhooks were refused");
        report.add("embedded", "64 connections", RELINK, watch.driven(&driven));
        role.process.stop().await;

        if plan.peers {
            let place = stage.place("node").await;
            place.database().await.batch_execute(crate::limit::SCHEMA).await.unwrap();
            let settings = bare_settings(&place, free_address(), 0);
            let mut node = peer("upsert.mjs", &settings);
            assert_eq!(node.line().await, "ready");
            let address = settings[2].1.parse().unwrap();
            listening(address).await;
            let watch = Watch::begin(vec![node.id()]);
            let driven = drive(address, &requests, CONNECTIONS, Pace::Closed, plan.time()).await;
            let sample = watch.driven(&driven);
            report.add("embedded", "64 connections", "node", sample);
            node.stop().await;
        }
    }
}

/// From the start of a process until it says that it is ready.
pub(super) async fn start(stage: &Stage, plan: &Plan, report: &Report) {
    let place = stage.place("relink").await;
    place.migrate().await;
    for _ in 0..plan.rounds {
        for (name, arguments) in
            [("ingress", &["ingress"][..]), ("worker", &["worker", "lifecycle"][..])]
        {
            let began = Instant::now();
            let role = place.launch(name, arguments, &[]);
            while !get(role.admin, "/readyz").await.is_ok_and(|answer| answer.status == 200) {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            let took = began.elapsed();
            let rate = 1.0 / took.as_secs_f64();
            report.add(
                "start",
                name,
                RELINK,
                Sample { rate, times: vec![took], ..Default::default() },
            );
            role.process.stop().await;
        }
    }
}
