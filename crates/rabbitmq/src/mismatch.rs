//! What the broker says about a queue or an exchange that is not as wanted.

use std::fmt;

use relink_bus::topology::{Argument, queues};

/// An argument of an existing queue or exchange that differs from the topology.
///
/// The broker names the first argument that differs and no other, so what is told of a queue has
/// all that are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// `queue` or `exchange`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The argument, or the property (`durable`, `type`).
    pub argument: String,
    /// What the topology wants.
    pub wanted: String,
    /// What is there.
    pub present: String,
}

impl Mismatch {
    /// What differs, without what to do about it.
    pub fn difference(&self) -> String {
        let Self { kind, name, argument, wanted, present } = self;
        format!("{kind} `{name}`: {argument} is {present}, wanted is {wanted}")
    }

    /// Reads RabbitMQ's words, for instance: `PRECONDITION_FAILED - inequivalent arg
    /// 'x-message-ttl' for queue 'a' in vhost '/': received the value '1' of type 'signedint' but
    /// current is none`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("inequivalent arg '")?;
        let (argument, rest) = rest.split_once("' for ")?;
        let (kind, rest) = rest.split_once(" '")?;
        let (name, rest) = rest.split_once("' in vhost '")?;
        let (_, rest) = rest.split_once("': received ")?;
        let (wanted, present) = rest.split_once(" but current is ")?;
        Some(Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            argument: argument.to_owned(),
            wanted: value(wanted),
            present: value(present),
        })
    }
}

/// `the value '1' of type 'signedint'`, `'true'` or `none`.
fn value(text: &str) -> String {
    text.trim().trim_start_matches("the value ").split(" of type ").next().unwrap_or(text).into()
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, .. } = self;
        write!(f, "{}; ", self.difference())?;
        match kind.as_str() {
            "queue" => {
                if let Some(all) = wanted_of(name) {
                    write!(
                        f,
                        "the broker names one difference, there may be more: all wanted are {all}; "
                    )?;
                }
                f.write_str(
                    "stop its publishers, let its workers drain it, delete it when it is empty, \
                     then run `relink migrate` (a policy cannot change what a queue was declared \
                     with)",
                )
            }
            _ => f.write_str(
                "stop its publishers, delete it with its bindings, then run `relink migrate`",
            ),
        }
    }
}

/// Every argument that the topology wants of a queue of this name.
fn wanted_of(name: &str) -> Option<String> {
    let queue = queues().into_iter().find(|queue| queue.name == name)?;
    let one = |(argument, value): &(&str, Argument)| match value {
        Argument::Text(text) => format!("{argument} '{text}'"),
        Argument::Number(number) => format!("{argument} '{number}'"),
        Argument::Switch(switch) => format!("{argument} '{switch}'"),
    };
    let all: Vec<String> = queue.arguments.iter().map(one).collect();
    Some(format!("durable 'true', {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: [&str; 5]) {
        let Mismatch { kind, name, argument, wanted, present } = Mismatch::parse(text).unwrap();
        assert_eq!([kind, name, argument, wanted, present], expect);
    }

    #[test]
    fn what_the_broker_says_is_taken_apart() {
        check(
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'relink.upcoming' \
             in vhost '/': received the value '50' of type 'signedint' but current is the value \
             '20' of type 'long'",
            ["queue", "relink.upcoming", "x-delivery-limit", "'50'", "'20'"],
        );
        check(
            "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'a b' in vhost 'x': \
             received none but current is the value '1000' of type 'signedint'",
            ["queue", "a b", "x-message-ttl", "none", "'1000'"],
        );
        check(
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'relink.events' in vhost \
             '/': received 'topic' but current is 'direct'",
            ["exchange", "relink.events", "type", "'topic'", "'direct'"],
        );
    }

    #[test]
    fn of_a_queue_every_wanted_argument_is_told() {
        let text = "inequivalent arg 'x-delivery-limit' for queue 'relink.lifecycle' in vhost '/': \
                    received the value '50' of type 'signedint' but current is none";
        let told = Mismatch::parse(text).unwrap().to_string();
        for queue in queues().iter().filter(|queue| queue.name == "relink.lifecycle") {
            for (argument, _) in &queue.arguments {
                assert!(told.contains(argument), "{argument} is missing: {told}");
            }
        }
        assert!(told.contains("there may be more") && told.contains("when it is empty"), "{told}");
    }

    #[test]
    fn other_words_are_not_a_mismatch() {
        assert_eq!(Mismatch::parse("PRECONDITION_FAILED - unknown delivery tag 1"), None);
    }
}
