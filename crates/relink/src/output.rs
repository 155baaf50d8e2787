//! Standard output, where it is the answer: what cannot be written has to be told.

use std::io::{Error, ErrorKind, Write as _};

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
