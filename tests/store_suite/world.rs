//! Short ways to say what is stored and what happens.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use relink_core::account::Account;
use relink_core::aggregate::{Aggregate, State};
use relink_core::id::{AccountId, AccountKey, AuthorizationId, Home, HomeKey, InputId, Scope};
use relink_core::input::{Happened, Ignored, Input, Verdict};
use relink_core::observation::{
    AccountObservation, AuthorizationObservation, Details, Holder, Stamp, Status,
};
use relink_core::register::Register;
use relink_core::time::{Second, Time};
use relink_engine::store::{
    CaseRow, Decide, Gathered, HistoryRow, InboxRow, OutboxRow, Store, StoreError, Writes,
};

/// 2026-11-22, some time of the day.
pub(crate) const NOW_S: i64 = 1_795_349_850;
pub(crate) const NOW: Time = Time(NOW_S * 1000);

pub(crate) fn live() -> Scope {
    Scope::own(true)
}

pub(crate) fn home(id: &str) -> HomeKey {
    HomeKey { scope: live(), home: Home::Authorization(AuthorizationId::from(id)) }
}

pub(crate) fn provisional(id: &str) -> HomeKey {
    HomeKey { scope: live(), home: Home::Provisional(AccountId::from(id)) }
}

pub(crate) fn account_key(home: &HomeKey, id: &str) -> AccountKey {
    AccountKey { scope: home.scope.clone(), account: AccountId::from(id) }
}

/// An account with this version, living where its authorizations say.
pub(crate) fn account(version: u64) -> Account {
    Account { version, active: Some(Stamp::event(NOW_S)), ..Account::default() }
}

pub(crate) fn holder(id: &str) -> Holder {
    Holder { kind: "customer".into(), id: id.into() }
}

pub(crate) fn held_by(id: &str, account: Account) -> Account {
    Account { holder: Some(Register(Stamp::event(NOW_S), holder(id))), ..account }
}

pub(crate) fn aggregate(home: HomeKey, accounts: &[(&str, Account)]) -> Aggregate {
    let accounts = accounts.iter().map(|(id, one)| (AccountId::from(*id), one.clone()));
    Aggregate {
        key: home,
        state: State { cases: 1, ..State::default() },
        accounts: accounts.collect(),
    }
}

pub(crate) fn input(scope: Scope, id: &str, happened: Happened) -> Input {
    Input { id: InputId::from(id), scope, kind: "some.kind".into(), at: Second(NOW_S), happened }
}

/// Names an account and, unless it is provisional, its home.
pub(crate) fn observed(home: &HomeKey, id: &str) -> Input {
    observed_of(home, id, None, Some(Status::Active))
}

pub(crate) fn observed_of(
    home: &HomeKey,
    id: &str,
    holder: Option<Holder>,
    status: Option<Status>,
) -> Input {
    let mut seen = AccountObservation::of(AccountId::from(id), Stamp::event(NOW_S));
    seen.authorization = home.home.authorization().cloned();
    seen.description.holder = holder;
    seen.status = status;
    let happened = Happened::AccountObserved(Box::new(seen));
    input(home.scope.clone(), &format!("evt_{id}"), happened)
}

/// Names a home: an authorization by its news, a provisional one by its timer.
pub(crate) fn named(home: &HomeKey) -> Input {
    let happened = match &home.home {
        Home::Provisional(_) => Happened::TimerDue(home.clone()),
        Home::Authorization(id) => {
            Happened::AuthorizationObserved(Box::new(AuthorizationObservation {
                authorization: id.clone(),
                stamp: Stamp::event(NOW_S),
                status: None,
                details: Details::Absent,
                holder: None,
                institution: None,
                institution_name: None,
            }))
        }
    };
    input(home.scope.clone(), "evt_named", happened)
}

/// An input that concerns nothing.
pub(crate) fn ignored(id: &str) -> Input {
    input(live(), id, Happened::Ignored(Ignored::UnknownType))
}

pub(crate) fn inbox_row(input: &Input, verdict: Verdict) -> InboxRow {
    InboxRow {
        scope: input.scope.clone(),
        id: input.id.clone(),
        kind: Arc::clone(&input.kind),
        at: input.at,
        verdict,
    }
}

/// Decides once what to write, whatever was gathered.
pub(crate) fn decide(
    work: impl Fn(Gathered) -> Result<Writes, usize> + Send + Sync + 'static,
) -> Decide {
    Arc::new(work)
}

/// Puts aggregates in, all of it counted as changed.
pub(crate) async fn put(store: &dyn Store, aggregates: &[Aggregate]) -> Result<(), StoreError> {
    let mut inputs = Vec::new();
    for one in aggregates {
        inputs.push(named(&one.key));
        inputs.extend(one.accounts.keys().map(|id| observed(&one.key, id.as_str())));
    }
    let aggregates = aggregates.to_vec();
    let write = decide(move |gathered| {
        let mut world = gathered.world;
        for one in &aggregates {
            change(&mut world, one.clone());
        }
        Ok(Writes { world, ..Writes::default() })
    });
    store.transact(inputs.into(), write).await.map(drop)
}

/// Puts an aggregate into the world, all of it counted as changed.
pub(crate) fn change(world: &mut relink_core::world::World, one: Aggregate) {
    let keys = one.accounts.keys().map(|id| account_key(&one.key, id.as_str()));
    world.changed_accounts.extend(keys);
    world.changed_homes.insert(one.key.clone());
    world.insert(one);
}

/// Loads what the inputs want, and writes nothing.
pub(crate) async fn gather(store: &dyn Store, inputs: &[Input]) -> Vec<Aggregate> {
    gather_all(store, inputs).await.0
}

/// Loads what the inputs want, and which of them were seen.
pub(crate) async fn gather_all(store: &dyn Store, inputs: &[Input]) -> (Vec<Aggregate>, Vec<bool>) {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let look = decide(move |gathered| {
        *keep.lock().unwrap() = Some(gathered);
        Ok(Writes::default())
    });
    store.transact(inputs.to_vec().into(), look).await.unwrap();
    let gathered = kept.lock().unwrap().take().unwrap();
    (gathered.world.aggregates().cloned().collect(), gathered.seen)
}

/// Loads a home.
pub(crate) async fn load(store: &dyn Store, home: &HomeKey) -> Option<Aggregate> {
    gather(store, &[named(home)]).await.into_iter().find(|one| one.key == *home)
}

/// Which homes.
pub(crate) fn keys(aggregates: &[Aggregate]) -> BTreeSet<HomeKey> {
    aggregates.iter().map(|one| one.key.clone()).collect()
}

/// Writes rows that belong to no aggregate.
pub(crate) async fn write_rows(store: &dyn Store, rows: Rows) -> Result<Writes, StoreError> {
    let write = decide(move |_| {
        let Rows { inbox, history, outbox, cases } = rows.clone();
        Ok(Writes { inbox, history, outbox, cases, ..Writes::default() })
    });
    store.transact(Arc::new([]), write).await
}

/// Rows that belong to no aggregate.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) inbox: Vec<InboxRow>,
    pub(crate) history: Vec<HistoryRow>,
    pub(crate) outbox: Vec<OutboxRow>,
    pub(crate) cases: Vec<CaseRow>,
}
