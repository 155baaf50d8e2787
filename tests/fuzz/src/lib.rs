//! The targets of `relink-hostile` for libFuzzer, which learns from the code that runs where the
//! next input should differ. Needs a nightly compiler:
//!
//!     cargo install --locked cargo-fuzz
//!     cargo +nightly fuzz run --fuzz-dir tests/fuzz event
//!
//! What it finds is in `tests/fuzz/artifacts`, and is repeated by naming the file at the end of
//! the same command.

#![forbid(unsafe_code)]

use relink_hostile::Target;

/// Lets the target of this name judge one input.
///
/// # Panics
/// When something is not as it should be, or there is no such target.
pub fn judge(name: &str, bytes: &[u8]) {
    Target::named(name).unwrap_or_else(|| panic!("{name} is no target")).run(bytes);
}
