//! Who may use the API: bearer tokens, of which only hashes are known here.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::digest::CtOutput;
use sha2::{Digest as _, Sha256};

use crate::api::problem::Problem;

/// What a token permits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TokenScope {
    /// Look.
    Read,
    /// Look, and make sessions.
    Write,
}

/// A token that is accepted, as its SHA-256.
#[derive(Clone)]
pub struct ApiToken {
    scope: TokenScope,
    hash: [u8; 32],
}

impl ApiToken {
    /// Reads `read:<hex>` or `write:<hex>`, with the 64 digits that `sha256sum` gives.
    ///
    /// # Errors
    /// What is wrong; never the text itself.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scope, digits) = text.split_once(':').ok_or("write read:<hash> or write:<hash>")?;
        let scope = match scope {
            "read" => TokenScope::Read,
            "write" => TokenScope::Write,
            _ => return Err("the scope of a token is read or write"),
        };
        let wrong = "the hash of a token is 64 hexadecimal digits, as sha256sum gives them";
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return Err(wrong) };
        let mut hash = [0; 32];
        if pairs.len() != hash.len() {
            return Err(wrong);
        }
        for (byte, pair) in hash.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(|_| wrong)?;
            let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let parsed = u8::from_str_radix(digits, 16).ok().filter(|_| plain);
            *byte = parsed.ok_or(wrong)?;
        }
        Ok(Self { scope, hash })
    }

    /// The name under which its calls are limited: of no use to anybody else.
    fn name(&self) -> String {
        self.hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiToken").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Whoever is calling.
pub(crate) struct Caller {
    pub(crate) name: String,
    scope: TokenScope,
}

impl Caller {
    /// Tells who is calling by the token of the request.
    pub(crate) fn of(tokens: &[ApiToken], headers: &HeaderMap) -> Result<Self, Problem> {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let token = token.ok_or(Problem::Unauthorized)?;
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // All are compared, and each whole: time tells nothing of a hash that is close.
        let mut found = None;
        for known in tokens {
            if same(&known.hash, &hash) {
                found = found.or(Some(known));
            }
        }
        let known = found.ok_or(Problem::Unauthorized)?;
        Ok(Self { name: known.name(), scope: known.scope })
    }

    /// Whether the token permits what is asked.
    pub(crate) fn may(&self, wanted: TokenScope) -> Result<(), Problem> {
        if self.scope >= wanted { Ok(()) } else { Err(Problem::Forbidden) }
    }
}

/// Compares in constant time, as [`CtOutput`] does.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    CtOutput::<Sha256>::new((*one).into()) == CtOutput::new((*other).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        // printf secret | sha256sum
        let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let tokens = [ApiToken::parse(&format!("read:{hash}")).unwrap()];
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            Caller::of(&tokens, &headers)
        };
        let caller = of("Bearer secret").unwrap();
        assert!(caller.may(TokenScope::Read).is_ok() && caller.may(TokenScope::Write).is_err());
        for wrong in ["Bearer Secret", "Basic secret", "Bearer", "secret"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "read", "admin:00", "read:00", &format!("read:{}+f", &hash[2..])] {
            assert!(ApiToken::parse(wrong).is_err(), "{wrong}");
        }
    }
}
