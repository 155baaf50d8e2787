//! New authorities and certificates on both sides, without a restart of Relink.

use relink_tests::api::Api;
use relink_tests::feed::{Event, Feed, seed};
use relink_tests::pair::Pair;
use relink_tests::process::{Settings, run};
use relink_tests::role::{WEBHOOK_SECRET, start};
use relink_tests::send::send_all;
use relink_tests::stage::Stage;
use relink_tests::wait::until;
use tokio::process::Command;

use crate::files::Files;

pub(crate) async fn authorities_and_certificates_of_both_sides_change_while_roles_run(
    stage: &Stage,
) {
    let feed = Feed::new(seed(801), 6, 40);
    let (first, second) = feed.events.split_at(20);
    let api = Api::serve(&feed.sim).await;
    let mut servers = Files::new(stage.folder().join("servers"));
    let files = Files::new(stage.folder().join("certificates"));
    servers.hand_to(&files);
    let mut pair = Pair::start_with_tls(stage, &["broker", "database"], servers.folder()).await;
    let mut settings = files.settings(&pair.servers);
    let output = run(&["migrate"], &settings).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    settings.push(("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()));
    settings.extend(api.settings());
    let ingress = start(stage.folder(), "ingress", &["ingress"], settings.clone()).await;
    let worker = start(stage.folder(), "worker", &["worker"], settings.clone()).await;
    send_all(ingress.listen, bodies(first), 2).await;
    are_known(&settings, first).await;

    // What is open stays open, whatever was verified when it was made: so all of it is closed.
    servers.begin_anew();
    for order in ["broker certificate", "database certificate", "database stop", "database start"] {
        pair.order(order).await;
    }
    let closing = ["close_all_connections", "certificates have changed"];
    let closed = Command::new(&pair.servers.rabbitmqctl).args(closing).output().await.unwrap();
    assert!(closed.status.success(), "{}", String::from_utf8_lossy(&closed.stderr));

    // Nobody here knows the servers any more. Whoever starts now ends; whoever runs waits.
    for role in [&ingress, &worker] {
        until(async || match role.process.log() {
            log if log.contains("broker's certificate bears the name") => Ok(()),
            log => Err(log),
        })
        .await;
    }
    let refused = run(&["migrate"], &settings).await;
    assert_eq!(refused.status.code(), Some(69), "{}", String::from_utf8_lossy(&refused.stderr));
    let sending = tokio::spawn(send_all(ingress.listen, bodies(second), 2));
    servers.hand_to(&files);
    sending.await.unwrap();
    are_known(&settings, second).await;
    for role in [ingress, worker] {
        role.process.stop().await;
    }
}

fn bodies(events: &[Event]) -> Vec<bytes::Bytes> {
    events.iter().map(|event| event.body.clone()).collect()
}

/// Waits until each is in the ledger.
async fn are_known(settings: &Settings, events: &[Event]) {
    for event in events {
        until(async || {
            let output = run(&["explain", &event.id], settings).await;
            let said = || String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(format!("{}: {}", event.id, said())) }
        })
        .await;
    }
}
