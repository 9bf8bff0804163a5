//! Credentials, over an exchange in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actionlog::auth::{AuthError, Token, TokenSource};
use async_trait::async_trait;

/// Gives `token-1`, `token-2` and so on.
#[derive(Debug, Default)]
pub(crate) struct Numbered {
    fetched: AtomicUsize,
}

#[async_trait]
impl TokenSource for Numbered {
    async fn fetch(&self) -> Result<Token, AuthError> {
        let number = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Token::new(format!("token-{number}")).expires_in(Duration::from_secs(3600)))
    }
}
