#![allow(missing_docs, clippy::all, clippy::print_stdout, clippy::unwrap_used)]
use relink_simulation::*;
fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let (first, n) = (a[0], a[1]);
    let began = std::time::Instant::now();
    let mut bad = 0;
    for seed in first..first + n {
        let plan = Plan::of(seed);
        let out = run(&plan).unwrap();
        if n == 1 { for l in &out.trace { println!("{l}"); } println!("{plan:?}"); }
        if let Some(b) = out.broken { bad += 1; println!("{seed}: {b}   ({} lines, {:?})", out.trace.len(), plan.deployment); }
    }
    println!("{n} runs, {bad} bad, {:?}", began.elapsed());
}
