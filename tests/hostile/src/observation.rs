//! What was read of Stripe, as a message that anybody with write permission could have made.

use std::sync::Arc;

use relink_bus::envelope::{Observed, ObservedKind, observation};
use relink_core::id::Scope;
use relink_core::time::Time;
use relink_engine::parked;
use relink_engine::row;
use serde_json::value::RawValue;

use crate::event::delivery;
use crate::seed::{EVENTS, OBJECTS};
use crate::source::Source;

/// What was made of an object is read again; what was altered is read or parked.
pub(crate) fn run(source: &mut Source<'_>) {
    let kind =
        *source.pick(&[ObservedKind::Account, ObservedKind::Authorization, ObservedKind::Session]);
    let mut object = source.pick(&OBJECTS).clone();
    let places = source.below(4);
    source.alter(&mut object, &EVENTS.names, places);
    let object = RawValue::from_string(object.to_string()).unwrap();
    let scope = if source.one_in(2) { Scope::own(true) } else { Scope::connected(true, "acct_1") };
    let observed = Observed {
        stripe_account: scope.stripe_account.as_deref().map(str::to_owned),
        livemode: scope.livemode,
        read_at: source.number(),
        object: (!source.one_in(6)).then_some(&*object),
    };
    let because = source.one_in(2).then(|| Arc::from("live:fcauth_1:verify-3"));
    let made = observation(kind, "fca_1", &scope, &observed, because, Time(source.number()));
    let message = made.unwrap();
    let mut delivery = delivery(&message);
    if let Ok(input) = relink_worker_lifecycle::decode(&delivery) {
        assert_eq!(input.id.as_str(), &*message.id);
        assert_eq!((&input.scope, input.at.0), (&scope, observed.read_at));
    }
    let mut body = message.body.to_vec();
    source.damage(&mut body);
    delivery.body = body.into();
    delivery.kind = source.one_in(2).then(|| source.text().into());
    if let Ok(input) = relink_worker_lifecycle::decode(&delivery) {
        assert!(!input.id.as_str().is_empty());
    }
    let _ = relink_worker_upcoming::decode(&delivery);
    // As a person would see it, were it parked.
    let shown = parked::shown(&delivery.body).to_string();
    assert!(!shown.contains("_secret_"), "{shown}");
    let headers = row::headers(&delivery.headers).unwrap();
    assert!(headers.starts_with('{'));
}
