//! `kill -9` of workers and of the ingress in the middle: nothing is lost, nothing happens twice.

use std::sync::Arc;

use relink_tests::api::{Api, reference};
use relink_tests::captured::Commands;
use relink_tests::feed::{Feed, seed};
use relink_tests::foreign::{Consumer, Foreign};
use relink_tests::ledger::{
    Picture, cases, committed, nothing_is_left, progressed, settled, verdicts,
};
use relink_tests::process::free_address;
use relink_tests::send::{Pace, send_at_pace};
use relink_tests::stage::Stage;
use relink_tests::wait::until;

const SEED: u64 = 911;

pub(crate) async fn a_worker_killed_in_the_middle_changes_nothing(stage: &Stage) {
    let seed = seed(SEED);
    let feed = Feed::new(seed, 800, 4000);
    let api = Api::serve(&feed.sim).await;
    let place = stage.place("killed").await;
    place.migrate().await;
    let consumer = Consumer::bind(&place, "relink.commands", "#").await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    let listen = free_address();
    let mut ingress = place.ingress(listen).await;
    let scheduler = place.start("scheduler", &["scheduler"], &api.settings()).await;
    let mut workers = Vec::new();
    for name in ["worker-0", "worker-1", "worker-2"] {
        workers.push(place.start(name, &["worker"], &api.settings()).await);
    }

    let bodies = feed.shuffled(seed);
    let (distinct, all) = (feed.events.len(), bodies.len());
    let pace = Pace::free();
    let sending = tokio::spawn(send_at_pace(listen, bodies, 32, Arc::clone(&pace)));
    for kill in 1..=6 {
        progressed(&database, distinct * kill / 8).await;
        if kill == 3 {
            ingress.process.kill().await;
            ingress = place.ingress(listen).await;
        }
        let victim = workers.remove(0);
        victim.process.kill().await;
        let name = format!("worker-{}", kill % 3);
        workers.push(place.start(&name, &["worker"], &api.settings()).await);
    }
    until(async || match pace.taken() {
        taken if taken == all => Ok(()),
        taken => Err(format!("{taken} of {all} were taken")),
    })
    .await;
    let sent = sending.await.unwrap();
    eprintln!("{all} deliveries of {distinct} events, 6 workers and 1 ingress killed: {sent:?}");
    settled(&database, &mut foreign, distinct, true).await;
    for role in workers.into_iter().chain([ingress, scheduler]) {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;
    eprintln!("ledger: {:?}", verdicts(&database).await);

    let commands = Commands::of(&consumer.finish().await);
    eprintln!("commands: {:?}, {} copies", commands.tally(), commands.copies.len());
    let picture = Picture::of(&database).await;
    commands.agree_with(&picture);
    commands.include(&committed(&database).await);
    commands.tell_of(&cases(&database).await);
    picture.equals(&reference(stage, &feed, &api).await);
}
