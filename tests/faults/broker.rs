//! What goes wrong with the broker.

use relink_tests::ledger::settled;
use relink_tests::stage::Stage;

use crate::row::{Plan, play};

/// What was refused by the ingress, whatever their reason.
const REFUSED: &str = "relink_ingress_rejected_total";

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
        row.sees("ingress", REFUSED, |refused| refused > 5.0).await;
        row.place.migrate().await;
        row.consumes_again().await;
    })
    .await;
}
