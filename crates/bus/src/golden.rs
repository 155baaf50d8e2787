//! A body of every version that was ever published, as it was promised: whoever reads messages may
//! rely on these, so none of them is ever changed or taken away. A changed body is a new version,
//! with a golden body of its own beside the old.

use serde_json::Value;

/// A type with its version, and the text of a body of it.
macro_rules! golden {
    ($folder:literal: $($kind:literal)*) => {
        [$(($kind, include_str!(concat!("../fixtures/", $folder, "/", $kind, ".json")))),*]
    };
}

/// Of each command.
const COMMANDS: [(&str, &str); 10] = golden!("commands":
    "relink.prompt_relink.v1"
    "relink.remind_relink.v1"
    "relink.withdraw_relink.v1"
    "relink.escalate_relink.v1"
    "relink.pause_data.v1"
    "relink.resume_data.v1"
    "relink.refresh_data.v1"
    "relink.replace_account.v1"
    "relink.verify_accounts.v1"
    "relink.reconcile_accounts.v1"
);

/// Of each observation.
const OBSERVATIONS: [(&str, &str); 3] = golden!("observations":
    "relink.observed.account"
    "relink.observed.authorization"
    "relink.observed.session"
);

/// All of them, by type.
pub fn all() -> impl Iterator<Item = (&'static str, Value)> {
    let read = |(kind, text)| (kind, serde_json::from_str(text).unwrap_or(Value::Null));
    COMMANDS.into_iter().chain(OBSERVATIONS).map(read)
}

/// The body of a type.
pub fn body(kind: &str) -> Option<Value> {
    all().find_map(|(known, body)| (known == kind).then_some(body))
}
