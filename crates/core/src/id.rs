//! Identifiers: Stripe's, kept as text, each kind its own type.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest identifier Relink accepts, in bytes.
///
/// Stripe documents ids of up to 255 characters, and uses about 30. A command id joins two of
/// them with a suffix into an AMQP short string (255 bytes),
/// so a longer one could not be published.
pub const ID_BYTES_MAX: usize = 100;

/// An identifier of one kind; cloning is a reference count.
pub struct Id<Kind>(Arc<str>, PhantomData<fn() -> Kind>);

impl<Kind> Id<Kind> {
    /// Wraps the text as it is; [`Id::is_acceptable`] tells whether it can travel.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into(), PhantomData)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is non-empty, printable ASCII without blanks and within [`ID_BYTES_MAX`].
    pub fn is_acceptable(&self) -> bool {
        let bytes = self.0.as_bytes();
        !bytes.is_empty() && bytes.len() <= ID_BYTES_MAX && bytes.iter().all(u8::is_ascii_graphic)
    }
}

impl<Kind> Clone for Id<Kind> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}
impl<Kind> PartialEq for Id<Kind> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<Kind> Eq for Id<Kind> {}
impl<Kind> PartialOrd for Id<Kind> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<Kind> Ord for Id<Kind> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<Kind> Hash for Id<Kind> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<Kind> Borrow<str> for Id<Kind> {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl<Kind> fmt::Display for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<Kind> fmt::Debug for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<Kind> From<&str> for Id<Kind> {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
impl<Kind> Serialize for Id<Kind> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de, Kind> Deserialize<'de> for Id<Kind> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(Arc::<str>::deserialize(deserializer)?))
    }
}
impl<Kind> schemars::JsonSchema for Id<Kind> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// Marks the kinds of [`Id`]; never constructed.
pub mod kind {
    /// A Financial Connections account, `fca_…`.
    #[derive(Debug)]
    pub enum Account {}
    /// An authorization, `fcauth_…`.
    #[derive(Debug)]
    pub enum Authorization {}
    /// A session, `fcsess_…`.
    #[derive(Debug)]
    pub enum Session {}
    /// An event, an observation or a due timer: whatever made a decision happen.
    #[derive(Debug)]
    pub enum Input {}
    /// A follow-up command.
    #[derive(Debug)]
    pub enum Command {}
    /// A case.
    #[derive(Debug)]
    pub enum Case {}
}

/// A Financial Connections account, `fca_…`.
pub type AccountId = Id<kind::Account>;
/// An authorization, `fcauth_…`: one set of credentials that covers several accounts.
pub type AuthorizationId = Id<kind::Authorization>;
/// A session, `fcsess_…`.
pub type SessionId = Id<kind::Session>;
/// Whatever made a decision happen: `evt_…`, an observation's id or a timer's name.
pub type InputId = Id<kind::Input>;
/// A follow-up command's id; the same conclusion always has the same one.
pub type CommandId = Id<kind::Command>;
/// A case's id: where it was opened and a running number.
pub type CaseId = Id<kind::Case>;

/// Whose objects these are: test and live, and the accounts of Connect, never meet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope {
    /// Live mode, or a sandbox.
    pub livemode: bool,
    /// The Connect account (`acct_…`) the objects belong to; `None`: the platform's own.
    pub stripe_account: Option<Arc<str>>,
}

impl Scope {
    /// The platform's own objects.
    pub fn own(livemode: bool) -> Self {
        Self { livemode, stripe_account: None }
    }

    /// The objects of a Connect account.
    pub fn connected(livemode: bool, stripe_account: &str) -> Self {
        Self { livemode, stripe_account: Some(stripe_account.into()) }
    }

    /// Reads what [`Scope`]'s `Display` wrote: `live`, `test`, `live/acct_1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (mode, account) = match text.split_once('/') {
            Some((mode, account)) => (mode, Some(account)),
            None => (text, None),
        };
        let livemode = match mode {
            "live" => true,
            "test" => false,
            _ => return None,
        };
        Some(Self { livemode, stripe_account: account.map(Arc::from) })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.livemode { "live" } else { "test" })?;
        match &self.stripe_account {
            Some(account) => write!(f, "/{account}"),
            None => Ok(()),
        }
    }
}

/// Where an account lives: its authorization, or itself while that is not known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Home {
    /// The authorization.
    Authorization(AuthorizationId),
    /// An account whose authorization no body and no read has named yet.
    Provisional(AccountId),
}

impl Home {
    /// The id that names the home in commands, rows and logs.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Authorization(id) => id.as_str(),
            Self::Provisional(id) => id.as_str(),
        }
    }

    /// The authorization, where it is known.
    pub fn authorization(&self) -> Option<&AuthorizationId> {
        match self {
            Self::Authorization(id) => Some(id),
            Self::Provisional(_) => None,
        }
    }

    /// Whether the authorization is still unknown.
    pub fn is_provisional(&self) -> bool {
        matches!(self, Self::Provisional(_))
    }
}

/// An aggregate's key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HomeKey {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub home: Home,
}

/// An account's key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccountKey {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub account: AccountId,
}
