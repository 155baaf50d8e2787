//! Every way in which a relink can end, in a sentence for the customer and in the state.

use relink_core::observation::RelinkOutcome;
use relink_sim::Link;
use reqwest::StatusCode;

use crate::stand::{Stand, USUAL, attempt, read, stand};

async fn ended(stand: &Stand, link: &str, outcome: &str) -> String {
    let (secret, completion) = stand.start(link).await;
    stand.finish(&secret, outcome).await;
    let (status, piece) = stand.complete(link, &completion).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!piece.contains(&secret), "{piece}");
    piece
}

#[tokio::test]
async fn all_accounts_come_back() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let piece = ended(&stand, &outage.link, "succeeded").await;
    assert!(piece.contains("Harbor Federal Bank is connected again"), "{piece}");
    assert!(piece.contains("ending in 1001") && piece.contains("ending in 1002"), "{piece}");
    assert!(!piece.contains("data-start"), "{piece}");
    stand.settle().await;
    let aggregate = stand.aggregate(&outage.authorization).await;
    assert_eq!(aggregate.state.case, None);
    let (_, page) = stand.get(&outage.link).await;
    assert!(page.contains("All is well"), "{page}");
    assert!(stand.counted("relink_portal_outcomes_total", "repaired") > 0.0);
}

#[tokio::test]
async fn one_account_is_left_out() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let piece = ended(&stand, &outage.link, "left_out").await;
    assert!(piece.contains("Almost done"), "{piece}");
    let (back, left) = piece.split_once("not connected yet").unwrap();
    assert!(back.contains("1001") && !back.contains("1002"), "{piece}");
    assert!(left.contains("1002") && left.contains("Connect the remaining accounts"), "{piece}");
    stand.settle().await;
    let piece = ended(&stand, &outage.link, "succeeded").await;
    assert!(piece.contains("is connected again") && piece.contains("1002"), "{piece}");
}

#[tokio::test]
async fn a_sibling_that_came_back_unchosen_is_not_asked_for() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let (secret, completion) = stand.start(&outage.link).await;
    stand.finish(&secret, "left_out").await;
    stand.sim.reactivate(&outage.accounts[1]).unwrap();
    let (_, piece) = stand.complete(&outage.link, &completion).await;
    assert!(piece.contains("is connected again") && piece.contains("1002"), "{piece}");
}

#[tokio::test]
async fn an_account_that_is_closed_meanwhile_is_said_to_be_lost() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let piece = ended(&stand, &outage.link, "account_closed").await;
    let (_, lost) = piece.split_once("cannot be reconnected").unwrap();
    assert!(lost.contains("1002") && !piece.contains("data-start"), "{piece}");
}

#[tokio::test]
async fn another_authorization_is_told_and_moves() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    let piece = ended(&stand, &outage.link, "another_authorization").await;
    assert!(piece.contains("Your bank made a new connection"), "{piece}");
    stand.settle().await;
    let (_, page) = stand.get(&outage.link).await;
    assert!(page.contains("connected in a new way"), "{page}");
}

#[tokio::test]
async fn what_failed_can_be_tried_again() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(2).await;
    for (outcome, said) in [
        ("no_account", "That was not the account we need"),
        ("no_authorization", "Signing in did not work"),
        ("failed", "It did not work this time"),
        ("cancelled", "Nothing was changed"),
    ] {
        let piece = ended(&stand, &outage.link, outcome).await;
        assert!(piece.contains(said) && piece.contains("data-start"), "{piece}");
    }
    let aggregate = stand.aggregate(&outage.authorization).await;
    let attempts = &aggregate.state.case.as_ref().unwrap().attempts;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.clone()).collect();
    let failed = |reason: &str| Some(RelinkOutcome::Failed(reason.into()));
    let expected = [
        failed("no_account"),
        failed("no_authorization"),
        failed("other"),
        Some(RelinkOutcome::Cancelled),
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn whoever_comes_back_is_told_how_the_attempt_before_ended() {
    let stand = stand(USUAL).await;
    // Stripe's clock is behind, so that what starts now was started long ago.
    stand.sim.advance(-30 * 86_400);
    let outage = stand.outage(1).await;
    let (_, page) = stand.get(&outage.link).await;
    assert!(!page.contains("You started on"), "{page}");
    let (secret, completion) = stand.start(&outage.link).await;
    let (_, piece) = stand.complete(&outage.link, &completion).await;
    assert!(piece.contains("Nothing was changed"), "{piece}");
    let aggregate = stand.aggregate(&outage.authorization).await;
    let attempt = aggregate.state.case.as_ref().unwrap().attempts[0].clone();
    assert_eq!(attempt.outcome, Some(RelinkOutcome::Abandoned));
    let (_, page) = stand.get(&outage.link).await;
    assert!(page.contains("You started on ") && page.contains(" and did not finish."), "{page}");

    // They did come to an end after all, another way.
    stand.sim.advance(86_400);
    stand.finish(&secret, "no_account").await;
    stand.complete(&outage.link, &completion).await;
    let (_, page) = stand.get(&outage.link).await;
    assert!(!page.contains("did not finish"), "{page}");
    assert!(page.contains("the account to reconnect was not among those you chose"), "{page}");
}

#[tokio::test]
async fn an_attempt_that_is_not_over_changes_nothing() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let (secret, completion) = stand.start(&outage.link).await;
    stand.finish(&secret, "pending").await;
    let (status, piece) = stand.complete(&outage.link, &completion).await;
    assert_eq!(status, StatusCode::OK);
    assert!(piece.contains("Nothing was changed"), "{piece}");
    stand.finish(&secret, "succeeded").await;
    let (_, piece) = stand.complete(&outage.link, &completion).await;
    assert!(piece.contains("is connected again"), "{piece}");
}

#[tokio::test]
async fn two_tabs_and_a_repeat_tell_the_same() {
    let stand = stand(USUAL).await;
    let outage = stand.outage(1).await;
    let (secret, completion) = stand.start(&outage.link).await;
    stand.finish(&secret, "succeeded").await;
    stand.settle().await;
    // The other tab still shows the button.
    let url = format!("{}/start", outage.link);
    let (_, piece) = read(stand.post(&url, &attempt(2)).await).await;
    assert!(piece.contains("All is well"), "{piece}");
    for _ in 0..2 {
        let (_, piece) = stand.complete(&outage.link, &completion).await;
        assert!(piece.contains("is connected again"), "{piece}");
    }
}

#[tokio::test]
async fn a_single_account_in_need_is_the_one_that_is_asked_for() {
    let stand = stand(USUAL).await;
    let change = stand.sim.link(Link::of("cus_Cy", "Tide Bank", 2)).unwrap();
    let authorization = change.authorization.unwrap();
    stand.sim.deny(&change.accounts[1]).unwrap();
    stand.settle().await;
    let link = stand.link(&authorization).await;
    let (_, page) = stand.get(&link).await;
    assert!(page.contains("1002") && !page.contains("1001"), "{page}");
    stand.start(&link).await;
    assert_eq!(stand.sessions()[0]["relink_options"]["account"], *change.accounts[1]);
}
