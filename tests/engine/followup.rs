//! The followup worker: what it reads, and what becomes of its commands.

use std::time::Duration;

use relink_bus::message::Message;
use relink_bus::port::{ParkReason, PublishError, Publisher as _, Settlement, Subscriber as _};
use relink_core::input::Happened;
use relink_core::observation::{Source, Status};
use relink_sim::{FaultKind, GA_VERSION, Link};

use crate::scene::{READS_PER_SECOND, Setting, USUAL, message, scene, stage};

#[tokio::test]
async fn what_was_read_is_published_as_observations() {
    let scene = scene(USUAL).await;
    scene.sim.expire(&scene.authorization).unwrap();
    let accounts: Vec<&str> = scene.accounts.iter().map(String::as_str).collect();
    assert_eq!(scene.run(scene.verify(&accounts, true)).await, Ok(()));
    let happened = scene.happened();
    assert_eq!(happened.len(), 3);
    for (seen, id) in happened.iter().zip(&accounts) {
        let Happened::AccountObserved(seen) = seen else { panic!("{seen:?}") };
        assert_eq!(seen.account.as_str(), *id);
        assert_eq!(seen.status, Some(Status::Inactive));
        assert_eq!(seen.stamp.1, Source::Read);
        assert!(seen.stamp.0.0 > 1_600_000_000, "stamped with the Date of the answer");
        assert!(seen.authorization.is_some(), "read with a preview version");
    }
    let Happened::AuthorizationObserved(seen) = &happened[2] else { panic!("{happened:?}") };
    assert_eq!(seen.authorization.as_str(), scene.authorization);
    assert_eq!((scene.counted("done"), scene.reads("account", "ok")), (1, 2));
    let correlated = scene.observed.lock().unwrap()[0].correlation.clone();
    assert_eq!(correlated.as_deref(), Some("test:verify-1"));
}

#[tokio::test]
async fn what_stripe_does_not_know_is_observed_as_missing() {
    let scene = scene(USUAL).await;
    let known = scene.accounts[0].as_str();
    assert_eq!(scene.run(scene.verify(&["fca_gone", known], false)).await, Ok(()));
    let happened = scene.happened();
    assert_eq!(happened[0], Happened::AccountMissing("fca_gone".into()));
    assert!(
        matches!(happened[1], Happened::AccountObserved(_)),
        "the others are read all the same"
    );
    assert_eq!(scene.reads("account", "not_found"), 1);
}

#[tokio::test]
async fn a_rate_limit_halves_the_budget_and_the_command_comes_again() {
    let scene = scene(USUAL).await;
    scene.inject(FaultKind::RateLimit, 1);
    assert_eq!(scene.run(scene.verify(&[&scene.accounts[0]], false)).await, Ok(()));
    assert!(scene.budget.rate() < READS_PER_SECOND * 0.75, "{}", scene.budget.rate());
    assert_eq!((scene.counted("retried"), scene.counted("done")), (1, 1));
    assert_eq!(scene.reads("account", "rate_limited"), 1);
    assert_eq!(scene.happened().len(), 1);
}

