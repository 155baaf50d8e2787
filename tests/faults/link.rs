//! What goes wrong between Relink and its servers, on either link.

use std::time::Duration;

use relink_tests::proxy::{Link, Proxy, server_of};
use relink_tests::stage::Stage;

use crate::row::{Plan, Row, play};

/// Links in front of the broker and of the database.
struct Links {
    broker: Proxy,
    database: Proxy,
}

impl Links {
    async fn before_everything(row: &mut Row<'_>) -> Self {
        let broker = Proxy::before(server_of(&row.place.amqp_url)).await;
        row.place.amqp_url = broker.in_place_of(&row.place.amqp_url);
        let database = Proxy::before(server_of(&row.place.database_url)).await;
        row.place.database_url = database.in_place_of(&row.place.database_url);
        Self { broker, database }
    }

    fn each(&self) -> [&Proxy; 2] {
        [&self.broker, &self.database]
    }
}

pub(crate) async fn links_cut_mid_frame(stage: &Stage) {
    play(stage, Plan::named("links cut in the middle of a frame", 701), None, async |row| {
        let links = Links::before_everything(row).await;
        row.begin().await;
        for percent in [10, 30, 50, 70] {
            for link in links.each() {
                row.arrived(percent).await;
                link.cut_mid_frame();
                row.consumes_again().await;
            }
        }
        links
    })
    .await;
}

pub(crate) async fn links_delayed(stage: &Stage) {
    play(stage, Plan::named("links 40 ms slower each way", 702), None, async |row| {
        let links = Links::before_everything(row).await;
        row.begin().await;
        row.arrived(20).await;
        for link in links.each() {
            link.set(Link::Delays(Duration::from_millis(40)));
        }
        row.consumes_again().await;
        row.arrived(70).await;
        for link in links.each() {
            link.set(Link::Flows);
        }
        links
    })
    .await;
}

/// Longer than a confirm may take, and than a probe of the broker.
const STALL: Duration = Duration::from_secs(8);

pub(crate) async fn links_stalled(stage: &Stage) {
    play(stage, Plan::named("links stalled for 8 s", 703), None, async |row| {
        let links = Links::before_everything(row).await;
        row.begin().await;
        for (percent, link) in [20, 50].into_iter().zip(links.each()) {
            row.arrived(percent).await;
            link.set(Link::Stalls);
            row.suffer(tokio::time::sleep(STALL)).await;
            link.set(Link::Flows);
            row.consumes_again().await;
        }
        links
    })
    .await;
}

/// As when a router forgets connections: they are never closed, and new ones work. The time to
/// consuming is that in which the silence is noticed.
pub(crate) async fn connections_forgotten(stage: &Stage) {
    play(stage, Plan::named("connections forgotten by a router", 704), None, async |row| {
        let links = Links::before_everything(row).await;
        row.begin().await;
        for (percent, link) in [20, 50].into_iter().zip(links.each()) {
            row.arrived(percent).await;
            link.forget_connections();
            row.consumes_again().await;
        }
        links
    })
    .await;
}
