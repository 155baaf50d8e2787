//! Many transactions at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use relink_core::id::{AccountId, HomeKey};
use relink_core::input::{Input, Verdict};
use relink_core::observation::{Stamp, Status};
use relink_engine::store::{Decide, Store, Writes};

use super::sample::Samples;
use super::world::*;

const HOMES: usize = 4;
const ACCOUNTS: usize = 12;

/// Where an account of this number lives.
fn home_of(number: usize) -> HomeKey {
    home(&format!("fcauth_{}", number % HOMES))
}

fn account_id(number: usize) -> String {
    format!("fca_{number}")
}

/// Adds one to the version of each account, and to the count of each home that has one of them.
fn increment(numbers: Vec<usize>) -> Decide {
    decide(move |gathered| {
        let mut world = gathered.world;
        for number in &numbers {
            let key = home_of(*number);
            let known = world.get(&key).cloned();
            let mut one =
                known.unwrap_or_else(|| relink_core::aggregate::Aggregate::new(key.clone()));
            let id = AccountId::new(account_id(*number));
            one.accounts.entry(id.clone()).or_insert_with(|| account(0)).version += 1;
            one.state.cases += 1;
            world.changed_accounts.insert(account_key(&key, id.as_str()));
            world.changed_homes.insert(key);
            world.insert(one);
        }
        Ok(Writes { world, ..Writes::default() })
    })
}

pub(crate) async fn no_update_is_lost_and_nothing_deadlocks(store: &dyn Store) {
    let mut samples = Samples::new();
    let sets = proptest::sample::subsequence((0..ACCOUNTS).collect::<Vec<_>>(), 1..=ACCOUNTS);
    let mut expected: BTreeMap<usize, u64> = BTreeMap::new();
    let mut tasks: Vec<Vec<Vec<usize>>> = Vec::new();
    for _ in 0..8 {
        let mut task = Vec::new();
        for _ in 0..15 {
            let mut numbers = samples.draw(&sets);
            // The order of inputs must not matter for the order of locks.
            numbers.reverse();
            for number in &numbers {
                *expected.entry(*number).or_default() += 1;
            }
            task.push(numbers);
        }
        tasks.push(task);
    }
    join_all(tasks.into_iter().map(|task| async move {
        for numbers in task {
            let inputs: Vec<Input> = numbers
                .iter()
                .map(|number| observed(&home_of(*number), &account_id(*number)))
                .collect();
            store.transact(inputs.into(), increment(numbers)).await.unwrap();
        }
    }))
    .await;
    for number in 0..HOMES {
        let loaded = load(store, &home_of(number)).await.unwrap();
        let of_home = expected.iter().filter(|(one, _)| *one % HOMES == number);
        let of_all: u64 = of_home.clone().map(|(_, count)| count).sum();
        assert_eq!(u64::from(loaded.state.cases), of_all);
        for (one, count) in of_home {
            assert_eq!(loaded.accounts[&AccountId::new(account_id(*one))].version, *count);
        }
    }
}

pub(crate) async fn two_accounts_may_enter_a_new_home_at_once(store: &dyn Store) {
    for round in 0..10 {
        let key = home(&format!("fcauth_{round}"));
        let enter = |id: String| {
            let entered = key.clone();
            let inputs = [observed(&key, &id)];
            let write = decide(move |gathered| {
                let mut world = gathered.world;
                let known = world.get(&entered).cloned();
                let mut one = known
                    .unwrap_or_else(|| relink_core::aggregate::Aggregate::new(entered.clone()));
                one.accounts.insert(AccountId::from(&*id), account(1));
                one.state.cases += 1;
                world.changed_accounts.insert(account_key(&entered, &id));
                world.changed_homes.insert(entered.clone());
                world.insert(one);
                Ok(Writes { world, ..Writes::default() })
            });
            store.transact(inputs.into(), write)
        };
        for entered in join_all((0..4).map(|one| enter(format!("fca_{round}_{one}")))).await {
            entered.unwrap();
        }
        let loaded = load(store, &key).await.unwrap();
        assert_eq!((loaded.accounts.len(), loaded.state.cases), (4, 4));
    }
}

