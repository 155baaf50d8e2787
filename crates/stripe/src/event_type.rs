//! The event types Relink knows, and what each form of them tells.
//!
//! Source: Stripe docs (financial-connections/webhooks and the changelog up to `2026-10-28`).

use relink_core::input::Ignored;
use relink_core::observation::Status;

/// What an event of a known type is to be read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// The body holds the account; `status` is what the type says where the body does not.
    Account { status: Option<Status> },
    /// The body holds the authorization.
    Authorization,
    /// The body holds the session.
    Session,
    /// The body names the account and holds nothing of it.
    AccountReference { status: Option<Status>, must_read: bool },
    /// The event tells nothing that Relink acts on.
    Ignored(Ignored),
}

/// The features that can be refreshed, as they stand in the names of types.
const FEATURES: [&str; 5] =
    ["balance", "inferred_balances", "ownership", "risk_intelligence", "transactions"];

impl Reading {
    /// Looks a routing key up; `None` where it is not of Financial Connections.
    pub(crate) fn of(routing_key: &str, thin: bool) -> Option<Self> {
        let stem = routing_key.strip_prefix("financial_connections.")?;
        let reading = if thin { Self::of_thin(stem) } else { Self::of_snapshot(stem) };
        Some(reading.unwrap_or(Self::Ignored(Ignored::UnknownType)))
    }

    fn of_snapshot(stem: &str) -> Option<Self> {
        let account = |status| Some(Self::Account { status });
        match stem {
            "account.deactivated" => account(Some(Status::Inactive)),
            "account.reactivated" => account(Some(Status::Active)),
            "account.disconnected" => account(Some(Status::Disconnected)),
            "account.created"
            | "account.expected_deactivation_date_updated"
            | "account.upcoming_deactivation"
            | "account.account_numbers_updated"
            | "account.upcoming_account_number_expiry"
            | "account.supported_payment_method_types_updated" => account(None),
            "authorization.expected_deactivation_date_updated"
            | "authorization.upcoming_deactivation" => Some(Self::Authorization),
            "session.updated" => Some(Self::Session),
            _ if is_refreshed(stem) => account(None),
            _ => None,
        }
    }

    fn of_thin(stem: &str) -> Option<Self> {
        let known =
            |status| Some(Self::AccountReference { status: Some(status), must_read: false });
        match stem {
            "account.deactivated" => known(Status::Inactive),
            "account.reactivated" => known(Status::Active),
            "account.disconnected" => known(Status::Disconnected),
            "account.created"
            | "account.expected_deactivation_date_updated"
            | "account.upcoming_deactivation"
            | "account.account_numbers_updated"
            | "account.upcoming_account_number_expiry" => {
                Some(Self::AccountReference { status: None, must_read: true })
            }
            "account.supported_payment_method_types_updated" => {
                Some(Self::Ignored(Ignored::PaymentMethodTypes))
            }
            _ if is_refreshed(stem) || is_refresh_outcome(stem) => {
                Some(Self::Ignored(Ignored::RefreshOutcome))
            }
            _ => None,
        }
    }
}

/// `account.refreshed_<feature>`.
fn is_refreshed(stem: &str) -> bool {
    stem.strip_prefix("account.refreshed_").is_some_and(|feature| FEATURES.contains(&feature))
}

/// `account.<feature>_refresh_{succeeded,failed}`; these exist in the thin form only.
fn is_refresh_outcome(stem: &str) -> bool {
    stem.strip_prefix("account.")
        .and_then(|rest| {
            rest.strip_suffix("_refresh_succeeded").or_else(|| rest.strip_suffix("_refresh_failed"))
        })
        .is_some_and(|feature| FEATURES.contains(&feature))
}
