//! One call of the Stripe API: who calls, in which version, with which parameters.

use axum::http::{HeaderMap, header};

use crate::api::failure::Failure;
use crate::version::{GA_VERSION, Shape};

/// A call whose key and version are good.
pub(crate) struct Call {
    pub(crate) shape: Shape,
    /// The connected account it is about, or none.
    pub(crate) stripe_account: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// The simulator's own address, as the caller knows it.
    pub(crate) host: Option<String>,
    /// Query and form parameters in the order they came, names as Stripe spells them.
    pub(crate) params: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn read(
        headers: &HeaderMap,
        api_key: &str,
        query: &str,
        form: &[u8],
    ) -> Result<Call, Failure> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if !text(header::AUTHORIZATION.as_str()).is_some_and(|given| is_authorized(given, api_key))
        {
            return Err(Failure::unauthorized());
        }
        let version = text("Stripe-Version").unwrap_or(GA_VERSION);
        let shape = Shape::of(version)
            .ok_or_else(|| Failure::invalid(format!("Invalid Stripe API version: {version}")))?;
        let params = url::form_urlencoded::parse(query.as_bytes())
            .chain(url::form_urlencoded::parse(form))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Ok(Call {
            shape,
            stripe_account: text("Stripe-Account").map(String::from),
            idempotency_key: text("Idempotency-Key").map(String::from),
            host: text(header::HOST.as_str()).map(String::from),
            params,
        })
    }

    /// The last value of a parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there, by itself or with something in brackets behind it.
    pub(crate) fn names(&self, name: &str) -> bool {
        let mut rests = self.params.iter().filter_map(|(given, _)| given.strip_prefix(name));
        rests.any(|rest| rest.is_empty() || rest.starts_with('['))
    }

    /// All values of an array parameter, written `name[]` or `name[0]`.
    pub(crate) fn array(&self, name: &str) -> Vec<&str> {
        let is_item = |key: &str| {
            let index = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            index
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|index| index.chars().all(|c| c.is_ascii_digit()))
        };
        self.params.iter().filter(|(n, _)| is_item(n)).map(|(_, value)| value.as_str()).collect()
    }

    /// A parameter that must be a whole number if it is there.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<i64>, Failure> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Failure::parameter(name, format!("Invalid integer: {text}")))
        };
        self.param(name).map(parse).transpose()
    }
}

fn is_authorized(given: &str, api_key: &str) -> bool {
    match given.split_once(' ') {
        Some(("Bearer", key)) => key == api_key,
        // The key is the user, the password is empty.
        Some(("Basic", encoded)) => encoded == base64(format!("{api_key}:").as_bytes()),
        _ => false,
    }
}

/// Standard base64 with padding. Encoding what is expected is shorter than decoding what came.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| usize::from(chunk.get(n).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            match digit <= chunk.len() {
                true => text.push(char::from(DIGITS[bits >> (18 - 6 * digit) & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_as_bearer_token_or_as_basic_user() {
        // printf 'sk_test_sim:' | base64
        assert!(is_authorized("Basic c2tfdGVzdF9zaW06", "sk_test_sim"));
        assert!(is_authorized("Bearer sk_test_sim", "sk_test_sim"));
        assert!(!is_authorized("Bearer sk_test_other", "sk_test_sim"));
        assert!(!is_authorized("sk_test_sim", "sk_test_sim"));
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(base64(b"a"), "YQ==");
    }
}
