//! Exchanges, queues and bindings as data: what `relink migrate` declares and every role checks.

use std::time::Duration;

/// A durable topic exchange.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Exchange {
    /// Stripe's events as they came, and observations.
    Events,
    /// Follow-up commands.
    Commands,
}

impl Exchange {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Events, Self::Commands];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "relink.events",
            Self::Commands => "relink.commands",
        }
    }
}

/// A queue that a worker consumes, with its retry ladder and its place for parked messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WorkQueue {
    /// Facts about accounts, ended sessions, observations, and types nobody knows yet.
    Lifecycle,
    /// Forecasts: they come in bank-wide waves and must not delay facts.
    Upcoming,
    /// Commands that need Stripe.
    Followup,
}

/// The rungs of the retry ladder: name and time to live. Short at first, because most of
/// Stripe's 429 and 5xx pass within seconds; the last one outlives a deploy of theirs.
pub const RETRY_LADDER: [(&str, Duration); 4] = [
    ("1s", Duration::from_secs(1)),
    ("15s", Duration::from_secs(15)),
    ("2m", Duration::from_secs(120)),
    ("15m", Duration::from_secs(900)),
];

/// How often a quorum queue hands a message out before it goes to the parked queue.
///
/// Positive on purpose: `-1` means "drop after the first requeue" on RabbitMQ 3.10 and
/// "unlimited" on 4.x. High, because hand-backs during an outage of the database and crashes of
/// innocent neighbours count too; it only has to stop a message that kills its worker each time.
pub const DELIVERY_LIMIT: i64 = 50;

/// How often a parked queue hands a message out: as often as anybody looks.
///
/// Looking takes messages and hands them back, which counts. Without a number of its own a quorum
/// queue of RabbitMQ 4 has a limit of 20 and, as nothing stands behind a parked queue, then drops
/// the message (RabbitMQ docs, "Quorum queues: poison message handling").
pub const PARKED_DELIVERY_LIMIT: i64 = i32::MAX as i64;

/// The queue that whoever looks at parked messages has to himself meanwhile, and that is there no
/// longer than that: what one takes to look at it, another would not see.
pub const PARKED_DESK: &str = "relink.parked.desk";

/// Where ingress sends a copy of types that have no binding of their own.
pub const UNKNOWN_TYPE_KEY: &str = "relink.unknown";

/// Routing key of an account read back.
pub const OBSERVED_ACCOUNT_KEY: &str = "relink.observed.account";
/// Routing key of an authorization read back.
pub const OBSERVED_AUTHORIZATION_KEY: &str = "relink.observed.authorization";
/// Routing key of a session read back.
pub const OBSERVED_SESSION_KEY: &str = "relink.observed.session";

/// Types of facts, without a leading `v1.`; Stripe docs, "Financial Connections webhooks".
pub const LIFECYCLE_KEYS: [&str; 26] = [
    "financial_connections.account.created",
    "financial_connections.account.deactivated",
    "financial_connections.account.reactivated",
    "financial_connections.account.disconnected",
    "financial_connections.account.account_numbers_updated",
    "financial_connections.account.upcoming_account_number_expiry",
    "financial_connections.account.supported_payment_method_types_updated",
    "financial_connections.account.refreshed_balance",
    "financial_connections.account.refreshed_ownership",
    "financial_connections.account.refreshed_transactions",
    "financial_connections.account.refreshed_inferred_balances",
    "financial_connections.account.balance_refresh_succeeded",
    "financial_connections.account.balance_refresh_failed",
    "financial_connections.account.inferred_balances_refresh_succeeded",
    "financial_connections.account.inferred_balances_refresh_failed",
    "financial_connections.account.ownership_refresh_succeeded",
    "financial_connections.account.ownership_refresh_failed",
    "financial_connections.account.risk_intelligence_refresh_succeeded",
    "financial_connections.account.risk_intelligence_refresh_failed",
    "financial_connections.account.transactions_refresh_succeeded",
    "financial_connections.account.transactions_refresh_failed",
    "financial_connections.session.updated",
    OBSERVED_ACCOUNT_KEY,
    OBSERVED_AUTHORIZATION_KEY,
    OBSERVED_SESSION_KEY,
    UNKNOWN_TYPE_KEY,
];

/// Types of forecasts.
pub const UPCOMING_KEYS: [&str; 4] = [
    "financial_connections.account.upcoming_deactivation",
    "financial_connections.account.expected_deactivation_date_updated",
    "financial_connections.authorization.upcoming_deactivation",
    "financial_connections.authorization.expected_deactivation_date_updated",
];

