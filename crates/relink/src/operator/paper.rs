//! `relink completions` and `relink manual`: what a package brings along, made of the command line
//! itself.

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs, ManualArgs};
use crate::failure::Failure;
use crate::output::print;

pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "relink", &mut script);
    print(String::from_utf8(script).map_err(Failure::software)?.trim_end())
}

pub(crate) fn manual(args: &ManualArgs) -> Result<(), Failure> {
    let folder = args.folder.display();
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .map_err(|error| Failure::unavailable(format!("{folder} cannot be written: {error}")))?;
    print(&format!("The pages are in {folder}: man {folder}/relink.1"))
}
