//! The client against a server that answers from a script and remembers what it was asked.

mod config;
mod events;
mod listings;
mod reads;
mod server;
mod sessions;
mod writes;
