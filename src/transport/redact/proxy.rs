//! The passwords in proxy URLs.

use std::env;

use percent_encoding::percent_decode_str;

use crate::auth::Secret;
use crate::transport::redact::decoded::lenient;

const VARIABLES: [&str; 6] = ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"];

/// The passwords of the environment's proxies, whether the client uses them or not.
pub(super) fn of_environment() -> Vec<Secret> {
    VARIABLES.into_iter().filter_map(env::var_os).flat_map(|it| of(&it.to_string_lossy())).collect()
}

/// The password of `http://user:password@host`, both as written and percent-decoded. A user name without a password may
/// be a key, so it counts as one.
pub(in crate::transport) fn of(proxy: &str) -> Vec<Secret> {
    let behind = proxy.split_once("://").map_or(proxy, |it| it.1);
    let Some((pair, _)) = behind.rsplit_once('@') else { return Vec::new() };
    let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
    let secret = if password.is_empty() { user } else { password };
    let decoded = lenient(&percent_decode_str(secret).collect::<Vec<_>>());
    [secret, &decoded].into_iter().filter(|it| !it.is_empty()).map(Secret::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_found_in_every_form_of_proxy_url() {
        for (proxy, passwords) in [
            ("http://user:p%40ss@proxy:3128", vec!["p%40ss", "p@ss"]),
            ("user:p@ss/word@proxy", vec!["p@ss/word", "p@ss/word"]),
            ("socks5://key@proxy", vec!["key", "key"]),
            ("http://proxy:3128/", vec![]),
            ("", vec![]),
        ] {
            let found = of(proxy);
            assert_eq!(found.iter().map(Secret::expose).collect::<Vec<_>>(), passwords, "{proxy}");
        }
    }
}
