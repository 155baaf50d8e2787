//! What `relink simulate` is told.

use clap::Args;

/// Settings of `relink simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// How many runs, each from a seed of its own
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// The first seed; by chance if absent
    #[arg(long, value_name = "FIRST")]
    pub(crate) seed: Option<u64>,
    /// Only these faults, separated by commas; `none` for none
    #[arg(long, value_delimiter = ',')]
    pub(crate) faults: Option<Vec<String>>,
    /// Only these steps of the story, by number, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub(crate) steps: Option<Vec<usize>>,
    /// How many runs at once; as many as there are processors if absent
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) jobs: Option<u64>,
    /// Print what happens in every run, line by line
    #[arg(long)]
    pub(crate) trace: bool,
}
