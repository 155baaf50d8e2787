//! Values with every field set, or not, to anything.

use std::sync::Arc;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use relink_core::account::Account;
use relink_core::aggregate::{
    Aggregate, Attempt, Case, ClosedCase, Health, Reconcile, State, Summary, Takeover, Verify,
};
use relink_core::command::{Because, CaseOutcome, Reason};
use relink_core::id::{AccountId, AuthorizationId, CaseId, HomeKey, SessionId};
use relink_core::observation::{
    AccountNumber, Action, Forecast, Holder, InactiveDetails, RelinkOutcome, Source, Stamp, Status,
};
use relink_core::register::Register;
use relink_core::time::{Second, Time};

/// Always the same values, in the same order.
pub(crate) struct Samples(TestRunner);

impl Samples {
    pub(crate) fn new() -> Self {
        Self(TestRunner::deterministic())
    }

    pub(crate) fn draw<T: std::fmt::Debug>(&mut self, from: impl Strategy<Value = T>) -> T {
        from.new_tree(&mut self.0).unwrap().current()
    }
}

fn text() -> impl Strategy<Value = Arc<str>> {
    // Anything but NUL, which PostgreSQL refuses.
    "[^\u{0}]{0,12}".prop_map(Arc::from)
}

fn id<T: for<'a> From<&'a str> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "[a-z]{2,6}_[A-Za-z0-9]{1,20}".prop_map(|text| T::from(&text))
}

fn second() -> impl Strategy<Value = Second> {
    prop_oneof![any::<i64>(), 0..4_000_000_000_i64].prop_map(Second)
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![any::<i64>(), 0..4_000_000_000_000_i64].prop_map(Time)
}

fn stamp() -> impl Strategy<Value = Stamp> {
    let source = prop_oneof![Just(Source::Event), Just(Source::Read)];
    (second(), source).prop_map(|(second, source)| Stamp(second, source))
}

fn register<T: std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Register<T>>> {
    of((stamp(), value).prop_map(|(stamp, value)| Register(stamp, value)))
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::RelinkRequired), Just(Action::None), text().prop_map(Action::from)]
}

fn forecast() -> impl Strategy<Value = Option<Forecast>> {
    of((second(), action(), of(text())).prop_map(|(date, action, cause)| Forecast {
        date,
        action,
        cause,
    }))
}

fn holder() -> impl Strategy<Value = Holder> {
    (text(), text()).prop_map(|(kind, id)| Holder { kind, id })
}

fn number() -> impl Strategy<Value = AccountNumber> {
    (any::<bool>(), text(), of(second())).prop_map(|(tokenized, status, expected_expiry)| {
        AccountNumber { tokenized, status, expected_expiry }
    })
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Active), Just(Status::Inactive), Just(Status::Disconnected)]
}

prop_compose! {
    fn facts()(
        active in of(stamp()),
        inactive in of(stamp()),
        disconnected in of(stamp()),
        inactive_details in register((of(text()), action()).prop_map(|(cause, action)| {
            InactiveDetails { cause, action }
        })),
        active_details in register(forecast()),
        authorizations in btree_map(id::<AuthorizationId>(), (stamp(), stamp()), 0..3),
        numbers in register(vec(number(), 0..3)),
    ) -> Account {
        let mut account = Account {
            active, inactive, disconnected, inactive_details, active_details, numbers,
            ..Account::default()
        };
        for (id, (first, latest)) in authorizations {
            account.authorizations.insert(id, (first, latest));
        }
        account
    }
}

prop_compose! {
    pub(crate) fn account()(
        facts in facts(),
        holder in register(holder()),
        texts in proptest::array::uniform5(register(text())),
        permissions in register(vec(text(), 0..3)),
        created in register(second()),
        version in 0..=i64::MAX as u64,
        paused in any::<bool>(),
        replaced_version in of(any::<u64>()),
    ) -> Account {
        let [institution, institution_name, last4, display_name, subcategory] = texts;
        Account {
            holder, institution, institution_name, last4, display_name, subcategory, permissions,
            created, version, paused, replaced_version, ..facts
        }
    }
}

