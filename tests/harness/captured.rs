//! What a foreign consumer saw, and whether it adds up.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::ledger::Picture;

/// A message as a foreign consumer sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Captured {
    /// Its address.
    pub routing_key: String,
    /// `message_id`
    pub id: Option<String>,
    /// All properties, as pika calls them, and `headers`.
    pub properties: Value,
    /// The body.
    pub body: Vec<u8>,
}

impl Captured {
    /// Reads a line of the Python client.
    ///
    /// # Panics
    /// When it is not one.
    pub fn of(line: &Value) -> Self {
        Self {
            routing_key: line["routing_key"].as_str().unwrap().to_owned(),
            id: line["message_id"].as_str().map(str::to_owned),
            properties: line.clone(),
            body: STANDARD.decode(line["body"].as_str().unwrap()).unwrap(),
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The commands of one run, each once.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    /// By id.
    pub by_id: BTreeMap<String, Value>,
    /// The ids of copies that came on top, which at-least-once permits. What the broker handed out
    /// again by itself is not among them.
    pub copies: Vec<String>,
}

impl Commands {
    /// Holds copies against each other.
    ///
    /// # Panics
    /// When something does not add up.
    pub fn of(captured: &[Captured]) -> Self {
        let mut commands = Self::default();
        for message in captured {
            let body = message.json();
            let id = body["id"].as_str().unwrap().to_owned();
            let again = message.properties["redelivered"] == true;
            match commands.by_id.insert(id.clone(), body.clone()) {
                Some(earlier) if earlier == body && again => {}
                Some(earlier) if earlier == body => commands.copies.push(id),
                Some(earlier) => panic!("{id} came with two bodies:\n{earlier}\n{body}"),
                None => {}
            }
        }
        commands
    }

    /// Those of one type.
    pub fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Value> {
        let kind = format!("relink.{name}.v1");
        self.by_id.values().filter(move |command| command["type"] == *kind)
    }

    /// How many there are of each type.
    pub fn tally(&self) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for command in self.by_id.values() {
            *tally.entry(command["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        tally
    }

    /// A consumer that minds `account_version` ends where the state is.
    ///
    /// # Panics
    /// When it does not.
    pub fn agree_with(&self, picture: &Picture) {
        let mut last: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
        for (name, active) in [("pause_data", false), ("resume_data", true)] {
            for command in self.named(name) {
                let data = &command["data"];
                let account = data["account"].as_str().unwrap();
                let version = data["account_version"].as_u64().unwrap();
                let known = last.entry(account).or_insert((version, active));
                assert!(
                    version != known.0 || active == known.1,
                    "{account}: version {version} both pauses and resumes"
                );
                if version > known.0 {
                    *known = (version, active);
                }
            }
        }
        for (id, account) in &picture.accounts {
            // Of an account that never was anything but active there is nothing to say.
            let active = last.get(&**id).is_none_or(|(_, active)| *active);
            assert_eq!(
                active,
                account.status == "active",
                "{id}: {account:?}, {:?}",
                last.get(&**id)
            );
        }
    }

    /// Nothing that was committed is missing.
    ///
    /// # Panics
    /// When something is.
    pub fn include(&self, committed: &BTreeSet<String>) {
        let missing: Vec<_> =
            committed.iter().filter(|id| !self.by_id.contains_key(*id)).take(5).collect();
        assert!(missing.is_empty(), "committed and never seen: {missing:?}");
        let unknown: Vec<_> =
            self.by_id.keys().filter(|id| !committed.contains(*id)).take(5).collect();
        assert!(unknown.is_empty(), "seen and never committed: {unknown:?}");
    }

    /// A case that was prompted has its prompt, and its withdrawal if and only if it closed.
    ///
    /// # Panics
    /// When not.
    pub fn tell_of(&self, cases: &[(String, bool, bool)]) {
        let of = |name| -> BTreeSet<String> {
            self.named(name).map(|one| one["data"]["case"].as_str().unwrap().to_owned()).collect()
        };
        let (prompts, withdrawals) = (of("prompt_relink"), of("withdraw_relink"));
        for (case, prompted, closed) in cases {
            assert_eq!(prompts.contains(case), *prompted, "{case}: prompted");
            assert_eq!(withdrawals.contains(case), *prompted && *closed, "{case}: withdrawn");
        }
    }
}
