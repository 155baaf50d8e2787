//! From the outbox to the bus, whatever happens in between.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use relink_core::time::Span;
use relink_engine::clock::Clock as _;
use relink_engine::consume::Order;
use relink_engine::link::{LinkSigner, Links};
use relink_engine::outbox::SWEEP;
use relink_engine::store::{OutboxRow, Store as _};
use tokio_util::sync::CancellationToken;

use crate::bodies::deactivated;
use crate::faults::Mood;
use crate::stand::{Stand, settle_down};

/// Longer than the committer's grace and any claim.
const CLAIMS_RUN_OUT: Span = Span::seconds(31);

#[tokio::test(start_paused = true)]
async fn a_command_leaves_the_outbox_only_after_the_bus_has_confirmed_it() {
    let stand = Stand::new();
    stand.wire.set(Mood::Hanging);
    let _answers = stand.send(vec![deactivated("1")]).await;
    let _working = stand.consume(Order::PublishFirst);
    settle_down().await;
    assert_eq!(stand.wire.ids().len(), 2, "published");
    assert_eq!(stand.outbox_depth().await, 2, "and not confirmed");
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_did_not_take_is_sent_later_under_the_same_ids() {
    let stand = Stand::new();
    stand.wire.set(Mood::Away);
    assert_eq!(stand.run(vec![deactivated("1")]).await, [Ok(())], "state is safe: acknowledged");
    assert_eq!(stand.outbox_depth().await, 2);
    let failures = &stand.engine.metrics.publish_failures;
    assert_eq!(failures.with_label_values(&["away"]).get(), 2);
    stand.wire.set(Mood::Well);
    let outbox = &stand.engine.outbox;
    assert_eq!(outbox.sweep().await, Ok(0), "the committer's grace has not run out");
    stand.wall.turn(CLAIMS_RUN_OUT);
    assert_eq!(outbox.sweep().await, Ok(2));
    let ids = stand.wire.ids();
    assert_eq!(ids, ["live:fca_1:pause-1", "live:fcauth_1:case-1:prompt-1"]);
    assert_eq!(stand.outbox_depth().await, 0);
    assert_eq!(stand.engine.metrics.published.get(), 2);
    stand.wall.turn(CLAIMS_RUN_OUT);
    assert_eq!(outbox.sweep().await, Ok(0), "and only once");
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_commit_and_publish_leaves_the_commands_to_the_relay() {
    let stand = Stand::new();
    stand.wire.set(Mood::Hanging);
    let _answers = stand.send(vec![deactivated("1")]).await;
    let working = stand.consume(Order::PublishFirst);
    settle_down().await;
    working.task.abort();
    let published_before = stand.wire.ids();
    stand.wire.set(Mood::Well);
    let outbox = &stand.engine.outbox;
    assert_eq!(outbox.sweep().await, Ok(0), "nobody else may take them yet");
    stand.wall.turn(CLAIMS_RUN_OUT);
    assert_eq!(outbox.sweep().await, Ok(2));
    let both = [published_before.clone(), published_before].concat();
    assert_eq!(stand.wire.ids(), both, "at least once, under the same ids");
    // The event itself comes again from the broker, and changes nothing.
    let _again = stand.send(vec![deactivated("1")]).await;
    let _working = stand.consume(Order::PublishFirst);
    settle_down().await;
    assert_eq!(stand.counted("duplicate"), 1);
    assert_eq!(stand.wire.ids().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_publish_and_delete_sends_twice_under_the_same_ids() {
    let stand = Stand::new();
    stand.store.deletes_to_fail.store(1, Ordering::SeqCst);
    assert_eq!(stand.run(vec![deactivated("1")]).await, [Ok(())]);
    assert_eq!(stand.outbox_depth().await, 2);
    stand.wall.turn(CLAIMS_RUN_OUT);
    assert_eq!(stand.engine.outbox.sweep().await, Ok(2));
    let ids = stand.wire.ids();
    assert_eq!(ids[..2], ids[2..]);
    assert_eq!(stand.outbox_depth().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_counts_as_not_taken() {
    let stand = Stand::new();
    stand.wire.set(Mood::Forgetful);
    stand.run(vec![deactivated("1")]).await;
    assert_eq!(stand.outbox_depth().await, 2);
    stand.wire.set(Mood::Well);
    stand.wall.turn(CLAIMS_RUN_OUT);
    stand.engine.outbox.sweep().await.unwrap();
    let ids = stand.wire.ids();
    assert_eq!(ids[..2], ids[2..]);
    assert_eq!(stand.outbox_depth().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_gets_its_link_on_the_way_out_and_no_database_ever_holds_it() {
    let mut stand = Stand::new();
    let signer = LinkSigner::new([[7; 32]]).unwrap();
    let links = Links::new(signer.clone(), "https://relink.example.com");
    stand.engine.outbox.links = Some(links);
    stand.wire.set(Mood::Forgetful);
    stand.run(vec![deactivated("1")]).await;
    stand.wall.turn(CLAIMS_RUN_OUT);
    let now = stand.wall.now();
    let rows = stand.store.claim_outbox(now, now, 9).await.unwrap();
    let held = |row: &OutboxRow| String::from_utf8_lossy(&row.body).contains("relink_url");
    assert_eq!((rows.len(), rows.iter().any(held)), (2, false));

    stand.wire.set(Mood::Well);
    assert_eq!(stand.engine.outbox.sweep().await, Ok(2));
    let urls: Vec<String> = stand
        .wire
        .bodies()
        .iter()
        .filter_map(|body| Some(body["data"]["relink_url"].as_str()?.to_owned()))
        .collect();
    assert_eq!(urls.len(), 2, "one prompt, sent twice");
    assert_eq!(urls[0], urls[1]);
    let token = urls[0].strip_prefix("https://relink.example.com/relink/").unwrap();
    let claims = signer.verify(token, now).unwrap();
    assert_eq!((claims.case.as_str(), &*claims.subject), ("live:fcauth_1:case-1", "fcauth_1"));
}

#[tokio::test(start_paused = true)]
async fn two_relays_send_a_backlog_once() {
    let stand = Stand::new();
    stand.wire.set(Mood::Away);
    let backlog = (0..400).map(|number| deactivated(&format!("{number}"))).collect();
    stand.run(backlog).await;
    stand.wire.set(Mood::Well);
    stand.wall.turn(CLAIMS_RUN_OUT);
    let (one, other) = tokio::join!(stand.engine.outbox.sweep(), stand.engine.outbox.sweep());
    assert_eq!(one.unwrap() + other.unwrap(), 800);
    let ids = stand.wire.ids();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (800, 800));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_takes_nothing_does_not_keep_a_sweep_busy() {
    let stand = Stand::new();
    stand.wire.set(Mood::Away);
    stand.run((0..400).map(|number| deactivated(&format!("{number}"))).collect()).await;
    stand.wall.turn(CLAIMS_RUN_OUT);
    // Each row is tried once, and claimed for a while.
    assert_eq!(stand.engine.outbox.sweep().await, Ok(800));
    assert_eq!(stand.engine.outbox.sweep().await, Ok(0));
    assert_eq!(stand.outbox_depth().await, 800);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_told_to_stop_claims_no_more_of_a_backlog() {
    let stand = Stand::new();
    stand.wire.set(Mood::Away);
    stand.run((0..4_000).map(|number| deactivated(&format!("{number}"))).collect()).await;
    stand.wire.set(Mood::Slow);
    stand.wall.turn(CLAIMS_RUN_OUT);
    let stop = CancellationToken::new();
    let relay = tokio::spawn(stand.engine.outbox.clone().relay(SWEEP, stop.clone()));
    settle_down().await;
    let begun = stand.wire.ids().len();
    assert!((1..4_000).contains(&begun), "{begun}");
    stop.cancel();
    relay.await.unwrap();
    assert_eq!(stand.wire.ids().len(), begun, "what was under way is all there is");
    assert_eq!(usize::try_from(stand.outbox_depth().await), Ok(8_000 - begun));
}
