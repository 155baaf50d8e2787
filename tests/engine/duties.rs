//! The followup worker's other commands: refresh, reconcile, and sessions read back.

use relink_core::command::{Because, Body, ReconcileAccounts, RefreshData, VerifyAccounts};
use relink_core::input::Happened;
use relink_core::observation::{RelinkOutcome, Status};
use relink_sim::{Link, Relink};
use relink_worker_followup::Duties;
use serde_json::Value;

use crate::scene::{Scene, Setting, USUAL, scene};

fn refresh(scene: &Scene, features: &[&str]) -> Body {
    Body::RefreshData(RefreshData {
        about: scene.about(),
        account: scene.accounts[0].as_str().into(),
        features: features.iter().map(|one| (*one).into()).collect(),
    })
}

/// What Stripe says of the account's refreshes: balance, ownership, transactions.
fn refreshed(scene: &Scene) -> [bool; 3] {
    let account = scene.sim.account(&scene.accounts[0]).unwrap();
    ["balance_refresh", "ownership_refresh", "transaction_refresh"]
        .map(|refresh| account[refresh] != Value::Null)
}

#[tokio::test]
async fn a_refresh_asks_for_what_is_permitted_and_due_and_tells_what_it_learned() {
    let scene = scene(USUAL).await;
    let all = refresh(&scene, &["balance", "ownership", "transactions"]);
    assert_eq!(scene.run(scene.command(all.clone())).await, Ok(()));
    // The simulator's links permit balances and transactions, not ownership.
    assert_eq!(refreshed(&scene), [true, false, true]);
    assert_eq!((scene.reads("account", "ok"), scene.reads("refresh", "ok")), (1, 1));
    assert_eq!(scene.happened().len(), 2, "the account before and after");

    assert_eq!(scene.run(scene.command(all)).await, Ok(()));
    assert_eq!(scene.reads("refresh", "ok"), 1, "Stripe takes no other so soon");
    assert_eq!(scene.counted("done"), 2);
}

#[tokio::test]
async fn an_account_that_broke_again_is_not_refreshed_and_told_as_it_is() {
    let scene = scene(USUAL).await;
    scene.sim.expire(&scene.authorization).unwrap();
    let command = scene.command(refresh(&scene, &["balance"]));
    assert_eq!(scene.run(command).await, Ok(()));
    assert_eq!(scene.reads("refresh", "ok") + scene.reads("refresh", "account_inactive"), 0);
    let happened = scene.happened();
    let Happened::AccountObserved(seen) = &happened[0] else { panic!("{happened:?}") };
    assert_eq!(seen.status, Some(Status::Inactive));
}

#[tokio::test]
async fn what_is_the_platforms_to_do_is_left_to_it() {
    let duties = Duties { refresh: false, reconcile: false };
    let scene = scene(Setting { duties, ..USUAL }).await;
    let command = scene.command(refresh(&scene, &["balance"]));
    assert_eq!(scene.run(command).await, Ok(()));
    assert_eq!(scene.run(scene.command(Body::ReconcileAccounts(reconcile(&scene)))).await, Ok(()));
    assert_eq!((scene.counted("left_to_platform"), scene.happened().len()), (2, 0));
    assert_eq!(refreshed(&scene), [false; 3]);
}

fn reconcile(scene: &Scene) -> ReconcileAccounts {
    ReconcileAccounts {
        about: scene.about(),
        from_authorization: "fcauth_old".into(),
        pairs: Vec::new(),
        unmatched_old: vec!["fca_gone".into(), scene.accounts[0].as_str().into()],
        unmatched_new: Vec::new(),
        doubtful: Vec::new(),
    }
}

#[tokio::test]
async fn a_reconciliation_reads_all_accounts_of_the_holder_and_those_it_does_not_find() {
    let scene = scene(USUAL).await;
    let other = scene.sim.link(Link::of("cus_1", "Cedar Valley Bank", 3)).unwrap();
    scene.sim.link(Link::of("cus_2", "Cedar Valley Bank", 1)).unwrap();
    let command = scene.command(Body::ReconcileAccounts(reconcile(&scene)));
    assert_eq!(scene.run(command).await, Ok(()));
    let happened = scene.happened();
    let seen = |id: &str| {
        happened.iter().any(
            |one| matches!(one, Happened::AccountObserved(seen) if seen.account.as_str() == id),
        )
    };
    assert!(scene.accounts.iter().chain(&other.accounts).all(|id| seen(id)), "{happened:?}");
    assert_eq!(happened.last(), Some(&Happened::AccountMissing("fca_gone".into())));
    assert_eq!((happened.len(), scene.reads("accounts", "ok")), (6, 1));
}

#[tokio::test]
async fn a_session_is_read_back_and_its_secret_stays_with_stripe() {
    let scene = scene(USUAL).await;
    scene.sim.expire(&scene.authorization).unwrap();
    let authorization = Some(scene.authorization.clone());
    let relink = Relink { authorization, send_session: true, ..Relink::default() };
    let session = scene.sim.relink(relink).unwrap().session.unwrap();
    let command = scene.command(Body::VerifyAccounts(VerifyAccounts {
        about: scene.about(),
        accounts: Vec::new(),
        because: Because::Session,
        read_authorization: false,
        session: Some(session.as_str().into()),
    }));
    assert_eq!(scene.run(command).await, Ok(()));
    let happened = scene.happened();
    let Happened::SessionObserved(seen) = &happened[0] else { panic!("{happened:?}") };
    assert_eq!(seen.outcome, Some(RelinkOutcome::Repaired));
    assert_eq!(seen.accounts.len(), 2);
    for delivery in &*scene.observed.lock().unwrap() {
        assert!(!String::from_utf8_lossy(&delivery.body).contains("secret"));
    }
}
