//! Relink.
fn main() {}
