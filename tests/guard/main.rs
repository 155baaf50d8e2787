//! Holds what an event costs against stored figures: instructions, allocations, and what goes over
//! the line to the database. Nothing here looks at a clock.
//!
//! Start reading at [`pieces`]: what is counted, each of it over the same [`slice`] of made-up
//! events. The figures are in `figures.json`; `tests/README.md` says how they are kept.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a test tells what it counted and what is left out")]

mod allocations;
mod database;
mod figures;
mod instructions;
mod pieces;
mod slice;

/// All pieces, made one by one, since each holds its own copies.
fn pieces() -> impl Iterator<Item = pieces::Piece> {
    let slice = slice::Slice::new();
    pieces::MAKE.into_iter().map(move |make| make(&slice))
}