pub(crate) async fn the_same_new_account_is_made_once(store: &dyn Store) {
    for round in 0..10 {
        let alone = provisional(&format!("fca_{round}"));
        let first = Arc::new(AtomicU64::new(0));
        let make = || {
            let (alone, first) = (alone.clone(), Arc::clone(&first));
            let inputs = [observed(&alone, alone.home.as_str())];
            let write = decide(move |gathered| {
                let mut world = gathered.world;
                let known = world.get(&alone).cloned();
                first.fetch_add(u64::from(known.is_none()), Ordering::SeqCst);
                let mut one =
                    known.unwrap_or_else(|| relink_core::aggregate::Aggregate::new(alone.clone()));
                let id = AccountId::from(alone.home.as_str());
                one.accounts.entry(id).or_insert_with(|| account(0)).version += 1;
                change(&mut world, one);
                Ok(Writes { world, ..Writes::default() })
            });
            store.transact(inputs.into(), write)
        };
        for made in join_all((0..4).map(|_| make())).await {
            made.unwrap();
        }
        assert_eq!(first.load(Ordering::SeqCst), 1);
        let loaded = load(store, &alone).await.unwrap();
        assert_eq!(loaded.accounts.values().next().unwrap().version, 4);
    }
}

pub(crate) async fn a_link_and_a_deactivation_of_one_holder_see_each_other(store: &dyn Store) {
    for round in 0..10 {
        let customer = format!("cus_{round}");
        let (old, new) =
            (home(&format!("fcauth_old_{round}")), home(&format!("fcauth_new_{round}")));
        let (old_id, new_id) = (format!("fca_old_{round}"), format!("fca_new_{round}"));
        let linked = held_by(&customer, account(1));
        put(store, &[aggregate(old.clone(), &[(&old_id, linked.clone())])]).await.unwrap();

        let saw = Arc::new(AtomicU64::new(0));
        let inactive = relink_core::account::Account {
            inactive: Some(Stamp::event(NOW_S + 1)),
            ..linked.clone()
        };
        let link = {
            let (saw, old, id) = (Arc::clone(&saw), old.clone(), old_id.clone());
            let new = aggregate(new.clone(), &[(&new_id, linked)]);
            decide(move |gathered| {
                let mut world = gathered.world;
                let sibling = &world.get(&old).unwrap().accounts[&AccountId::from(&*id)];
                saw.fetch_add(u64::from(sibling.is_inactive()), Ordering::SeqCst);
                change(&mut world, new.clone());
                Ok(Writes { world, ..Writes::default() })
            })
        };
        let deactivate = {
            let (saw, new) = (Arc::clone(&saw), new.clone());
            let inactive = aggregate(old.clone(), &[(&old_id, inactive)]);
            decide(move |gathered| {
                let mut world = gathered.world;
                saw.fetch_add(u64::from(world.get(&new).is_some()), Ordering::SeqCst);
                change(&mut world, inactive.clone());
                Ok(Writes { world, ..Writes::default() })
            })
        };
        let of = |key: &HomeKey, id: &str, status| {
            [observed_of(key, id, Some(holder(&customer)), Some(status))].into()
        };
        let (one, other) = futures_util::join!(
            store.transact(of(&new, &new_id, Status::Active), link),
            store.transact(of(&old, &old_id, Status::Inactive), deactivate),
        );
        one.unwrap();
        other.unwrap();
        assert_eq!(saw.load(Ordering::SeqCst), 1, "the second sees the first");
    }
}

pub(crate) async fn of_two_twins_one_is_seen(store: &dyn Store) {
    for round in 0..10 {
        // Nothing to lock in common: only the ledger can tell.
        let twin = ignored(&format!("evt_{round}"));
        let written = || {
            let row = inbox_row(&twin, Verdict::Applied);
            let write = decide(move |gathered| {
                let fresh = !gathered.seen[0];
                let inbox = fresh.then(|| row.clone()).into_iter().collect();
                Ok(Writes { inbox, ..Writes::default() })
            });
            store.transact([twin.clone()].into(), write)
        };
        let answers = join_all((0..4).map(|_| written())).await;
        let rows: usize = answers.into_iter().map(|answer| answer.unwrap().inbox.len()).sum();
        assert_eq!(rows, 1);
    }
}
