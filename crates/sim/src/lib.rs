//! A stateful stand-in for Stripe's Financial Connections API that also sends signed webhooks.
//!
//! It holds institutions, holders, authorizations, accounts and sessions, answers the reads a
//! service makes (in the GA or the preview shape, by `Stripe-Version`), and lets a person or a
//! test make things happen to them: link, expire, break, warn, relink and so on. Every happening
//! becomes the events Stripe's documentation names, delivered as webhooks with as much
//! duplication, reordering, delay, loss and retrying as asked for. One seed decides everything.
//!
//! What it deliberately does not do: it never lets time act by itself (an expected date that
//! passes expires nothing; a test says `expire`), it does not speak TLS, it does not move money
//! or transactions, and it shares no code with the verifier or parser it is used to test: it
//! signs with its own few lines, so that signer and verifier check each other.
//!
//! Start reading at [`Verb`] (everything that can happen), then [`Sim`] (the handle), then
//! `link.rs`, `lifecycle.rs` and `relink.rs` (what each verb does and emits). `delivery.rs` sends,
//! `api/stripe.rs` answers as Stripe, `api/control.rs` is the control API, `api/stripe.js` stands
//! in for Stripe.js with the choices of `dialog.rs`, and [`Traffic`] makes realistic event bodies
//! for load without any HTTP.

mod api;
mod bank;
mod clock;
mod config;
mod data;
mod delivery;
mod dialog;
mod error;
mod event;
mod lifecycle;
mod link;
mod model;
mod outbox;
mod random;
mod relink;
mod render;
mod session;
mod shortcuts;
mod signature;
mod sim;
mod state;
mod traffic;
mod verb;
mod version;

pub use bank::TestBank;
pub use config::{Delivery, DeliveryChange, SimConfig};
pub use error::SimError;
pub use event::EventType;
pub use model::{Action, Cause, NumberStatus, RefreshStatus};
pub use outbox::Attempt;
pub use signature::{sign, signature_header};
pub use sim::{ClockChange, Fault, FaultKind, Mail, Sim};
pub use traffic::{Traffic, TrafficConfig, TrafficEvent};
pub use verb::{Change, Feature, Link, LinkAccount, Outcome, Relink, Target, Verb};
pub use version::{GA_VERSION, PREVIEW_VERSION};