fn verify() -> impl Strategy<Value = Verify> {
    (second(), time(), any::<u32>()).prop_map(|(wanted, asked_at, asked)| Verify {
        wanted,
        because: Because::Siblings,
        asked_at,
        asked,
    })
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let outcome = prop_oneof![
        Just(RelinkOutcome::Repaired),
        Just(RelinkOutcome::Cancelled),
        Just(RelinkOutcome::Abandoned),
        id::<AuthorizationId>().prop_map(RelinkOutcome::NewAuthorization),
        text().prop_map(RelinkOutcome::Failed),
    ];
    (id::<SessionId>(), second(), of(outcome)).prop_map(|(session, at, outcome)| Attempt {
        session,
        at,
        outcome,
    })
}

prop_compose! {
    pub(crate) fn case()(
        id in id::<CaseId>(),
        reason in prop_oneof![Just(Reason::Inactive), Just(Reason::Upcoming), Just(Reason::Numbers)],
        opened_at in time(),
        began_at in of(second()),
        times in proptest::array::uniform3(of(time())),
        escalated in any::<bool>(),
        prompts in 0..i32::MAX as u32,
        reminders in 0..i32::MAX as u32,
        deadline in of(second()),
        named in btree_set(id::<AccountId>(), 0..3),
        attempts in vec(attempt(), 0..3),
    ) -> Case {
        let [prompt_due, prompted_at, reminded_at] = times;
        Case {
            id, reason, opened_at, began_at, prompt_due, prompted_at, reminded_at, escalated, prompts,
            reminders, deadline, named, attempts,
        }
    }
}

prop_compose! {
    fn closed_case()(
        case in case(),
        at in time(),
        outcome in prop_oneof![Just(CaseOutcome::Relinked), Just(CaseOutcome::Moved)],
    ) -> ClosedCase {
        ClosedCase { case, at, outcome }
    }
}

prop_compose! {
    fn summary()(
        health in proptest::sample::select(Health::ALL.to_vec()),
        holder in of(holder()),
        institution_name in of(text()),
        expected_deactivation in of(second()),
        next_due in of(time()),
    ) -> Summary {
        Summary { health, holder, institution_name, expected_deactivation, next_due }
    }
}

fn takeover() -> impl Strategy<Value = Takeover> {
    (id::<AuthorizationId>(), second(), of(id())).prop_map(|(by, at, replaced_by)| Takeover {
        at,
        by,
        replaced_by,
    })
}

prop_compose! {
    fn state()(
        status in register(status()),
        forecast in register(forecast()),
        holder in register(holder()),
        institution_name in register(text()),
        takeovers in btree_map(text(), takeover(), 0..3),
        reconcile in (of(time()), any::<u32>()).prop_map(|(due, sent)| Reconcile { due, sent }),
        // Boxed: as values within values they overflow the stack of a test.
        case in of(case()).boxed(),
        last_case in of(closed_case()).boxed(),
        counts in any::<(u32, u32)>(),
        verifies in btree_map(id::<AccountId>(), verify(), 0..3),
        authorization_verify in of(verify()),
        dates in (
            btree_map(id::<AccountId>(), time(), 0..3),
            btree_map(text(), second(), 0..3),
        ),
        summary in summary(),
    ) -> State {
        State {
            status, forecast, holder, institution_name, takeovers, reconcile, case,
            last_case, cases: counts.0, verifies, authorization_verify, verifies_sent: counts.1,
            rechecks: dates.0, checked_dates: dates.1, summary, ..State::default()
        }
    }
}

/// An aggregate with accounts of this home.
pub(crate) fn aggregate(key: HomeKey) -> impl Strategy<Value = Aggregate> {
    let most = if key.home.is_provisional() { 1 } else { 4 };
    let own = AccountId::from(key.home.as_str());
    let accounts = btree_map(id::<AccountId>(), account(), 1..=most);
    (state(), accounts).prop_map(move |(state, accounts)| {
        let accounts = match most {
            1 => accounts.into_values().map(|one| (own.clone(), one)).collect(),
            _ => accounts,
        };
        Aggregate { key: key.clone(), state, accounts }
    })
}