/// Commands that the followup worker carries out; a platform may consume them as well.
pub const FOLLOWUP_KEYS: [&str; 3] =
    ["relink.verify_accounts.v1", "relink.refresh_data.v1", "relink.reconcile_accounts.v1"];

impl WorkQueue {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lifecycle, Self::Upcoming, Self::Followup];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "relink.lifecycle",
            Self::Upcoming => "relink.upcoming",
            Self::Followup => "relink.followup",
        }
    }

    /// Where messages wait for a person.
    pub fn parked(self) -> &'static str {
        match self {
            Self::Lifecycle => "relink.lifecycle.parked",
            Self::Upcoming => "relink.upcoming.parked",
            Self::Followup => "relink.followup.parked",
        }
    }

    /// The queue of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }

    /// The name that people use: `lifecycle`, `upcoming`, `followup`.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle",
            Self::Upcoming => "upcoming",
            Self::Followup => "followup",
        }
    }

    /// The exchange it is bound to.
    pub fn exchange(self) -> Exchange {
        match self {
            Self::Lifecycle | Self::Upcoming => Exchange::Events,
            Self::Followup => Exchange::Commands,
        }
    }

    /// The keys it is bound with.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Lifecycle => &LIFECYCLE_KEYS,
            Self::Upcoming => &UPCOMING_KEYS,
            Self::Followup => &FOLLOWUP_KEYS,
        }
    }

    /// Whether only one consumer may be served at a time: Stripe's read limit is one budget.
    pub fn is_single_active(self) -> bool {
        self == Self::Followup
    }
}

/// Whether some worker queue is bound to the key; if not, ingress adds [`UNKNOWN_TYPE_KEY`].
pub fn is_bound(routing_key: &str) -> bool {
    LIFECYCLE_KEYS.contains(&routing_key) || UPCOMING_KEYS.contains(&routing_key)
}

/// The value of a queue argument.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Argument {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// A switch.
    Switch(bool),
}

/// A durable queue to declare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// The name on the wire.
    pub name: String,
    /// Its arguments, sorted by name.
    pub arguments: Vec<(&'static str, Argument)>,
    /// What it is bound to; empty for queues that are addressed by name.
    pub bindings: Vec<(Exchange, &'static str)>,
}

/// Every queue, in the order in which they can be declared.
pub fn queues() -> Vec<Queue> {
    WorkQueue::ALL.into_iter().flat_map(queues_of).collect()
}

/// The parked queue, the retry ladder and the work queue itself.
pub fn queues_of(queue: WorkQueue) -> Vec<Queue> {
    let mut queues = vec![Queue {
        name: queue.parked().to_owned(),
        arguments: vec![
            ("x-delivery-limit", Argument::Number(PARKED_DELIVERY_LIMIT)),
            ("x-queue-type", Argument::Text("quorum".into())),
        ],
        bindings: vec![],
    }];
    for (rung, time_to_live) in RETRY_LADDER {
        let milliseconds = i64::try_from(time_to_live.as_millis()).unwrap_or(i64::MAX);
        let mut arguments = dead_letters_to(queue.name());
        arguments.push(("x-message-ttl", Argument::Number(milliseconds)));
        arguments.sort();
        queues.push(Queue { name: retry_queue(queue, rung), arguments, bindings: vec![] });
    }
    let mut arguments = dead_letters_to(queue.parked());
    arguments.push(("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)));
    if queue.is_single_active() {
        arguments.push(("x-single-active-consumer", Argument::Switch(true)));
    }
    arguments.sort();
    let bindings = queue.keys().iter().map(|key| (queue.exchange(), *key)).collect();
    queues.push(Queue { name: queue.name().to_owned(), arguments, bindings });
    queues
}

/// The name of a rung's queue.
pub fn retry_queue(queue: WorkQueue, rung: &str) -> String {
    format!("{}.retry.{rung}", queue.name())
}

/// At-least-once dead-lettering needs quorum queues that reject rather than drop when full
/// (RabbitMQ docs, "Quorum queues: at-least-once dead lettering").
fn dead_letters_to(name: &str) -> Vec<(&'static str, Argument)> {
    vec![
        ("x-dead-letter-exchange", Argument::Text(String::new())),
        ("x-dead-letter-routing-key", Argument::Text(name.to_owned())),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".into())),
        ("x-overflow", Argument::Text("reject-publish".into())),
        ("x-queue-type", Argument::Text("quorum".into())),
    ]
}
