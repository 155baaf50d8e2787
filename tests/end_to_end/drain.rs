//! SIGTERM under load: everything in hand is finished or handed back, and the exit code is 0.

use std::net::SocketAddr;

use relink_tests::api::Api;
use relink_tests::captured::Commands;
use relink_tests::feed::{Feed, seed};
use relink_tests::foreign::{Consumer, Foreign};
use relink_tests::http::get;
use relink_tests::ledger::{Picture, committed, nothing_is_left, progressed, settled};
use relink_tests::process::free_address;
use relink_tests::role::Role;
use relink_tests::send::send_all;
use relink_tests::stage::Stage;

const SEED: u64 = 15;

pub(crate) async fn sigterm_drains(stage: &Stage) {
    let seed = seed(SEED);
    let feed = Feed::new(seed, 400, 2000);
    let api = Api::serve(&feed.sim).await;
    let place = stage.place("drain").await;
    place.migrate().await;
    let consumer = Consumer::bind(&place, "relink.commands", "#").await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    let listen = free_address();
    let ingress = place.ingress(listen).await;
    let scheduler = place.start("scheduler", &["scheduler"], &api.settings()).await;
    let first = place.start("worker-1", &["worker"], &api.settings()).await;
    let second = place.start("worker-2", &["worker"], &api.settings()).await;

    let distinct = feed.events.len();
    let sending = tokio::spawn(send_all(listen, feed.shuffled(seed), 32));
    progressed(&database, distinct / 10).await;
    drains(first).await;
    progressed(&database, distinct / 4).await;
    drains(ingress).await;
    let ingress = place.ingress(listen).await;
    progressed(&database, distinct / 3).await;
    // Now nobody works, and all of it waits in the broker.
    drains(second).await;
    let sent = sending.await.unwrap();
    eprintln!("{distinct} events: {sent:?}");
    let last = place.start("worker-3", &["worker"], &api.settings()).await;
    settled(&database, &mut foreign, distinct, true).await;
    for role in [ingress, last, scheduler] {
        drains(role).await;
    }
    nothing_is_left(&mut foreign).await;
    let commands = Commands::of(&consumer.finish().await);
    commands.agree_with(&Picture::of(&database).await);
    commands.include(&committed(&database).await);
    eprintln!("commands: {:?}, {} copies", commands.tally(), commands.copies.len());
}

/// The role says that it is not ready any more, as long as it says anything, and ends with 0;
/// whoever misses its drain time ends with another code.
async fn drains(mut role: Role) {
    role.process.terminate().await;
    let said = tokio::spawn(says_until_gone(role.admin));
    let status = role.process.wait().await;
    assert_eq!(status.code(), Some(0), "{}", role.process.log());
    let said = said.await.unwrap();
    // The signal may take a moment to arrive; from the first 503 on there is no way back.
    let not_ready = said.iter().skip_while(|status| **status == 200);
    assert!(not_ready.clone().all(|status| *status == 503), "readyz said {said:?}");
}

async fn says_until_gone(admin: SocketAddr) -> Vec<u16> {
    let mut said = Vec::new();
    while let Ok(answer) = get(admin, "/readyz").await {
        said.push(answer.status);
    }
    said
}
