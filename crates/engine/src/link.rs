//! Relink links: signed, so that nothing has to be stored to know a link of ours again.
//!
//! A token is `1.<claims>.<mac>`: the format's version, the claims and an HMAC-SHA256 over both
//! (RFC 2104), each part base64url without padding (RFC 4648 §5). The claims are readable by
//! whoever holds the link; they are ids, and the link itself is the secret. Whether the case is
//! still open is not in the link: it is asked of the database each time.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use relink_core::id::{CaseId, Scope};
use relink_core::time::{Second, Span, Time};
use sha2::Sha256;

/// How long a link works: above the 30 days that Stripe announces ahead, a new prompt brings a
/// new link, and one that is found in an old mailbox should be dead.
pub const LINK_LIFETIME: Span = Span::days(30);

/// The shortest key, in bytes: what HMAC-SHA256 yields (RFC 2104, section 3).
pub const LINK_KEY_BYTES_MIN: usize = 32;

/// The longest token of a link that is looked at, in bytes: three ids of the longest kind in base64.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// The format of links that are made now; another number is another format.
const VERSION: &str = "1";

/// Between the fields of the claims; no id holds it.
const FIELD: char = '\n';

type Keyed = Hmac<Sha256>;

/// What a link is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkClaims {
    /// The case.
    pub case: CaseId,
    /// The authorization, or the account while its authorization is unknown.
    pub subject: Arc<str>,
    /// Whose.
    pub scope: Scope,
    /// Until when it works, by our clock.
    pub expires: Second,
}

/// Why a link does not work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum LinkRefusal {
    /// It is no link: cut off, mangled, or of a format that is not known here.
    #[error("the link is not complete")]
    Malformed,
    /// No key of ours has signed it.
    #[error("the link is not genuine")]
    Forged,
    /// It was genuine, and its time is over.
    #[error("the link has expired")]
    Expired,
}

impl LinkRefusal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Malformed, Self::Forged, Self::Expired];

    /// The reason's name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "link_malformed",
            Self::Forged => "link_forged",
            Self::Expired => "link_expired",
        }
    }
}

/// Why keys cannot sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkKeyError {
    /// There is none.
    #[error("there is no key")]
    None,
    /// One is too easy to guess.
    #[error("a key has fewer than {LINK_KEY_BYTES_MIN} bytes")]
    Short,
}

/// Signs links and knows its own again; cloning shares nothing but costs little.
#[derive(Clone)]
pub struct LinkSigner {
    newest: Keyed,
    older: Vec<Keyed>,
}

impl LinkSigner {
    /// Takes keys, the newest first: it signs, all of them verify. A key may be taken out of the
    /// list once [`LINK_LIFETIME`] has passed since it was the newest.
    ///
    /// # Errors
    /// Without a key, or with one below [`LINK_KEY_BYTES_MIN`].
    pub fn new(keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, LinkKeyError> {
        let keyed = keys.into_iter().map(|key| {
            let key = key.as_ref();
            let long_enough = key.len() >= LINK_KEY_BYTES_MIN;
            let keyed = long_enough.then(|| Keyed::new_from_slice(key).ok()).flatten();
            keyed.ok_or(LinkKeyError::Short)
        });
        let mut keyed = keyed.collect::<Result<Vec<_>, _>>()?.into_iter();
        let newest = keyed.next().ok_or(LinkKeyError::None)?;
        Ok(Self { newest, older: keyed.collect() })
    }

    /// The token of a link.
    pub fn sign(&self, claims: &LinkClaims) -> String {
        let LinkClaims { case, subject, scope, expires } = claims;
        // Most cases are named after where they are: said once, a link fits a text message.
        let own = format!("{scope}:{subject}");
        let case = case.as_str().strip_prefix(&own).unwrap_or(case.as_str());
        self.seal("link", &format!("{}{FIELD}{scope}{FIELD}{subject}{FIELD}{case}", expires.0))
    }

    /// What a link is for.
    ///
    /// # Errors
    /// Why it does not work; "expired" is only said of a genuine one.
    pub fn verify(&self, token: &str, now: Time) -> Result<LinkClaims, LinkRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(LinkRefusal::Malformed);
        }
        let text = self.open("link", token)?;
        let claims = claims(&text).ok_or(LinkRefusal::Malformed)?;
        if claims.expires.as_time() <= now {
            return Err(LinkRefusal::Expired);
        }
        Ok(claims)
    }

    /// Signs any text for one purpose; a token of one purpose is worth nothing for another.
    pub fn seal(&self, purpose: &str, text: &str) -> String {
        let text = URL_SAFE_NO_PAD.encode(text);
        let mac = signature(&self.newest, purpose, &text).finalize().into_bytes();
        format!("{VERSION}.{text}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// The text that [`LinkSigner::seal`] signed for this purpose.
    ///
    /// # Errors
    /// When it is none of ours; never "expired", the text has to tell that.
    pub fn open(&self, purpose: &str, token: &str) -> Result<String, LinkRefusal> {
        let malformed = LinkRefusal::Malformed;
        let mut parts = token.split('.');
        let (Some(VERSION), Some(text), Some(mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| malformed)?;
        // `verify_slice` compares in constant time.
        let mut keys = std::iter::once(&self.newest).chain(&self.older);
        if !keys.any(|keyed| signature(keyed, purpose, text).verify_slice(&mac).is_ok()) {
            return Err(LinkRefusal::Forged);
        }
        let text = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed)?;
        String::from_utf8(text).map_err(|_| malformed)
    }
}

impl fmt::Debug for LinkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSigner").field("keys", &(1 + self.older.len())).finish_non_exhaustive()
    }
}