#[tokio::test]
async fn a_server_error_climbs_the_ladder_and_is_parked_only_at_its_end() {
    let scene = scene(USUAL).await;
    scene.inject(FaultKind::ServerError, 5);
    assert_eq!(scene.run(scene.verify(&[&scene.accounts[0]], false)).await, Ok(()));
    assert_eq!(scene.reasons(), [ParkReason::RetriesExhausted]);
    assert_eq!(scene.reads("account", "server"), 5, "the first attempt and four rungs");
    assert_eq!(scene.happened(), []);
    assert!((scene.budget.rate() - READS_PER_SECOND).abs() < 0.1, "not a matter of rate");
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_tried_again() {
    let scene = scene(Setting { key: Some("sk_test_wrong"), ..USUAL }).await;
    assert_eq!(scene.run(scene.verify(&[&scene.accounts[0]], false)).await, Ok(()));
    assert_eq!(scene.reasons(), [ParkReason::RetriesExhausted]);
    assert_eq!(scene.reads("account", "unauthorized"), 5);
    let lot = scene.lot.0.lock().unwrap();
    assert!(!lot[0].parking.error.contains("sk_test"), "no secret in the error");
}

#[tokio::test]
async fn an_authorization_that_is_not_to_be_had_is_observed_as_missing() {
    let scene = scene(Setting { version: GA_VERSION, ..USUAL }).await;
    assert_eq!(scene.run(scene.verify(&[], true)).await, Ok(()));
    let id = scene.authorization.as_str().into();
    assert_eq!(scene.happened(), [Happened::AuthorizationMissing(id)]);
    assert_eq!(scene.reads("authorization", "permission"), 1);
    assert_eq!(scene.counted("done"), 1);
}

#[tokio::test]
async fn without_a_key_a_command_is_accepted_and_counted() {
    let scene = scene(Setting { key: None, ..USUAL }).await;
    assert_eq!(scene.run(scene.verify(&[&scene.accounts[0]], true)).await, Ok(()));
    assert_eq!(scene.counted("no_api_key"), 1);
    assert_eq!(scene.happened(), []);
}

#[tokio::test]
async fn what_is_no_command_of_its_own_is_parked() {
    let scene = scene(USUAL).await;
    for body in ["", "{}", "[1]", r#"{"specversion":"1.0","data":{}}"#] {
        let broken = message("relink.verify_accounts.v1", body.into());
        assert_eq!(scene.run(broken).await, Ok(()));
    }
    assert_eq!(scene.reasons(), [ParkReason::Unparsable; 4]);
    let mut foreign = message("relink.verify_accounts.v1", "{}".into());
    foreign.kind = "relink.verify_accounts.v2".into();
    assert_eq!(scene.run(foreign).await, Ok(()));
    assert_eq!(scene.reasons(), [ParkReason::Unparsable; 5]);
}

#[tokio::test]
async fn an_id_that_cannot_be_stripes_is_parked_for_good() {
    let scene = scene(USUAL).await;
    assert_eq!(scene.run(scene.verify(&["../../v1/charges"], false)).await, Ok(()));
    assert_eq!(scene.reasons(), [ParkReason::Refused]);
}

#[tokio::test]
async fn what_the_bus_does_not_take_is_held_and_not_read_again() {
    // One more than are made without a word.
    let scene = scene(Setting { refusals: 5, ..USUAL }).await;
    assert_eq!(scene.run(scene.verify(&[&scene.accounts[0]], false)).await, Ok(()));
    assert_eq!((scene.counted("done"), scene.reads("account", "ok")), (1, 1));
    assert_eq!(scene.happened().len(), 1);
}

#[tokio::test]
async fn what_the_bus_still_does_not_take_when_the_worker_stops_is_handed_back() {
    let scene = scene(Setting { refusals: usize::MAX, ..USUAL }).await;
    let (bus, command) = (scene.bus.clone(), scene.verify(&[&scene.accounts[0]], false));
    let in_hand = tokio::spawn(async move { bus.publish(command).await });
    scene.is_refused(4).await;
    scene.stop.cancel();
    assert_eq!(in_hand.await.unwrap(), Err(PublishError::Away), "the command stays in the outbox");
    assert_eq!((scene.reasons(), scene.reads("account", "ok")), (vec![], 1));
}

#[tokio::test]
async fn more_commands_than_are_in_hand_at_a_time_are_all_carried_out() {
    let scene = scene(USUAL).await;
    let command = |number: usize| Message {
        id: format!("test:verify-{number}").into(),
        ..scene.verify(&[&scene.accounts[0]], false)
    };
    let answers = scene.bus.publish_all((0..60).map(command).collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((scene.counted("done"), scene.happened().len()), (60, 60));
}

#[tokio::test]
async fn one_command_twice_at_once_is_carried_out_once() {
    let scene = scene(USUAL).await;
    let command = scene.verify(&[&scene.accounts[0]], false);
    let answers = scene.bus.publish_all(vec![command.clone(), command]).await;
    assert_eq!(answers, [Ok(()), Ok(())]);
    assert_eq!((scene.counted("done"), scene.counted("repeated")), (1, 1));
    assert_eq!(scene.reads("account", "ok"), 1);
}

#[tokio::test]
async fn a_thousand_doubtful_accounts_are_each_read_once_within_stripes_limit() {
    // A little above the budget: Stripe counts by its own clock.
    let limit = Some(250);
    let scene = scene(Setting { limit, ..USUAL }).await;
    let commands: Vec<_> = (0..10)
        .map(|number| {
            let link = Link::of(&format!("cus_{number}"), "Cedar Valley Bank", 100);
            let accounts = scene.sim.link(link).unwrap().accounts;
            scene.verify(&accounts.iter().map(String::as_str).collect::<Vec<_>>(), false)
        })
        .collect();
    let answers = scene.bus.publish_all(commands).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((scene.counted("done"), scene.counted("retried")), (10, 0));
    assert_eq!((scene.reads("account", "ok"), scene.reads("account", "rate_limited")), (1000, 0));
    assert_eq!(scene.happened().len(), 1000);
}

#[tokio::test]
async fn stopping_finishes_what_is_in_hand_and_hands_back_the_rest() {
    let scene = stage(USUAL).await;
    let (bus, command) = (scene.bus.clone(), scene.verify(&[&scene.accounts[0]], false));
    let in_hand = tokio::spawn(async move { bus.publish(command).await });
    // It has read, and waits for the bus to take what it learned.
    let batch = scene.lifecycle.next_batch(1, Duration::ZERO).await.unwrap();
    scene.stop.cancel();
    let late = scene.run(scene.verify(&[&scene.accounts[0]], false)).await;
    assert_eq!(late, Err(PublishError::Away));
    assert!(!in_hand.is_finished());
    scene.lifecycle.settle(vec![(batch[0].receipt, Settlement::Accept)]).await;
    assert_eq!(in_hand.await.unwrap(), Ok(()));
    scene.working.await.unwrap();
}
