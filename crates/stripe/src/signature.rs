//! The signature that tells a webhook of Stripe's from anybody else's.
//!
//! Stripe docs (webhooks, "Verify webhook signatures manually"): the header
//! `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>…][,v0=…]` carries HMAC-SHA256 over
//! `<t>.<raw body>`, keyed with the endpoint's whole secret (`whsec_…`) as bytes. While a secret
//! is rolled there is one `v1` per active secret. Any other scheme is ignored: `v0` is a dummy of
//! the sandbox, and accepting it would be a downgrade.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use sha2::digest::CtOutput;

/// The most `v1` entries that are looked at.
///
/// Stripe sends one per active secret, which is two during a rotation; the bound keeps a hostile
/// header from buying comparisons.
pub const SIGNATURES_MAX: usize = 16;

/// The longest header that is parsed, in bytes: [`SIGNATURES_MAX`] entries take 1,100.
pub const HEADER_BYTES_MAX: usize = 4096;

/// The most digits of `t`: enough for any year to come, and always within an `i64`.
const TIME_DIGITS_MAX: usize = 15;

/// The bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

type Digest = [u8; DIGEST_BYTES];
type Keyed = Hmac<Sha256>;

/// Checks signatures against one or several secrets.
pub struct Verifier {
    /// One pre-keyed state per secret, so that a webhook costs a copy and not two more blocks.
    keyed: Vec<Keyed>,
    tolerance_seconds: i64,
}

/// A signature that holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verified {
    /// When Stripe signed this attempt, Unix seconds; every retry is signed anew.
    pub signed_at_unix_seconds: i64,
    /// How far the signing time lies ahead of ours, in seconds; negative for the usual past.
    ///
    /// A positive value means that one of the two clocks is wrong.
    pub skew_seconds: i64,
}

/// Why a webhook was refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum Rejection {
    /// There is no `Stripe-Signature` header.
    #[error("no Stripe-Signature header")]
    Missing,
    /// The header is there and empty.
    #[error("the Stripe-Signature header is empty")]
    Empty,
    /// The header is not a list of `key=value` with exactly one `t` of digits.
    #[error("the Stripe-Signature header is malformed")]
    Malformed,
    /// There is no `v1`, at most schemes that prove nothing.
    #[error("the Stripe-Signature header has no v1 signature")]
    NoSignature,
    /// No `v1` matches any configured secret.
    #[error("no v1 signature matches a configured secret")]
    NoMatch,
    /// The signature is genuine and older than the tolerance.
    #[error("the signature is too old")]
    TooOld,
    /// The signature is genuine and further in the future than the tolerance.
    #[error("the signature is too far in the future")]
    TooFarInFuture,
}

impl Rejection {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Missing,
        Self::Empty,
        Self::Malformed,
        Self::NoSignature,
        Self::NoMatch,
        Self::TooOld,
        Self::TooFarInFuture,
    ];

    /// The reason's name in metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::Empty => "signature_empty",
            Self::Malformed => "signature_malformed",
            Self::NoSignature => "signature_no_v1",
            Self::NoMatch => "signature_no_match",
            Self::TooOld => "signature_too_old",
            Self::TooFarInFuture => "signature_too_far_in_future",
        }
    }
}

impl Verifier {
    /// Prepares a check against any of `secrets`, each used whole (`whsec_…`).
    ///
    /// `tolerance_seconds` limits the age and, alike, the distance into the future; 0 switches
    /// both off (Stripe docs: the SDKs' default is 300). Empty secrets are left out, because
    /// anyone can sign with the empty key; with no secret left, nothing ever matches.
    pub fn new(secrets: Vec<SecretString>, tolerance_seconds: u32) -> Self {
        let keyed = secrets
            .iter()
            .map(|secret| secret.expose_secret().as_bytes())
            .filter(|secret| !secret.is_empty())
            .filter_map(|secret| Keyed::new_from_slice(secret).ok())
            .collect();
        Self { keyed, tolerance_seconds: i64::from(tolerance_seconds) }
    }

    /// Tells whether `header` signs exactly these bytes, at a time close to `now_unix_seconds`.
    ///
    /// The time is judged after the signature, as the official SDKs do, so that "too old" is
    /// always said of a genuine webhook and points at a clock or a replay.
    pub fn verify(
        &self,
        header: Option<&str>,
        body: &[u8],
        now_unix_seconds: i64,
    ) -> Result<Verified, Rejection> {
        let header = Header::parse(header.ok_or(Rejection::Missing)?)?;
        if !self.keyed.iter().any(|keyed| header.is_signed_by(keyed, body)) {
            return Err(Rejection::NoMatch);
        }
        let skew_seconds = header.signed_at.saturating_sub(now_unix_seconds);
        if self.tolerance_seconds > 0 {
            if skew_seconds < -self.tolerance_seconds {
                return Err(Rejection::TooOld);
            }
            if skew_seconds > self.tolerance_seconds {
                return Err(Rejection::TooFarInFuture);
            }
        }
        Ok(Verified { signed_at_unix_seconds: header.signed_at, skew_seconds })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("secrets", &self.keyed.len())
            .field("tolerance_seconds", &self.tolerance_seconds)
            .finish()
    }
}

/// The parsed header; lives on the stack.
struct Header<'a> {
    /// `t` as it was written, because these characters were signed.
    time: &'a str,
    signed_at: i64,
    candidates: [Digest; SIGNATURES_MAX],
    candidate_count: usize,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, Rejection> {
        if text.trim().is_empty() {
            return Err(Rejection::Empty);
        }
        if text.len() > HEADER_BYTES_MAX {
            return Err(Rejection::Malformed);
        }
        let mut time = None;
        let mut candidates = [[0; DIGEST_BYTES]; SIGNATURES_MAX];
        let mut candidate_count = 0;
        let mut has_v1 = false;
        for item in text.split(',') {
            let (key, value) = item.trim().split_once('=').ok_or(Rejection::Malformed)?;
            match key {
                "t" if time.replace(value).is_some() => return Err(Rejection::Malformed),
                "v1" => {
                    has_v1 = true;
                    // One that is no digest cannot match; another one still may.
                    if let (Some(slot), Some(digest)) =
                        (candidates.get_mut(candidate_count), decode(value))
                    {
                        *slot = digest;
                        candidate_count += 1;
                    }
                }
                _ => {}
            }
        }
        let time = time.ok_or(Rejection::Malformed)?;
        let signed_at = seconds(time).ok_or(Rejection::Malformed)?;
        if !has_v1 {
            return Err(Rejection::NoSignature);
        }
        Ok(Self { time, signed_at, candidates, candidate_count })
    }

    /// Whether any candidate is the digest that this key gives; compared in constant time.
    fn is_signed_by(&self, keyed: &Keyed, body: &[u8]) -> bool {
        let mut mac = keyed.clone();
        mac.update(self.time.as_bytes());
        mac.update(b".");
        mac.update(body);
        let expected = mac.finalize();
        self.candidates
            .iter()
            .take(self.candidate_count)
            .any(|candidate| CtOutput::<Keyed>::new((*candidate).into()) == expected)
    }
}

/// Reads `t`: digits only, so that no sign, blank or exponent passes.
fn seconds(text: &str) -> Option<i64> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits_only || text.is_empty() || text.len() > TIME_DIGITS_MAX {
        return None;
    }
    text.parse().ok()
}

/// Reads 64 hexadecimal digits.
fn decode(text: &str) -> Option<Digest> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != DIGEST_BYTES {
        return None;
    }
    let mut digest = [0; DIGEST_BYTES];
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
