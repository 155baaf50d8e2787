//! What falls due.

use relink_core::policy::Policy;
use relink_core::time::Span;
use relink_engine::consume::Order;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::bodies::{CREATED_S, account, deactivated, event, message};
use crate::faults::{Mood, Poison};
use crate::stand::{Stand, settle_down};

#[tokio::test(start_paused = true)]
async fn a_prompt_goes_out_once_after_the_settle_time_whoever_looks() {
    let stand = Stand::with(Policy::default());
    let sibling = |name: &str| {
        let object = account(&format!("fca_{name}"), "fcauth_1", "inactive");
        message(&event(&format!("evt_{name}"), "account.deactivated", CREATED_S, &object))
    };
    stand.run(vec![sibling("1"), sibling("2")]).await;
    let (one, other) = (stand.scheduler(), stand.scheduler());
    let both = || async { tokio::try_join!(one.fire(), other.fire()).unwrap() };
    both().await;
    assert_eq!(stand.wire.names(), ["pause_data", "pause_data"], "it settles");
    stand.clock.turn(Span::seconds(5));
    both().await;
    both().await;
    assert_eq!(stand.wire.names(), ["pause_data", "pause_data", "prompt_relink"]);
    let body = stand.wire.came_out.lock().unwrap().last().unwrap().body.clone();
    let prompt: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(prompt["data"]["accounts"].as_array().unwrap().len(), 2, "names both");
}

#[tokio::test(start_paused = true)]
async fn reminders_and_the_escalation_follow_the_clock() {
    let stand = Stand::new();
    stand.run(vec![deactivated("1")]).await;
    let scheduler = stand.scheduler();
    for _ in 0..40 {
        stand.clock.turn(Span::days(1));
        scheduler.fire().await.unwrap();
        scheduler.fire().await.unwrap();
    }
    let expected = [
        "pause_data",
        "prompt_relink",
        "remind_relink",
        "remind_relink",
        "remind_relink",
        "escalate_relink",
    ];
    assert_eq!(stand.wire.names(), expected);
    assert_eq!(stand.outbox_depth().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_case_that_closed_before_its_prompt_was_due_sends_nothing() {
    let stand = Stand::with(Policy::default());
    let back = account("fca_1", "fcauth_1", "active");
    let back = message(&event("evt_back", "account.reactivated", CREATED_S + 60, &back));
    stand.run(vec![deactivated("1"), back]).await;
    stand.clock.turn(Span::days(60));
    stand.scheduler().fire().await.unwrap();
    let names = stand.wire.names();
    assert!(!names.iter().any(|name| name.contains("relink")), "{names:?}");
}

/// More homes that cannot be decided than are taken at a time, all due before one that can.
#[tokio::test(start_paused = true)]
async fn homes_that_cannot_be_decided_do_not_hold_up_those_behind_them() {
    for poison in [Poison::Undecided, Poison::Refused] {
        let stand = Stand::with(Policy::default());
        stand.run((0..600).map(|number| deactivated(&format!("bad{number}"))).collect()).await;
        stand.clock.turn(Span::seconds(1));
        stand.run(vec![deactivated("good")]).await;
        stand.store.poison("timer:fcauth_bad", poison);
        stand.clock.turn(Span::seconds(60));
        stand.scheduler().fire().await.unwrap();
        let prompts = stand.wire.names().iter().filter(|name| *name == "prompt_relink").count();
        assert_eq!(prompts, 1);
        assert!(stand.wire.ids().last().unwrap().contains("fcauth_good"));
        // Once they can be decided nothing of them is lost.
        stand.store.poisons.lock().unwrap().clear();
        stand.scheduler().fire().await.unwrap();
        let prompts = stand.wire.names().iter().filter(|name| *name == "prompt_relink").count();
        assert_eq!(prompts, 601);
    }
}

#[tokio::test(start_paused = true)]
async fn one_home_alone_that_cannot_be_decided_is_no_outage() {
    let stand = Stand::with(Policy::default());
    stand.run(vec![deactivated("bad")]).await;
    stand.store.poison("timer:", Poison::Refused);
    stand.clock.turn(Span::seconds(60));
    assert_eq!(stand.scheduler().fire().await, Ok(()));
    assert_eq!(stand.engine.metrics.timers.get(), 0, "it did not fire");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_while_the_database_is_away_stays_due() {
    let stand = Stand::with(Policy::default());
    stand.run(vec![deactivated("1")]).await;
    stand.clock.turn(Span::seconds(60));
    stand.store.transacts_to_fail.store(1, std::sync::atomic::Ordering::SeqCst);
    assert!(stand.scheduler().fire().await.is_err());
    stand.scheduler().fire().await.unwrap();
    assert_eq!(stand.wire.names().last().unwrap(), "prompt_relink");
}

#[tokio::test(start_paused = true)]
async fn figures_show_every_label_also_at_zero() {
    let stand = Stand::new();
    let stop = CancellationToken::new();
    let scheduler = stand.scheduler();
    let figures = scheduler.figures.clone();
    let running = tokio::spawn(scheduler.run(stop.clone()));
    stand.wire.set(Mood::Away);
    let working = stand.consume(Order::PublishFirst);
    stand.send(vec![deactivated("1")]).await.await.unwrap();
    stand.clock.turn(Span::seconds(90));
    tokio::time::sleep(std::time::Duration::from_secs(16)).await;
    settle_down().await;
    let told = |health: &str| figures.authorizations.with_label_values(&[health]).get();
    assert_eq!((told("relink_required"), told("active")), (1, 0));
    assert_eq!(figures.open_cases.with_label_values(&["inactive"]).get(), 1);
    assert_eq!(figures.outbox_depth.get(), 2);
    assert_eq!(figures.outbox_oldest_seconds.get(), 90);
    assert_eq!(figures.parked_messages.get(), 0);
    use prometheus::core::Collector as _;
    let shown = figures.authorizations.collect()[0].get_metric().len();
    assert_eq!(shown, relink_core::aggregate::Health::ALL.len(), "none is missing");
    stop.cancel();
    running.await.unwrap();
    working.end().await;
}
