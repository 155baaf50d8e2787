//! The writes: make a session, refresh, subscribe, disconnect. The same idempotency key gives the
//! same answer again; unlike at Stripe, an error is not kept.

use serde_json::Value;

use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::error::SimError;
use crate::model::{Account, Holder, RefreshStatus, Status};
use crate::render;
use crate::session::NewSession;
use crate::state::State;
use crate::verb::Feature;
use crate::version::Shape;

/// How many idempotency keys are kept; Stripe keeps them for a day.
const MAX_REPLAYS: usize = 10_000;

/// What a session may ask for (Stripe's API: create a session, `permissions`).
const PERMISSIONS: [&str; 4] = ["balances", "ownership", "payment_method", "transactions"];

/// The parameters of a session that only preview versions have, whatever stands in brackets
/// behind them.
const PREVIEW_ONLY: [&str; 3] = ["relink_options", "ui_mode", "hosted"];

/// Answers a write; `None` if there is no such URL.
pub(crate) fn answer(
    state: &mut State,
    call: &Call,
    path: &str,
    form: &[u8],
    segments: &[&str],
) -> Option<Result<Value, Failure>> {
    let request = format!("{path}?{}", String::from_utf8_lossy(form));
    if let Some(key) = &call.idempotency_key
        && let Some((first, body)) = state.replays.get(key)
    {
        return Some(if *first == request {
            Ok(body.clone())
        } else {
            Err(Failure::idempotency())
        });
    }
    let answer = match segments {
        ["financial_connections", "sessions"] => create_session(state, call),
        ["financial_connections", "accounts", id, "refresh"] => refresh(state, call, id),
        ["financial_connections", "accounts", id, "subscribe"] => subscribe(state, call, id),
        ["financial_connections", "accounts", id, "unsubscribe"] => unsubscribe(state, call, id),
        ["financial_connections", "accounts", id, "disconnect"] => disconnect(state, call, id),
        _ => return None,
    };
    if let (Some(key), Ok(body)) = (&call.idempotency_key, &answer) {
        if state.replays.len() >= MAX_REPLAYS {
            state.replays.clear();
        }
        state.replays.insert(key.clone(), (request, body.clone()));
    }
    Some(answer)
}

fn create_session(state: &mut State, call: &Call) -> Result<Value, Failure> {
    let permissions: Vec<String> =
        call.array("permissions").into_iter().map(String::from).collect();
    if permissions.is_empty() {
        return Err(Failure::parameter("permissions", "Missing required param: permissions."));
    }
    let unknown = permissions.iter().find(|one| !PERMISSIONS.contains(&one.as_str()));
    if let Some(one) = unknown {
        let message = format!("Invalid permissions: must be one of {PERMISSIONS:?}, not {one}");
        return Err(Failure::parameter("permissions", message));
    }
    if call.shape != Shape::Preview
        && let Some(name) = PREVIEW_ONLY.into_iter().find(|name| call.names(name))
    {
        let message = format!("Received unknown parameter: {name}");
        return Err(Failure::coded("parameter_unknown", message));
    }
    let holder = call.param("account_holder[customer]").map(|id| Holder::Customer(id.into()));
    let holder = holder
        .or_else(|| call.param("account_holder[account]").map(|id| Holder::Account(id.into())));
    let relink_authorization = call.param("relink_options[authorization]").map(String::from);
    let relink_account = call.param("relink_options[account]").map(String::from);
    let (authorization, account) = (relink_authorization.as_deref(), relink_account.as_deref());
    let relinked = relinked_holder(state, call, holder.as_ref(), authorization, account)?;
    let hosted = call.param("ui_mode") == Some("hosted");
    let hosted = hosted.then(|| call.param("hosted[delivery_method]").unwrap_or("url").into());
    let id = state.add_session(NewSession {
        stripe_account: call.stripe_account.clone(),
        holder: holder.or(relinked),
        permissions,
        relink_authorization,
        relink_account,
        hosted,
        return_url: call.param("return_url").map(String::from),
        host: call.host.clone(),
    });
    let session = state.sessions.get(&id).ok_or_else(Failure::server)?;
    Ok(state.render_session(session, call.shape))
}

/// Checks what a relink session is for; the holder of the authorization, if it names one.
fn relinked_holder(
    state: &State,
    call: &Call,
    holder: Option<&Holder>,
    authorization: Option<&str>,
    account: Option<&str>,
) -> Result<Option<Holder>, Failure> {
    let relinked = authorization.map(|id| match state.authorizations.get(id) {
        Some(of) if of.stripe_account == call.stripe_account => Ok(of.holder.clone()),
        _ => Err(Failure::missing("financial connections authorization", id)),
    });
    let relinked = relinked.transpose()?;
    if let (Some(given), Some(own)) = (holder, &relinked)
        && given != own
    {
        let message = "The account holder must be that of the authorization.";
        return Err(Failure::parameter("account_holder", message));
    }
    if let Some(id) = account {
        let of = state.accounts.get(id).map(|account| account.authorization.as_str());
        if of != authorization {
            let message = "The account must belong to the authorization.";
            return Err(Failure::parameter("relink_options[account]", message));
        }
    }
    Ok(relinked)
}

