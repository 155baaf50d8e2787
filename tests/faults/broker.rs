//! What goes wrong with the broker.

use std::path::Path;

use relink_tests::ledger::settled;
use relink_tests::pair::Pair;
use relink_tests::proxy::{Link, Proxy, server_of};
use relink_tests::stage::Stage;
use relink_tests::wait::until;

use crate::row::{Plan, play};

/// What was refused by the ingress, whatever their reason.
const REJECTED: &str = "relink_ingress_rejected_total";

pub(crate) async fn connections_closed_by_the_broker(stage: &Stage) {
    play(stage, Plan::named("close_all_connections", 501), None, async |row| {
        row.begin().await;
        for percent in [10, 30, 50, 70] {
            row.arrived(percent).await;
            let vhost = row.place.vhost().to_owned();
            let command = ["close_all_connections", "--vhost", &vhost, "a row of the matrix"];
            let place = row.place.clone();
            row.suffer(place.control(&command)).await;
            row.consumes_again().await;
        }
    })
    .await;
}

/// What is in a queue goes with it, so it is deleted when everything sent has been applied; from
/// then on until it is declared again webhooks must be refused.
pub(crate) async fn queue_deleted_under_its_consumers(stage: &Stage) {
    play(stage, Plan::named("queue deleted under its consumers", 502), None, async |row| {
        row.begin().await;
        for percent in [20, 50] {
            row.arrived(percent).await;
            row.load().hold().await;
            let sent = row.load().accepted().len();
            settled(&row.database, &mut row.foreign, sent, true).await;
            row.foreign.delete("relink.lifecycle").await;
            row.load().at(150);
            row.consumes_again().await;
        }
    })
    .await;
}

pub(crate) async fn binding_lost(stage: &Stage) {
    play(stage, Plan::named("binding lost", 503), None, async |row| {
        row.begin().await;
        row.arrived(30).await;
        let key = "financial_connections.account.deactivated";
        row.foreign.unbind(key, "relink.lifecycle").await;
        row.sees("ingress", REJECTED, |refused| refused > 5.0).await;
        row.place.migrate().await;
        row.consumes_again().await;
    })
    .await;
}

pub(crate) async fn broker_restarted(stage: &Stage) {
    let mut pair = Pair::start(stage, &["broker"]).await;
    let servers = pair.servers.clone();
    play(stage, Plan::named("RabbitMQ restarted", 504), Some(&servers), async |row| {
        row.begin().await;
        for (percent, how) in [(20, "stop"), (50, "kill")] {
            row.arrived(percent).await;
            let order = format!("broker {how}");
            row.suffer(async {
                pair.order(&order).await;
                pair.order("broker start").await;
            })
            .await;
            row.consumes_again().await;
        }
        row.remark("one orderly, one kill -9".to_owned());
    })
    .await;
}

pub(crate) async fn memory_alarm(stage: &Stage) {
    let pair = Pair::start(stage, &["broker"]).await;
    play(stage, Plan::named("memory alarm on and off", 505), Some(&pair.servers), async |row| {
        row.begin().await;
        let place = row.place.clone();
        for percent in [20, 50] {
            row.arrived(percent).await;
            // Held while the command takes its time: what comes shall come under the alarm.
            row.load().hold().await;
            let refused = row.roles["ingress"].metric(REJECTED).await;
            let alarm = place.control(&["set_vm_memory_high_watermark", "0.0001"]);
            row.suffer(alarm).await;
            row.load().at(150);
            // The broker takes nothing: webhooks must be refused, and soon, not left waiting.
            row.sees("ingress", REJECTED, |now| now > refused + 10.0).await;
            row.suffer(place.control(&["set_vm_memory_high_watermark", "0.6"])).await;
            row.consumes_again().await;
        }
    })
    .await;
}

/// The broker allows a second and a half between a delivery and its acknowledgement, and the
/// database does not answer for longer: the channel is closed under the worker, what it holds comes
/// again, and what it then acknowledges is of a channel that is gone.
pub(crate) async fn acknowledged_too_late(stage: &Stage) {
    let pair = Pair::start(stage, &["broker"]).await;
    let plan = Plan::named("consumer timeout", 506);
    play(stage, plan, Some(&pair.servers), async |row| {
        let sooner = "application:set_env(rabbit, consumer_timeout, 1500), \
             application:set_env(rabbit, channel_tick_interval, 300).";
        row.place.control(&["eval", sooner]).await;
        let link = Proxy::before(server_of(&row.place.database_url)).await;
        row.place.database_url = link.in_place_of(&row.place.database_url);
        row.begin().await;
        let mut too_late = 0;
        for percent in [20, 50] {
            row.arrived(percent).await;
            link.set(Link::Stalls);
            let logs = ["worker-1", "worker-2"].map(|worker| row.roles[worker].process.log_path());
            let told = || logs.iter().map(|log| times_too_late(log)).sum::<usize>();
            row.suffer(until(async || match told() {
                now if now > too_late => Ok(()),
                _ => Err("no worker was told that it is too late".to_owned()),
            }))
            .await;
            too_late = told();
            link.set(Link::Flows);
            row.consumes_again().await;
        }
        row.remark(format!("{too_late} channels closed"));
        link
    })
    .await;
}

/// How often the broker has closed a channel for want of an acknowledgement.
fn times_too_late(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().filter(|line| line.contains("delivery acknowledgement")).count()
}
