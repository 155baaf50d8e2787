//! What the client refuses to start with.

use relink_stripe::client::{Client, ClientConfig, ConfigError};
use secrecy::SecretString;

use crate::server::{KEY, config};

#[test]
fn a_base_must_be_safe_to_send_a_key_to() {
    let check = |base: &str| config(base).validate();
    for good in
        ["https://api.stripe.com", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost"]
    {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for (bad, error) in [
        ("api.stripe.com", ConfigError::BaseNotAUrl),
        ("mailto:a@b", ConfigError::BaseNotAUrl),
        ("", ConfigError::BaseNotAUrl),
        ("http://sim:12111", ConfigError::BaseNotHttps),
        ("http://localhost.example.com", ConfigError::BaseNotHttps),
        ("ftp://127.0.0.1", ConfigError::BaseNotHttps),
        ("https://user:pass@api.stripe.com", ConfigError::BaseHasExtras),
        ("https://api.stripe.com?x=1", ConfigError::BaseHasExtras),
    ] {
        assert_eq!(check(bad), Err(error), "{bad}");
    }
    let allowed = ClientConfig { allow_http: true, ..config("http://sim:12111") };
    assert_eq!(allowed.validate(), Ok(()));
    let key = ClientConfig { api_key: SecretString::from(""), ..config("https://api.stripe.com") };
    assert_eq!(key.validate(), Err(ConfigError::KeyNotAcceptable));
    let version = ClientConfig { version: "a b".to_owned(), ..config("https://api.stripe.com") };
    assert_eq!(version.validate(), Err(ConfigError::VersionNotAcceptable));
    assert!(Client::new(config("https://api.stripe.com")).is_ok());
    assert!(!format!("{:?}", config("https://api.stripe.com")).contains(KEY));
}
