//! What comes from outside, made up by bytes that nobody chose: one definition for the tests on a
//! stable compiler (`tests/made_up.rs`) and for libFuzzer (`tests/fuzz`).
//!
//! Each [`Target`] makes its input of the bytes – real documents, altered in places or damaged,
//! and documents from nowhere – and then demands more than that nothing panics: see its `run`.

#![expect(clippy::unwrap_used, reason = "a target ends where something is not as it should be")]

mod api;
mod command;
mod decision;
mod event;
mod link;
mod observation;
mod seed;
mod signature;
mod source;
mod stand;
mod webhook;

use crate::source::Source;

/// Something that takes input from outside.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is that of the fuzz target.
    pub name: &'static str,
    run: fn(&mut Source<'_>),
}

impl Target {
    /// Lets it judge one input.
    ///
    /// # Panics
    /// When something is not as it should be.
    pub fn run(&self, bytes: &[u8]) {
        (self.run)(&mut Source::new(bytes));
    }

    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "signature", run: signature::run },
    Target { name: "event", run: event::run },
    Target { name: "decision", run: decision::run },
    Target { name: "link", run: link::run },
    Target { name: "observation", run: observation::run },
    Target { name: "command", run: command::run },
    Target { name: "webhook", run: webhook::run },
    Target { name: "api", run: api::run },
];
