//! Strings that are never printed.

use std::fmt;

use zeroize::Zeroizing;

/// A string that is never printed: a key, a token, a password.
///
/// `Debug` prints `[redacted]`, there is no `Display` and no `Serialize`, and the memory is wiped on drop. Copies that
/// the HTTP stack makes while a request is in flight can't be wiped.
///
/// ```
/// use actionlog::auth::Secret;
///
/// let key = Secret::from("s3cr3t");
/// assert_eq!(format!("{key:?}"), "[redacted]");
/// assert_eq!(key.expose(), "s3cr3t");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The string itself. Take care where you pass it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&String> for Secret {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
