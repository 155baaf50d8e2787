//! One transaction at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use relink_core::aggregate::{State, Takeover};
use relink_core::id::{AccountId, AuthorizationId, HomeKey, ID_BYTES_MAX, Scope};
use relink_core::input::{Happened, Verdict};
use relink_core::observation::{Stamp, Status};
use relink_core::register::Register;
use relink_core::time::Second;
use relink_engine::store::{Store, StoreError, Writes};

use super::sample::{self, Samples};
use super::world::*;

pub(crate) async fn what_was_written_is_loaded_again(store: &dyn Store) {
    let mut samples = Samples::new();
    for round in 0..24 {
        let scope = match round % 3 {
            0 => Scope::own(false),
            1 => Scope::connected(true, "acct_1/odd"),
            _ => Scope::own(true),
        };
        let of = |key: HomeKey| HomeKey { scope: scope.clone(), ..key };
        let keys =
            [of(home(&format!("fcauth_{round}"))), of(provisional(&format!("fca_alone_{round}")))];
        for key in keys {
            let written = samples.draw(sample::aggregate(key.clone()));
            put(store, std::slice::from_ref(&written)).await.unwrap();
            assert_eq!(load(store, &key).await.unwrap(), written);
            let changed = samples.draw(sample::aggregate(key.clone()));
            let changed =
                relink_core::aggregate::Aggregate { accounts: written.accounts.clone(), ..changed };
            put(store, std::slice::from_ref(&changed)).await.unwrap();
            assert_eq!(load(store, &key).await.unwrap(), changed);
        }
    }
}

pub(crate) async fn an_input_is_seen_once_its_row_is_written(store: &dyn Store) {
    let input = observed(&home("fcauth_1"), "fca_1");
    let mut elsewhere = input.clone();
    elsewhere.scope = Scope::own(false);
    let other = ignored("evt_other");
    let inputs = [input.clone(), elsewhere, other];
    assert_eq!(gather_all(store, &inputs).await.1, [false, false, false]);
    let inbox = vec![inbox_row(&input, Verdict::Applied)];
    write_rows(store, Rows { inbox, ..Rows::default() }).await.unwrap();
    assert_eq!(gather_all(store, &inputs).await.1, [true, false, false]);
    let twice = [input.clone(), input];
    assert_eq!(gather_all(store, &twice).await.1, [true, true]);
}

pub(crate) async fn what_cannot_be_decided_writes_nothing(store: &dyn Store) {
    let before = aggregate(home("fcauth_1"), &[("fca_1", account(1))]);
    put(store, std::slice::from_ref(&before)).await.unwrap();
    let inputs = [observed(&before.key, "fca_1"), observed(&home("fcauth_2"), "fca_2")];
    let refuse = decide(|_| Err(1));
    let answer = store.transact(inputs.to_vec().into(), refuse).await;
    assert_eq!(answer.unwrap_err(), StoreError::Undecided(1));
    assert_eq!(gather(store, &inputs).await, [before]);
}

pub(crate) async fn what_was_only_locked_leaves_no_row(store: &dyn Store) {
    let inputs = [observed(&home("fcauth_1"), "fca_1"), named(&home("fcauth_2"))];
    assert_eq!(gather(store, &inputs).await, []);
    for id in ["fca_1", "fcauth_1", "fcauth_2"] {
        assert_eq!(store.find(id).await.unwrap(), []);
    }
    assert_eq!(store.census().await.unwrap().authorizations, []);
}

pub(crate) async fn an_account_moves_from_its_own_home_to_its_authorization(store: &dyn Store) {
    let alone = provisional("fca_1");
    put(store, &[aggregate(alone.clone(), &[("fca_1", account(1))])]).await.unwrap();
    let found = gather(store, &[observed(&home("fcauth_1"), "fca_1")]).await;
    assert_eq!(keys(&found), [alone.clone()].into());
    let left = aggregate(alone.clone(), &[]);
    let entered = aggregate(home("fcauth_1"), &[("fca_1", account(2))]);
    put_moved(store, left, entered.clone(), "fca_1").await;
    assert_eq!(load(store, &alone).await, None, "a void home is gone");
    assert_eq!(store.find("fca_1").await.unwrap(), std::slice::from_ref(&entered));
    assert_eq!(load(store, &entered.key).await.unwrap(), entered);
}

