//! How often memory is asked for.

use crate::figures::Figures;
use crate::pieces;
use crate::slice::EVENTS;

#[test]
fn an_event_takes_as_many_allocations_as_the_figures_say() {
    if !cfg!(debug_assertions) {
        eprintln!("LEFT OUT: allocations are counted in debug builds, this is another");
        return;
    }
    let mut judge = Figures::read().judge("allocations of an event");
    for piece in pieces() {
        let name = piece.name;
        let all = piece.count(|work| allocation_counter::measure(work)).count_total;
        // One decimal is enough.
        judge.about(name, (all as f64 / EVENTS as f64 * 10.0).round() / 10.0);
    }
    judge.done();
}