/// Refreshes end at once: the answer says pending, the events follow.
fn refresh(state: &mut State, call: &Call, id: &str) -> Result<Value, Failure> {
    active_account(state, call, id)?;
    let features = features(call, feature)?;
    refresh_all(state, call, id, &features)
}

/// Subscribes, and starts the first refresh of what is new in it, as Stripe's own example shows.
fn subscribe(state: &mut State, call: &Call, id: &str) -> Result<Value, Failure> {
    let permissions = active_account(state, call, id)?.permissions.clone();
    let mut features = features(call, subscribed_feature)?;
    let permission_of = |feature| match feature {
        Feature::Transactions => "transactions",
        Feature::Ownership => "ownership",
        Feature::Balance | Feature::InferredBalances => "balances",
    };
    let has = |permission: &str| permissions.iter().any(|one| one == permission);
    if let Some(missing) = features.iter().map(|one| permission_of(*one)).find(|one| !has(one)) {
        let message = format!("The account holder has not given the permission {missing}.");
        return Err(Failure::parameter("features", message));
    }
    let account = state.account_mut(id).map_err(refused)?;
    features.retain(|feature| account.subscriptions.insert(*feature));
    refresh_all(state, call, id, &features)
}

fn unsubscribe(state: &mut State, call: &Call, id: &str) -> Result<Value, Failure> {
    own_account(state, call, id)?;
    let features = features(call, subscribed_feature)?;
    let account = state.account_mut(id).map_err(refused)?;
    account.subscriptions.retain(|feature| !features.contains(feature));
    let account = own_account(state, call, id)?;
    Ok(render::account(account, call.shape, state.config.livemode))
}

fn disconnect(state: &mut State, call: &Call, id: &str) -> Result<Value, Failure> {
    own_account(state, call, id)?;
    state.disconnect(id).map_err(refused)?;
    let account = own_account(state, call, id)?;
    Ok(render::account(account, call.shape, state.config.livemode))
}

/// The account as it is while refreshes are pending; they have ended when this returns.
fn refresh_all(
    state: &mut State,
    call: &Call,
    id: &str,
    features: &[Feature],
) -> Result<Value, Failure> {
    for feature in features {
        state.refresh(id, *feature, RefreshStatus::Pending).map_err(refused)?;
    }
    let account = own_account(state, call, id)?;
    let pending = render::account(account, call.shape, state.config.livemode);
    for feature in features {
        state.refresh(id, *feature, RefreshStatus::Succeeded).map_err(refused)?;
    }
    Ok(pending)
}

fn own_account<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a Account, Failure> {
    let account = state.accounts.get(id).filter(|a| a.stripe_account == call.stripe_account);
    account.ok_or_else(|| Failure::missing("financial connections account", id))
}

fn active_account<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a Account, Failure> {
    let account = own_account(state, call, id)?;
    if account.status == Status::Active {
        return Ok(account);
    }
    let message = "The account is inactive; its data cannot be refreshed.";
    Err(Failure::coded("financial_connections_account_inactive", message))
}

/// The parameter `features[]`: at least one, and each of them known.
fn features(
    call: &Call,
    known: fn(&str, Shape) -> Option<Feature>,
) -> Result<Vec<Feature>, Failure> {
    let one = |name: &str| {
        let unknown = || Failure::parameter("features", format!("Invalid features: {name}"));
        known(name, call.shape).ok_or_else(unknown)
    };
    let features: Vec<_> = call.array("features").into_iter().map(one).collect::<Result<_, _>>()?;
    if features.is_empty() {
        return Err(Failure::parameter("features", "Missing required param: features."));
    }
    Ok(features)
}

fn feature(name: &str, shape: Shape) -> Option<Feature> {
    match name {
        "balance" => Some(Feature::Balance),
        "ownership" => Some(Feature::Ownership),
        "transactions" => Some(Feature::Transactions),
        "inferred_balances" if shape == Shape::Preview => Some(Feature::InferredBalances),
        _ => None,
    }
}

/// Transactions; in preview versions balances as well.
fn subscribed_feature(name: &str, shape: Shape) -> Option<Feature> {
    feature(name, shape).filter(|feature| match feature {
        Feature::Transactions => true,
        Feature::Balance | Feature::InferredBalances => shape == Shape::Preview,
        Feature::Ownership => false,
    })
}

fn refused(error: SimError) -> Failure {
    Failure::invalid(error.to_string())
}
