//! Standard output, where it is the answer: what cannot be written has to be told.

use std::io::{Error, ErrorKind, IsTerminal, Write as _};

use anstyle::Style;

use crate::failure::Failure;

/// Writes a text and the end of its last line.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    unless_read_enough(write_line(text.as_bytes())).map_err(|error| Failure::output(&error))
}

/// Writes a line, past any buffer.
pub(crate) fn write_line(line: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush())
}

/// A reader that has seen enough (`| head`) is no failure of what is only to be read.
pub(crate) fn unless_read_enough(written: Result<(), Error>) -> Result<(), Error> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// So many of them, in words that fit the number; for nouns that take an s.
pub(crate) fn counted(number: impl Into<u64>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Whether to use colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Colours(pub(crate) bool);

impl Colours {
    /// Where whoever reads has a terminal and has not said otherwise (<https://no-color.org>: a
    /// variable that is there and not empty).
    pub(crate) fn on(out: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(out.is_terminal() && !unwanted)
    }

    /// The text in a style. What is to be aligned is padded before: colours have a width in bytes.
    pub(crate) fn paint(self, text: &str, style: Style) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::{Colours, counted};

    #[test]
    fn a_text_without_colours_is_the_text() {
        let style = AnsiColor::Red.on_default();
        assert_eq!(Colours(false).paint("fail", style), "fail");
        assert_eq!(Colours(true).paint("fail", style), "\x1b[31mfail\x1b[0m");
    }

    #[test]
    fn one_is_not_several() {
        let of = |number: u32| counted(number, "prompt");
        assert_eq!([of(0), of(1), of(2)], ["0 prompts", "1 prompt", "2 prompts"]);
    }
}
