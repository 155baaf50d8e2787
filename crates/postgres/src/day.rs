//! Days, under which the ledger and history are filed.

use bytes::BufMut as _;
use relink_core::time::Second;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

/// A calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Day(pub(crate) i32);

impl Day {
    /// The days that a `date` of SQL can hold with room to spare; what is beyond is filed there.
    const RANGE: (i64, i64) = (-1_000_000, 100_000_000);
    /// The first of them.
    pub(crate) const FIRST: Self = Self(-1_000_000);
    /// 2000-01-01, from which the wire format counts.
    const WIRE_EPOCH: i32 = 10_957;

    /// The day under which an input is filed.
    pub(crate) fn of(at: Second) -> Self {
        let day = at.0.div_euclid(86_400).clamp(Self::RANGE.0, Self::RANGE.1);
        Self(i32::try_from(day).unwrap_or_default())
    }
}

impl ToSql for Day {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_i32(self.0 - Self::WIRE_EPOCH);
        Ok(IsNull::No)
    }

    accepts!(DATE);
    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_down_before_1970_and_end_where_sql_ends() {
        assert_eq!(Day::of(Second(0)), Day(0));
        assert_eq!(Day::of(Second(-1)), Day(-1));
        assert_eq!(Day::of(Second(i64::MIN)), Day(-1_000_000));
        assert_eq!(Day::of(Second(i64::MAX)), Day(100_000_000));
    }
}
