//! JSON Schemas of everything Relink publishes, generated from the types.

mod compare;
mod form;

use relink_core::command::{
    EscalateRelink, PauseData, PromptRelink, ReconcileAccounts, RefreshData, RemindRelink,
    ReplaceAccount, ResumeData, VerifyAccounts, WithdrawRelink,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

pub use compare::{Change, compare};
pub use form::look_through;

use crate::envelope::{CloudEvent, ObservedKind, command_type};

/// The schema of one message body: its type and JSON Schema (2020-12).
#[derive(Clone, Debug)]
pub struct MessageSchema {
    /// `relink.<name>.v1`, or an observation's key.
    pub kind: String,
    /// The schema.
    pub schema: Schema,
}

/// An observation's `data`, as documented; the object inside is Stripe's.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used; the borrowed twin is `Observed`")]
struct ObservedData {
    /// The Connect account the object belongs to.
    stripe_account: Option<String>,
    /// Live mode, or a sandbox.
    livemode: bool,
    /// The second of the response's `Date` header, Unix time.
    read_at: i64,
    /// The object as Stripe answered it; null: Stripe knows no such object.
    object: Option<serde_json::Map<String, Value>>,
}

/// Every schema, commands first.
pub fn all() -> Vec<MessageSchema> {
    every(&SchemaSettings::draft2020_12())
}

/// The same in another dialect.
pub(crate) fn every(dialect: &SchemaSettings) -> Vec<MessageSchema> {
    let mut schemas = vec![
        command::<PromptRelink>("prompt_relink", dialect),
        command::<RemindRelink>("remind_relink", dialect),
        command::<WithdrawRelink>("withdraw_relink", dialect),
        command::<EscalateRelink>("escalate_relink", dialect),
        command::<PauseData>("pause_data", dialect),
        command::<ResumeData>("resume_data", dialect),
        command::<RefreshData>("refresh_data", dialect),
        command::<ReplaceAccount>("replace_account", dialect),
        command::<VerifyAccounts>("verify_accounts", dialect),
        command::<ReconcileAccounts>("reconcile_accounts", dialect),
    ];
    for kind in [ObservedKind::Account, ObservedKind::Authorization, ObservedKind::Session] {
        schemas.push(titled::<CloudEvent<ObservedData>>(kind.key().to_owned(), dialect));
    }
    schemas
}

fn command<Data: JsonSchema>(name: &str, dialect: &SchemaSettings) -> MessageSchema {
    titled::<CloudEvent<Data>>(command_type(name), dialect)
}

fn titled<Body: JsonSchema>(kind: String, dialect: &SchemaSettings) -> MessageSchema {
    let mut schema = dialect.clone().into_generator().into_root_schema_for::<Body>();
    schema.insert("title".to_owned(), Value::String(kind.clone()));
    if let Some(constant) = schema.pointer_mut("/properties/type") {
        *constant = serde_json::json!({ "const": kind });
    }
    MessageSchema { kind, schema }
}
