//! W3C trace context, as far as it travels: the header `traceparent`.

use std::fmt;

/// Of the flags: the sender records this trace (W3C Trace Context, 3.2.2.5).
const SAMPLED: u8 = 0x01;

/// Flags that mean something and are passed on: sampled, and that the trace's id is random (W3C
/// Trace Context 2). The others must be zero.
const KNOWN: u8 = 0x03;

/// A span of a trace, as others refer to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TraceContext {
    /// Which trace; never 0.
    pub trace_id: u128,
    /// Which span of it; never 0.
    pub span_id: u64,
    /// `trace-flags`
    pub flags: u8,
}

impl TraceContext {
    /// The length of a `traceparent` of version 00 (W3C Trace Context, 3.2.2).
    pub const BYTES: usize = 55;

    /// Reads `<version>-<trace id>-<span id>-<flags>` in lower-case hexadecimal digits, neither id
    /// all zeros, version not `ff`. What a later version adds behind a further dash is left out
    /// (3.2.4, "Versioning of traceparent").
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_at_checked(Self::BYTES)?;
        let mut parts = head.split('-');
        let mut next = |digits: usize| {
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            parts.next().filter(|part| part.len() == digits && part.bytes().all(is_hex))
        };
        let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let is_whole = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        if version == "ff" || !is_whole {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace_id, 16).ok()?,
            span_id: u64::from_str_radix(span_id, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()? & KNOWN,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }

    /// Whether the trace is to be recorded.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(super) fn sampled(self, sampled: bool) -> Self {
        let flags = if sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }

    /// Another span of the same trace.
    pub(super) fn with_span(self, span_id: u64) -> Self {
        Self { span_id, ..self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_is_well_formed_is_read_and_written_again() {
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let context = TraceContext::parse(&text).unwrap();
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.span_id, 0x00f0_67aa_0ba9_02b7);
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), text);
        assert_eq!(text.len(), TraceContext::BYTES);
    }

    #[test]
    fn flags_without_a_meaning_are_left_out() {
        let read = |flags: &str, sampled: bool, written: &str| {
            let text = format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
            let context = TraceContext::parse(&text).unwrap();
            assert_eq!(context.is_sampled(), sampled, "{flags}");
            assert!(context.to_string().ends_with(&format!("-{written}")), "{flags}");
        };
        read("00", false, "00");
        read("01", true, "01");
        read("02", false, "02");
        read("03", true, "03");
        read("fe", false, "02");
        read("ff", true, "03");
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        let reads = |text: String, reads: bool| {
            let context = TraceContext::parse(&text);
            assert_eq!(context.is_some(), reads, "{text}");
            let version = context.map(|context| context.to_string().starts_with("00-"));
            assert_ne!(version, Some(false), "{text}");
        };
        reads(format!("cc-{TRACE}-00f067aa0ba902b7-01"), true);
        reads(format!("01-{TRACE}-00f067aa0ba902b7-01-what-comes"), true);
        reads(format!("01-{TRACE}-00f067aa0ba902b7-01what-comes"), false);
        reads(format!("00-{TRACE}-00f067aa0ba902b7-01-what-comes"), false);
        reads(format!("ff-{TRACE}-00f067aa0ba902b7-01"), false);
    }

    #[test]
    fn what_is_not_well_formed_is_none() {
        for text in [
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e47-6-00f067aa0ba902b7-01",
            "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "äöü-bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-1-2-01",
            "",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