pub(crate) async fn an_account_moves_between_authorizations(store: &dyn Store) {
    let old = home("fcauth_1");
    let both = [("fca_1", account(1)), ("fca_2", account(1))];
    put(store, &[aggregate(old.clone(), &both)]).await.unwrap();
    let left = aggregate(old.clone(), &both[1..]);
    let entered = aggregate(home("fcauth_2"), &[("fca_1", account(2))]);
    put_moved(store, left.clone(), entered.clone(), "fca_1").await;
    assert_eq!(load(store, &old).await.unwrap(), left);
    assert_eq!(load(store, &entered.key).await.unwrap(), entered);
    // Naming one brings its home with all siblings.
    let found = gather(store, &[observed(&old, "fca_1")]).await;
    assert_eq!(found, [left, entered]);
}

pub(crate) async fn an_account_brings_the_homes_it_has_left(store: &dyn Store) {
    let left = [home("fcauth_1"), home("fcauth_2")];
    let mut moved = account(3);
    for (index, key) in left.iter().chain([&home("fcauth_3")]).enumerate() {
        let stamp = Stamp::event(i64::try_from(index).unwrap());
        moved.authorizations.insert(key.home.authorization().unwrap().clone(), (stamp, stamp));
    }
    let all = [
        aggregate(left[0].clone(), &[]),
        // Of the second nothing is known: it must not be made up.
        aggregate(home("fcauth_3"), &[("fca_1", moved)]),
        aggregate(home("fcauth_4"), &[]),
    ];
    put(store, &all).await.unwrap();
    let found = gather(store, &[observed(&home("fcauth_3"), "fca_1")]).await;
    assert_eq!(found, all[..2]);
    assert_eq!(store.find("fcauth_2").await.unwrap(), []);
}

async fn put_moved(
    store: &dyn Store,
    left: relink_core::aggregate::Aggregate,
    entered: relink_core::aggregate::Aggregate,
    id: &'static str,
) {
    let inputs = [observed(&entered.key, id)];
    let write = decide(move |gathered| {
        let mut world = gathered.world;
        let siblings = left.clone();
        world.changed_homes.insert(siblings.key.clone());
        world.insert(siblings);
        change(&mut world, entered.clone());
        Ok(Writes { world, ..Writes::default() })
    });
    store.transact(inputs.into(), write).await.unwrap();
}

pub(crate) async fn a_home_has_a_row_as_soon_as_it_has_an_account(store: &dyn Store) {
    let mut plain = aggregate(home("fcauth_1"), &[("fca_1", account(1)), ("fca_2", account(1))]);
    plain.state = State::default();
    let stored = plain.clone();
    let inputs = [observed(&plain.key, "fca_1"), observed(&plain.key, "fca_2")];
    let write = decide(move |gathered| {
        let mut world = gathered.world;
        change(&mut world, plain.clone());
        world.changed_homes.clear();
        Ok(Writes { world, ..Writes::default() })
    });
    store.transact(inputs.into(), write).await.unwrap();
    assert_eq!(load(store, &stored.key).await.unwrap(), stored);
    assert_eq!(store.census().await.unwrap().authorizations, [("active".to_owned(), 1)]);
}

pub(crate) async fn relatives_are_found_by_their_holder(store: &dyn Store) {
    let of = |id: &str, account_id: &str, customer: &str| {
        aggregate(home(id), &[(account_id, held_by(customer, account(1)))])
    };
    let mut abroad = of("fcauth_test", "fca_test", "cus_1");
    abroad.key.scope = Scope::own(false);
    let alone = aggregate(provisional("fca_alone"), &[("fca_alone", held_by("cus_1", account(1)))]);
    let all = [
        of("fcauth_1", "fca_1", "cus_1"),
        of("fcauth_2", "fca_2", "cus_1"),
        of("fcauth_3", "fca_3", "cus_2"),
        abroad,
        alone,
    ];
    put(store, &all).await.unwrap();
    let see = |id: &str, status| {
        let inputs = [observed_of(&home("fcauth_9"), id, Some(holder("cus_1")), Some(status))];
        async move { keys(&gather(store, &inputs).await) }
    };
    let both = [home("fcauth_1"), home("fcauth_2")];
    assert_eq!(see("fca_new", Status::Active).await, both.clone().into());
    assert_eq!(see("fca_1", Status::Inactive).await, both.into());
    assert_eq!(see("fca_1", Status::Active).await, [home("fcauth_1")].into());
}

