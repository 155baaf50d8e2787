//! Choices made by bytes that nobody chose: the same bytes, the same choices, whoever made them.

use serde_json::{Map, Number, Value};

/// How deep a document grows; parsers are asked about deeper ones in their own tests.
const DEPTH_MAX: usize = 4;

/// Texts that mean something somewhere, and texts that fit nowhere.
const TEXTS: [&str; 44] = [
    "",
    " ",
    "active",
    "inactive",
    "disconnected",
    "none",
    "relink_required",
    "access_expired",
    "institution_requirement",
    "succeeded",
    "failed",
    "pending",
    "cancelled",
    "customer",
    "account",
    "balances",
    "balance",
    "transactions",
    "ownership",
    "payment_method",
    "checking",
    "fca_1",
    "fca_2",
    "fcauth_1",
    "fcauth_2",
    "fcsess_1",
    "cus_1",
    "acct_1",
    "acct_1/acct_2",
    "evt_1",
    "v2.core.event",
    "event",
    "financial_connections.account",
    "financial_connections.account.deactivated",
    "v1.financial_connections.account.reactivated",
    "2026-11-22T09:00:00.000Z",
    "9999-12-31T23:59:59Z",
    "fcsess_1_secret_x",
    "sk_live_1",
    "../../v1/charges",
    "a\nb\u{0}c",
    "é😀\u{202e}",
    "\u{feff}",
    "%2e%2e%2f",
];

/// Numbers at which something ends.
const NUMBERS: [i64; 16] = [
    0,
    1,
    -1,
    59,
    255,
    256,
    86_400,
    1_790_000_000,
    1_792_592_000,
    253_402_300_799,
    253_402_300_800,
    i64::MAX / 1000,
    i64::MAX / 1000 + 1,
    i64::MAX,
    i64::MIN,
    i64::MIN / 1000,
];

/// Bytes that are used up from the front; when there are none left, every choice is the first.
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    /// Takes what a fuzzer or a generator made.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// A number below `limit`, which is at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let wide = limit > 256;
        let mut number = usize::from(self.byte());
        if wide {
            number = number << 8 | usize::from(self.byte());
        }
        number % limit.max(1)
    }

    /// True in one of so many cases.
    pub(crate) fn one_in(&mut self, cases: usize) -> bool {
        // The last case: a source that ran dry says no.
        self.below(cases) + 1 == cases
    }

    /// One of them.
    ///
    /// # Panics
    /// When there are none.
    pub(crate) fn pick<'b, T>(&mut self, among: &'b [T]) -> &'b T {
        &among[self.below(among.len())]
    }

    /// Any number, those at which something ends more often than others.
    pub(crate) fn number(&mut self) -> i64 {
        if self.one_in(3) {
            let mut bytes = [0; 8];
            bytes.fill_with(|| self.byte());
            return i64::from_be_bytes(bytes);
        }
        *self.pick(&NUMBERS)
    }

    /// Up to so many bytes.
    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.byte()).collect()
    }

    /// Any text: one that means something, a long one, or whatever the bytes are.
    pub(crate) fn text(&mut self) -> String {
        match self.below(4) {
            0 | 1 => (*self.pick(&TEXTS)).to_owned(),
            2 => String::from_utf8_lossy(&self.bytes(24)).into_owned(),
            _ => {
                let length = *self.pick(&[99, 100, 101, 200, 201, 255, 256, 5_000]);
                let letter = *self.pick(&["a", "_", "é", "\u{1}"]);
                letter.repeat(length)
            }
        }
    }

    /// Any JSON; names of fields are taken from what is known.
    pub(crate) fn json(&mut self, names: &[String]) -> Value {
        self.json_within(names, DEPTH_MAX)
    }

    fn json_within(&mut self, names: &[String], depth: usize) -> Value {
        let kinds = if depth == 0 { 6 } else { 8 };
        match self.below(kinds) {
            0 => Value::Null,
            1 => Value::Bool(self.one_in(2)),
            2 => Value::from(self.number()),
            3 => Number::from_f64(f64::from_bits(self.number().cast_unsigned()))
                .map_or(Value::Null, Value::Number),
            4 | 5 => Value::String(self.text()),
            6 => {
                let length = self.below(4);
                (0..length).map(|_| self.json_within(names, depth - 1)).collect()
            }
            _ => {
                let mut fields = Map::new();
                for _ in 0..self.below(4) {
                    let name = if self.one_in(4) { self.text() } else { self.pick(names).clone() };
                    fields.insert(name, self.json_within(names, depth - 1));
                }
                Value::Object(fields)
            }
        }
    }

    /// Replaces, removes or adds in so many places of a document.
    pub(crate) fn alter(&mut self, document: &mut Value, names: &[String], places: usize) {
        for _ in 0..places {
            let mut place = self.below(count(document));
            self.alter_place(document, names, &mut place);
        }
    }

    fn alter_place(&mut self, value: &mut Value, names: &[String], place: &mut usize) {
        if *place == 0 {
            *place = usize::MAX;
            self.alter_here(value, names);
            return;
        }
        *place -= 1;
        match value {
            Value::Array(items) => {
                for item in items {
                    if *place != usize::MAX {
                        self.alter_place(item, names, place);
                    }
                }
            }
            Value::Object(fields) => {
                for field in fields.values_mut() {
                    if *place != usize::MAX {
                        self.alter_place(field, names, place);
                    }
                }
            }
            _ => {}
        }
    }

    fn alter_here(&mut self, value: &mut Value, names: &[String]) {
        match value {
            Value::Object(fields) if self.one_in(2) => {
                let name = self.pick(names).clone();
                if self.one_in(2) {
                    fields.remove(&name);
                } else {
                    fields.insert(name, self.json_within(names, 2));
                }
            }
            Value::Array(items) if self.one_in(2) => {
                let again = items.first().cloned().unwrap_or_default();
                items.push(again);
            }
            Value::String(text) if self.one_in(2) => *text = self.text(),
            Value::Number(_) if self.one_in(2) => *value = Value::from(self.number()),
            _ => *value = self.json_within(names, 2),
        }
    }

    /// Changes bytes, cuts, and doubles parts; now and then nothing.
    pub(crate) fn damage(&mut self, body: &mut Vec<u8>) {
        for _ in 0..self.below(5) {
            if body.is_empty() {
                return;
            }
            let at = self.below(body.len());
            match self.below(5) {
                0 => body[at] = self.byte(),
                1 => body[at] ^= 1 << self.below(8),
                2 => body.truncate(at),
                3 => _ = body.remove(at),
                _ => {
                    let length = self.below(40).min(body.len() - at);
                    let part = body[at..at + length].to_vec();
                    body.splice(at..at, part);
                }
            }
        }
    }
}

/// The places of a document: the value itself and everything in it.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}
