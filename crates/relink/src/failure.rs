//! How the process ends when it cannot do its work; codes as in BSD's sysexits.

use std::fmt::Display;
use std::process::ExitCode;

/// The configuration is wrong; nothing was started.
pub(crate) const EX_USAGE: u8 = 64;
/// A service it needs is not as it has to be.
const EX_UNAVAILABLE: u8 = 69;
/// A mistake of ours.
const EX_SOFTWARE: u8 = 70;
/// Standard output cannot be written.
const EX_IOERR: u8 = 74;
/// Interrupted from the keyboard; what a shell says of it, too.
const INTERRUPTED: u8 = 130;
/// The command did its work and the answer is "no": nothing found, a story that went wrong.
const EX_NO: u8 = 1;

/// Why the process ends.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// Every problem of the configuration, one line each.
    pub(crate) fn usage(problems: &[String]) -> Self {
        let mut text = String::from("the configuration has problems:");
        for problem in problems {
            text.push_str("\n  - ");
            text.push_str(problem);
        }
        text.push_str("\nSee `relink <command> --help` for every setting.");
        Self { code: EX_USAGE, text }
    }

    /// A service it needs is not as it has to be; says what to do.
    pub(crate) fn unavailable(text: impl ToString) -> Self {
        Self { code: EX_UNAVAILABLE, text: text.to_string() }
    }

    /// A mistake of ours.
    pub(crate) fn software(text: impl ToString) -> Self {
        Self { code: EX_SOFTWARE, text: text.to_string() }
    }

    /// Standard output, which is the answer, cannot be written.
    pub(crate) fn output(error: &std::io::Error) -> Self {
        Self { code: EX_IOERR, text: format!("standard output cannot be written: {error}") }
    }

    /// Whoever looks on had seen enough; says what was done until then, and how to go on.
    pub(crate) fn interrupted(text: impl Display) -> Self {
        Self { code: INTERRUPTED, text: format!("interrupted: {text}") }
    }

    /// The same, of a command that only looks.
    pub(crate) fn interrupted_looking() -> Self {
        Self::interrupted("nothing was changed")
    }

    /// The answer is "no".
    pub(crate) fn no(text: impl ToString) -> Self {
        Self { code: EX_NO, text: text.to_string() }
    }

    /// Tells it on standard error.
    #[expect(clippy::print_stderr, reason = "the last word of a process belongs there")]
    pub(crate) fn report(self) -> ExitCode {
        if !self.text.is_empty() {
            eprintln!("relink: {}", self.text);
        }
        ExitCode::from(self.code)
    }
}
