//! Ten thousand events, random order, duplicates, three workers: the result is that of one worker
//! which got them in order.

use relink_tests::api::{Api, reference};
use relink_tests::captured::Commands;
use relink_tests::feed::{Feed, seed};
use relink_tests::foreign::{Consumer, Foreign};
use relink_tests::ledger::{
    Picture, cases, committed, events_in_inbox, nothing_is_left, settled, verdicts,
};
use relink_tests::process::free_address;
use relink_tests::send::send_all;
use relink_tests::stage::Stage;

const SEED: u64 = 20_260_930;

pub(crate) async fn the_main_job(stage: &Stage) {
    let seed = seed(SEED);
    let feed = Feed::new(seed, 2000, 10_000);
    let api = Api::serve(&feed.sim).await;
    let place = stage.place("three-workers").await;
    place.migrate().await;
    let consumer = Consumer::bind(&place, "relink.commands", "#").await;
    let listener = Consumer::bind(&place, "relink.events", "#").await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;

    let ingress = place.ingress(free_address()).await;
    let scheduler = place.start("scheduler", &["scheduler"], &api.settings()).await;
    let mut workers = Vec::new();
    for name in ["worker-1", "worker-2", "worker-3"] {
        workers.push(place.start(name, &["worker"], &api.settings()).await);
    }
    ingress.has_its_pages("ingress").await;
    scheduler.has_its_pages("scheduler").await;
    workers[0].has_its_pages("worker").await;

    let bodies = feed.shuffled(seed);
    let (distinct, all) = (feed.events.len(), bodies.len());
    let started = std::time::Instant::now();
    let sent = send_all(ingress.listen, bodies, 32).await;
    eprintln!("{all} deliveries of {distinct} events: {:?} {sent:?}", started.elapsed());
    assert_eq!(sent.answers.get(&200), Some(&all));
    settled(&database, &mut foreign, distinct, true).await;
    eprintln!("settled after {:?}", started.elapsed());

    for worker in &workers {
        assert_eq!(worker.metric("relink_worker_parked_total").await, 0.0);
        assert!(worker.metric("relink_worker_deliveries_total").await > 0.0, "each has its share");
    }
    for role in workers.into_iter().chain([ingress, scheduler]) {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;
    assert_eq!(usize::try_from(events_in_inbox(&database).await).unwrap(), distinct);
    eprintln!("ledger: {:?}", verdicts(&database).await);

    let heard = listener.finish().await;
    let observed = heard.iter().filter(|one| one.routing_key.starts_with("relink.observed."));
    eprintln!("{} messages on relink.events", heard.len());
    assert!(heard.len() >= all && observed.count() > 0, "webhooks and observations");
    let captured = consumer.finish().await;
    let commands = Commands::of(&captured);
    eprintln!("commands: {:?}, {} copies", commands.tally(), commands.copies.len());
    let picture = Picture::of(&database).await;
    commands.agree_with(&picture);
    commands.include(&committed(&database).await);
    commands.tell_of(&cases(&database).await);
    for (id, account) in &picture.accounts {
        assert_eq!(account.status, feed.status(id), "{id} is not as Stripe would tell");
    }

    let in_order = reference(stage, &feed, &api).await;
    eprintln!(
        "{} accounts, {} authorizations",
        picture.accounts.len(),
        picture.authorizations.len()
    );
    picture.equals(&in_order);
}
