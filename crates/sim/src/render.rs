//! Objects as JSON, in the shape of a version.

use serde_json::{Map, Value, json};

use crate::model::{
    Account, Authorization, Forecast, Holder, Institution, Refresh, RefreshStatus, Session, Status,
};
use crate::verb::Feature;
use crate::version::Shape;

/// How long Stripe makes callers wait between two refreshes of the same data.
const REFRESH_INTERVAL_S: i64 = 12 * 3600;

pub(crate) fn account(account: &Account, shape: Shape, livemode: bool) -> Value {
    let preview = shape == Shape::Preview;
    let refreshes = &account.refreshes;
    let mut object = json!({
        "id": account.id,
        "object": "financial_connections.account",
        "account_holder": holder(&account.holder),
        "balance": balance(account),
        "balance_refresh": refresh(refreshes.balance.as_ref()),
        "category": account.category(),
        "created": account.created_unix_s,
        "display_name": account.display_name,
        "institution_name": account.institution.name,
        "last4": account.last4,
        "livemode": livemode,
        "ownership": account.ownership,
        "ownership_refresh": refresh(refreshes.ownership.as_ref()),
        "permissions": account.permissions,
        "status": account.status,
        "subcategory": account.subcategory,
        "subscriptions": subscriptions(account, shape),
        "supported_payment_method_types": account.payment_methods(),
        "transaction_refresh": refresh(refreshes.transactions.as_ref()),
    });
    if shape != Shape::Dated {
        object["status_details"] = account_details(account, preview);
        object["account_numbers"] = numbers(account);
    }
    if preview {
        object["authorization"] = account.authorization.as_str().into();
        object["institution"] = account.institution.id.as_str().into();
        object["inferred_balances_refresh"] = refresh(refreshes.inferred_balances.as_ref());
    }
    object
}

pub(crate) fn authorization(of: &Authorization, shape: Shape, livemode: bool) -> Value {
    let mut details = Map::new();
    if let Some(Forecast { date_unix_s, action, .. }) = &of.forecast {
        let active = json!({ "action": action, "expected_deactivation_date": date_unix_s });
        details.insert("active".into(), active);
    } else if let Some(action) = &of.inactive {
        details.insert("inactive".into(), json!({ "action": action }));
    }
    let mut object = json!({
        "id": of.id,
        "object": "financial_connections.authorization",
        "institution_name": of.institution.name,
        "livemode": livemode,
        "status": of.status,
        "status_details": details,
    });
    if shape == Shape::Preview {
        object["account_holder"] = holder(&of.holder);
        object["institution"] = of.institution.id.as_str().into();
    }
    object
}

pub(crate) fn institution(institution: &Institution, livemode: bool) -> Value {
    let supported = json!({ "supported": true });
    json!({
        "id": institution.id,
        "object": "financial_connections.institution",
        "countries": ["US"],
        "features": {
            "balances": supported,
            "ownership": supported,
            "payment_method": supported,
            "transactions": supported,
        },
        "livemode": livemode,
        "name": institution.name,
        "routing_numbers": ["110000000"],
        "status": "active",
        "url": null,
    })
}

/// A session; its accounts are passed in because a session only knows their ids.
pub(crate) fn session(of: &Session, accounts: Vec<Value>, shape: Shape, livemode: bool) -> Value {
    let hosted_by_url = of.hosted.as_deref() == Some("url") && of.status == "pending";
    let secret = (of.hosted.is_none() && of.status == "pending").then_some(&of.client_secret);
    let mut object = json!({
        "id": of.id,
        "object": "financial_connections.session",
        "account_holder": of.holder.as_ref().map(holder),
        "accounts": {
            "object": "list",
            "data": accounts,
            "has_more": false,
            "url": "/v1/financial_connections/accounts",
        },
        "client_secret": secret,
        "filters": { "account_subcategories": null, "country": "US" },
        "livemode": livemode,
        "permissions": of.permissions,
        "prefetch": [],
    });
    if let Some(url) = &of.return_url {
        object["return_url"] = url.as_str().into();
    }
    if shape != Shape::Preview {
        return object;
    }
    object["status"] = of.status.into();
    object["status_details"] = match of.status {
        "cancelled" => json!({ "cancelled": { "reason": "other" } }),
        _ => json!({}),
    };
    object["ui_mode"] = if of.hosted.is_some() { "hosted" } else { "modal" }.into();
    object["hosted"] = match &of.hosted {
        Some(method) => json!({ "delivery_method": method, "return_url": of.return_url }),
        None => Value::Null,
    };
    object["url"] = match &of.host {
        _ if !hosted_by_url => Value::Null,
        Some(host) => format!("http://{host}/hosted/{}", of.id).into(),
        None => format!("https://connect.stripe.example/relink/{}", of.id).into(),
    };
    if let Some(authorization) = &of.relink_authorization {
        object["relink_options"] =
            json!({ "account": of.relink_account, "authorization": authorization });
    }
    if let Some(result) = &of.result {
        object["relink_result"] = json!({
            "account": result.account,
            "authorization": result.authorization,
            "failure_reason": result.failure_reason,
        });
    }
    object
}

fn holder(holder: &Holder) -> Value {
    match holder {
        Holder::Customer(id) => json!({ "customer": id, "type": "customer" }),
        Holder::Account(id) => json!({ "account": id, "type": "account" }),
    }
}

/// At most one of `active` and `inactive`; `{}` when nothing is known. GA has no `inactive`.
fn account_details(account: &Account, preview: bool) -> Value {
    match (account.status, &account.forecast, &account.inactive) {
        (Status::Active, Some(Forecast { date_unix_s, cause, action }), _) => json!({ "active": {
            "action": action,
            "cause": cause,
            "expected_deactivation_date": date_unix_s,
        } }),
        (Status::Inactive, _, Some(inactive)) if preview => json!({ "inactive": inactive }),
        _ => json!({}),
    }
}

fn numbers(account: &Account) -> Value {
    let kind = if account.number.tokenized { "tokenized_account_number" } else { "account_number" };
    json!([{
        "expected_expiry_date": account.number.expires_unix_s,
        "identifier_type": kind,
        "status": account.number.status,
        "supported_networks": ["ach"],
    }])
}

/// Stripe subscribes to transactions only, but in preview.
fn subscriptions(account: &Account, shape: Shape) -> Value {
    let is_known =
        |feature: &&Feature| shape == Shape::Preview || **feature == Feature::Transactions;
    account.subscriptions.iter().filter(is_known).map(|feature| json!(feature)).collect()
}

fn balance(account: &Account) -> Value {
    let Some((minor, as_of)) = account.balance else {
        return Value::Null;
    };
    let current = json!({ "usd": minor });
    match account.category() {
        "credit" => json!({
            "as_of": as_of, "credit": { "used": current }, "current": current, "type": "credit",
        }),
        _ => json!({
            "as_of": as_of, "cash": { "available": current }, "current": current, "type": "cash",
        }),
    }
}

fn refresh(refresh: Option<&Refresh>) -> Value {
    let Some(refresh) = refresh else {
        return Value::Null;
    };
    let next = (refresh.status != RefreshStatus::Pending)
        .then_some(refresh.attempted_unix_s + REFRESH_INTERVAL_S);
    let mut object = json!({
        "last_attempted_at": refresh.attempted_unix_s,
        "next_refresh_available_at": next,
        "status": refresh.status,
    });
    if let Some(id) = &refresh.id {
        object["id"] = id.as_str().into();
    }
    object
}
