//! Event types and the two forms of an event body.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock::iso_ms;

/// Every snapshot event type the simulator makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are Stripe's own names")]
pub enum EventType {
    AccountCreated,
    AccountDeactivated,
    AccountReactivated,
    AccountDisconnected,
    AccountUpcomingDeactivation,
    AccountExpectedDeactivationDateUpdated,
    AccountAccountNumbersUpdated,
    AccountUpcomingAccountNumberExpiry,
    AccountSupportedPaymentMethodTypesUpdated,
    AccountRefreshedBalance,
    AccountRefreshedOwnership,
    AccountRefreshedTransactions,
    AccountRefreshedInferredBalances,
    AuthorizationUpcomingDeactivation,
    AuthorizationExpectedDeactivationDateUpdated,
    SessionUpdated,
}

impl EventType {
    /// Stripe's name of the snapshot event.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccountCreated => "financial_connections.account.created",
            Self::AccountDeactivated => "financial_connections.account.deactivated",
            Self::AccountReactivated => "financial_connections.account.reactivated",
            Self::AccountDisconnected => "financial_connections.account.disconnected",
            Self::AccountUpcomingDeactivation => {
                "financial_connections.account.upcoming_deactivation"
            }
            Self::AccountExpectedDeactivationDateUpdated => {
                "financial_connections.account.expected_deactivation_date_updated"
            }
            Self::AccountAccountNumbersUpdated => {
                "financial_connections.account.account_numbers_updated"
            }
            Self::AccountUpcomingAccountNumberExpiry => {
                "financial_connections.account.upcoming_account_number_expiry"
            }
            Self::AccountSupportedPaymentMethodTypesUpdated => {
                "financial_connections.account.supported_payment_method_types_updated"
            }
            Self::AccountRefreshedBalance => "financial_connections.account.refreshed_balance",
            Self::AccountRefreshedOwnership => "financial_connections.account.refreshed_ownership",
            Self::AccountRefreshedTransactions => {
                "financial_connections.account.refreshed_transactions"
            }
            Self::AccountRefreshedInferredBalances => {
                "financial_connections.account.refreshed_inferred_balances"
            }
            Self::AuthorizationUpcomingDeactivation => {
                "financial_connections.authorization.upcoming_deactivation"
            }
            Self::AuthorizationExpectedDeactivationDateUpdated => {
                "financial_connections.authorization.expected_deactivation_date_updated"
            }
            Self::SessionUpdated => "financial_connections.session.updated",
        }
    }

    /// Whether only preview destinations get it.
    pub fn is_preview_only(self) -> bool {
        matches!(self, Self::SessionUpdated | Self::AccountRefreshedInferredBalances)
    }

    /// Whether Stripe has a thin form of it: account events only, and not the preview-only one.
    pub fn has_thin_form(self) -> bool {
        self.name().starts_with("financial_connections.account.") && !self.is_preview_only()
    }
}

/// One event as it is kept: rendered once, in the version of the destination.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    /// Counts events without gaps, so that one is found by arithmetic.
    pub(crate) sequence: usize,
    pub(crate) kind: EventType,
    pub(crate) created_unix_s: i64,
    pub(crate) stripe_account: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) delivered: bool,
    /// Milliseconds, for the thin form.
    pub(crate) created_unix_ms: i64,
    /// The object the event is about.
    pub(crate) object_id: String,
}

/// The envelope of a snapshot event.
pub(crate) struct Envelope<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: EventType,
    pub(crate) api_version: &'a str,
    pub(crate) created_unix_s: i64,
    pub(crate) livemode: bool,
    pub(crate) stripe_account: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) pending_webhooks: u32,
}

impl Envelope<'_> {
    pub(crate) fn around(&self, object: Value) -> Value {
        let mut event = json!({
            "id": self.id,
            "object": "event",
            "api_version": self.api_version,
            "created": self.created_unix_s,
            "data": { "object": object },
            "livemode": self.livemode,
            "pending_webhooks": self.pending_webhooks,
            "request": { "id": self.request_id, "idempotency_key": null },
            "type": self.kind.name(),
        });
        if let Some(account) = self.stripe_account {
            event["account"] = account.into();
        }
        event
    }
}

/// The thin notification of an event, under an id of its own.
pub(crate) fn thin(event: &Event, id: &str, livemode: bool) -> Value {
    let mut thin = json!({
        "id": id,
        "object": "v2.core.event",
        "created": iso_ms(event.created_unix_ms),
        "livemode": livemode,
        "related_object": {
            "id": event.object_id,
            "type": "financial_connections.account",
            "url": format!("/v1/financial_connections/accounts/{}", event.object_id),
        },
        "snapshot_event": event.id,
        "type": format!("v1.{}", event.kind.name()),
    });
    if let Some(account) = &event.stripe_account {
        thin["context"] = account.as_str().into();
    }
    thin
}