/// Makes the whole link: what a prompt carries.
#[derive(Clone, Debug)]
pub struct Links {
    signer: LinkSigner,
    base: Arc<str>,
}

impl Links {
    /// Links below the public address of the portal, such as `https://relink.example.com`.
    pub fn new(signer: LinkSigner, base: &str) -> Self {
        Self { signer, base: base.trim_end_matches('/').into() }
    }

    /// What signs them.
    pub fn signer(&self) -> &LinkSigner {
        &self.signer
    }

    /// The public address, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The link to the relink page of a case, for [`LINK_LIFETIME`] from `now`.
    pub fn url(&self, case: &CaseId, subject: &str, scope: &Scope, now: Time) -> String {
        let expires = Second(now.after(LINK_LIFETIME).0.div_euclid(1000));
        let (case, scope) = (case.clone(), scope.clone());
        let token = self.signer.sign(&LinkClaims { case, subject: subject.into(), scope, expires });
        format!("{}/relink/{token}", self.base)
    }
}

fn signature(keyed: &Keyed, purpose: &str, text: &str) -> Keyed {
    let mut mac = keyed.clone();
    // Neither holds a blank, so no two pairs give the same bytes.
    for part in ["relink ", purpose, " ", VERSION, " ", text] {
        mac.update(part.as_bytes());
    }
    mac
}

fn claims(text: &str) -> Option<LinkClaims> {
    let mut fields = text.split(FIELD);
    let (expires, scope, subject, case) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let case = if case.starts_with(':') { format!("{scope}:{subject}{case}") } else { case.into() };
    let complete = fields.next().is_none();
    Some(LinkClaims {
        case: CaseId::new(case),
        subject: subject.into(),
        scope: Scope::parse(scope)?,
        expires: Second(expires.parse().ok()?),
    })
    .filter(|_| complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];
    const NOW: Time = Time(1_800_000_000_000);

    fn claims(case: &str) -> LinkClaims {
        LinkClaims {
            case: CaseId::new(case),
            subject: "fcauth_1".into(),
            scope: Scope::connected(true, "acct_1"),
            expires: Second(1_800_000_001),
        }
    }

    #[test]
    fn a_link_tells_what_it_is_for() {
        let signer = LinkSigner::new([NEW]).unwrap();
        for case in ["live/acct_1:fcauth_1:case-3", "live/acct_1:fca_9:case-1"] {
            let token = signer.sign(&claims(case));
            assert_eq!(signer.verify(&token, NOW), Ok(claims(case)));
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            assert!(token.bytes().all(fits), "{token}");
        }
    }

    #[test]
    fn a_link_dies_at_the_second_it_says() {
        let signer = LinkSigner::new([NEW]).unwrap();
        let token = signer.sign(&claims("live/acct_1:fcauth_1:case-3"));
        assert!(signer.verify(&token, Time(1_800_000_000_999)).is_ok());
        let refused = signer.verify(&token, Time(1_800_000_001_000));
        assert_eq!(refused, Err(LinkRefusal::Expired));
    }

    #[test]
    fn keys_rotate() {
        let before = LinkSigner::new([OLD]).unwrap();
        let during = LinkSigner::new([NEW, OLD]).unwrap();
        let after = LinkSigner::new([NEW]).unwrap();
        let (old, new) = (before.sign(&claims("c")), during.sign(&claims("c")));
        assert!(during.verify(&old, NOW).is_ok() && during.verify(&new, NOW).is_ok());
        assert!(after.verify(&new, NOW).is_ok(), "the newest key signs");
        assert_eq!(after.verify(&old, NOW), Err(LinkRefusal::Forged));
    }

    #[test]
    fn no_changed_byte_passes() {
        let signer = LinkSigner::new([NEW]).unwrap();
        let token = signer.sign(&claims("live/acct_1:fcauth_1:case-3"));
        for position in 0..token.len() {
            for other in ["A", "B", ".", "=", "é"] {
                let (start, end) = (&token[..position], &token[position + 1..]);
                let forged = format!("{start}{other}{end}");
                if forged == token {
                    continue;
                }
                assert!(signer.verify(&forged, NOW).is_err(), "{forged}");
            }
            assert!(signer.verify(&token[..position], NOW).is_err());
        }
    }

    #[test]
    fn a_token_of_one_purpose_is_worth_nothing_for_another() {
        let signer = LinkSigner::new([NEW]).unwrap();
        let token = signer.seal("completion", "x");
        assert_eq!(signer.open("completion", &token).as_deref(), Ok("x"));
        assert_eq!(signer.open("link", &token), Err(LinkRefusal::Forged));
        assert_eq!(signer.verify(&token, NOW), Err(LinkRefusal::Forged));
    }

    #[test]
    fn weak_keys_are_refused() {
        assert_eq!(LinkSigner::new([[0; 31]]).err(), Some(LinkKeyError::Short));
        assert_eq!(LinkSigner::new(Vec::<[u8; 32]>::new()).err(), Some(LinkKeyError::None));
    }

    #[test]
    fn a_whole_link_is_short_enough_for_a_text_message() {
        let links = Links::new(LinkSigner::new([NEW]).unwrap(), "https://relink.example.com/");
        let case = CaseId::new("live:fcauth_1NfkJo2eZvKYlo2C:case-1");
        let url = links.url(&case, "fcauth_1NfkJo2eZvKYlo2C", &Scope::own(true), NOW);
        assert!(url.starts_with("https://relink.example.com/relink/1."), "{url}");
        assert!(url.len() < 160, "{}: {url}", url.len());
    }
}
