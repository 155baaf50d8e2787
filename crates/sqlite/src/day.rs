//! Days, under which the ledger and history are filed.

use relink_core::time::Second;

/// The day under which an input is filed, counted from 1970-01-01.
pub(crate) fn day(at: Second) -> i64 {
    at.0.div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_down_before_1970() {
        assert_eq!(day(Second(0)), 0);
        assert_eq!(day(Second(-1)), -1);
    }
}