pub(crate) async fn a_timer_looks_at_the_taker_and_may_write_it(store: &dyn Store) {
    let mut left = aggregate(home("fcauth_1"), &[]);
    let takeover =
        Takeover { at: Second(NOW_S), by: AuthorizationId::from("fcauth_2"), replaced_by: None };
    left.state.takeovers.insert("fca_1".into(), takeover);
    let taker = aggregate(home("fcauth_2"), &[("fca_1", account(1))]);
    put(store, &[left.clone(), taker.clone()]).await.unwrap();
    let due = input(live(), "timer", Happened::TimerDue(left.key.clone()));
    let found = gather(store, std::slice::from_ref(&due)).await;
    assert_eq!(found, [left, taker.clone()]);
    let mut changed = taker;
    changed.state.cases = 7;
    let expected = changed.clone();
    let write = decide(move |gathered| {
        let mut world = gathered.world;
        world.changed_homes.insert(changed.key.clone());
        world.insert(changed.clone());
        Ok(Writes { world, ..Writes::default() })
    });
    store.transact([due].into(), write).await.unwrap();
    assert_eq!(load(store, &expected.key).await.unwrap(), expected);
}

pub(crate) async fn an_account_that_was_not_named_is_not_written(store: &dyn Store) {
    let write = decide(|gathered| {
        let mut world = gathered.world;
        world.changed_accounts.insert(account_key(&home("fcauth_1"), "fca_1"));
        Ok(Writes { world, ..Writes::default() })
    });
    let answer = store.transact([ignored("evt_1")].into(), write).await;
    assert!(matches!(answer, Err(StoreError::Refused(_))), "{answer:?}");
}

pub(crate) async fn ids_may_be_long(store: &dyn Store) {
    let long = |prefix: &str| format!("{prefix}{}", "x".repeat(ID_BYTES_MAX - prefix.len()));
    let of = home(&long("fcauth_"));
    let stored = aggregate(of.clone(), &[(&long("fca_"), held_by(&long("cus_"), account(1)))]);
    put(store, std::slice::from_ref(&stored)).await.unwrap();
    assert_eq!(load(store, &of).await.unwrap(), stored);
    // Far beyond what Relink accepts: stored or refused, never "try again".
    let huge = home(&"x".repeat(100_000));
    let answer = put(store, &[aggregate(huge, &[])]).await;
    assert!(matches!(answer, Ok(()) | Err(StoreError::Refused(_))), "{answer:?}");
}

pub(crate) async fn a_nul_is_kept_or_refused(store: &dyn Store) {
    let text: Arc<str> = "a\u{0}b".into();
    let named = relink_core::account::Account {
        display_name: Some(Register(Stamp::event(NOW_S), text)),
        ..account(1)
    };
    let in_state = aggregate(home("fcauth_1"), &[("fca_1", named)]);
    let in_id = aggregate(home("fcauth_2"), &[("fca_\u{0}", account(1))]);
    for stored in [in_state, in_id] {
        match put(store, std::slice::from_ref(&stored)).await {
            Ok(()) => assert_eq!(load(store, &stored.key).await.unwrap(), stored),
            Err(error) => assert!(matches!(error, StoreError::Refused(_)), "{error}"),
        }
    }
    put(store, &[aggregate(home("fcauth_3"), &[])]).await.unwrap();
}

pub(crate) async fn a_panic_undoes_and_reaches_the_caller(store: &dyn Store) {
    let inputs = [observed(&home("fcauth_1"), "fca_1")];
    let fail = decide(|_| std::panic::panic_any("as planned"));
    let call = AssertUnwindSafe(store.transact(inputs.into(), fail)).catch_unwind().await;
    assert_eq!(call.unwrap_err().downcast_ref(), Some(&"as planned"));
    assert_eq!(store.find("fca_1").await.unwrap(), []);
    put(store, &[aggregate(home("fcauth_1"), &[("fca_1", account(1))])]).await.unwrap();
    assert!(
        load(store, &home("fcauth_1"))
            .await
            .unwrap()
            .accounts
            .contains_key(&AccountId::from("fca_1"))
    );
}

pub(crate) async fn a_row_twice_in_the_ledger_is_refused(store: &dyn Store) {
    let row = inbox_row(&ignored("evt_1"), Verdict::Applied);
    let inbox = vec![row.clone(), row];
    let answer = write_rows(store, Rows { inbox, ..Rows::default() }).await;
    assert!(matches!(answer, Err(StoreError::Refused(_))), "{answer:?}");
    assert_eq!(store.inbox_row("evt_1").await.unwrap(), None);
}
