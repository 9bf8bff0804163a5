//! The environment's proxies, looked at before the HTTP stack does.

use std::env;
use std::ffi::OsString;

use http::Uri;

use crate::error::{Error, ErrorKind, Result};

/// In each pair the first that is set is the one that counts, as in curl.
const VARIABLES: [[&str; 2]; 3] =
    [["HTTP_PROXY", "http_proxy"], ["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];

/// What the HTTP stack can't read as a proxy it ignores, and connects directly: past the one way out that there may be,
/// with the credentials.
///
/// # Errors
///
/// Names the variable, and not its value: that may hold a password.
pub(super) fn check() -> Result<()> {
    check_in(|name| env::var_os(name))
}

fn check_in(variable: impl Fn(&str) -> Option<OsString>) -> Result<()> {
    // In CGI a client's header `Proxy` would be `HTTP_PROXY`: there the stack takes no proxy from the environment.
    if variable("REQUEST_METHOD").is_some() {
        return Ok(());
    }
    for names in VARIABLES {
        let Some((name, value)) = names.into_iter().find_map(|name| Some((name, variable(name)?))) else { continue };
        let why = match value.to_str() {
            // Set to nothing is how a proxy is switched off.
            Some("") => continue,
            Some(value) => problem(value),
            None => Some("isn't Unicode"),
        };
        if let Some(why) = why {
            let form = "it takes the form http://host:port, or is unset for none";
            return Err(Error::new(ErrorKind::Configuration, format!("the environment's {name} {why}: {form}")));
        }
    }
    Ok(())
}

/// What keeps the HTTP stack from asking this proxy.
pub(super) fn problem(value: &str) -> Option<&'static str> {
    let Ok(uri) = value.parse::<Uri>() else { return Some("isn't a URL") };
    match uri.scheme_str() {
        // Without a scheme it's taken for http.
        None | Some("http" | "https") => {}
        Some("socks4" | "socks4a" | "socks5" | "socks5h") => return Some("is a SOCKS proxy, which isn't supported"),
        Some(_) => return Some("has a scheme that no proxy has"),
    }
    let Some(authority) = uri.authority() else { return Some("names no host") };
    // What stands behind the credentials.
    let address = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = address.parse::<Uri>().ok().and_then(|it| it.authority().map(|it| it.host().is_empty()));
    match host {
        Some(false) if authority.as_str().matches('@').count() <= 1 => {}
        _ => return Some("names no host"),
    }
    let port = address.rsplit_once(':').map(|(_, port)| port).filter(|it| !it.ends_with(']'));
    port.is_some_and(|it| it.parse::<u16>().is_err()).then_some("has a port that is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<const N: usize>(variables: [(&'static str, &'static str); N]) -> Result<()> {
        check_in(|name| variables.iter().find(|it| it.0 == name).map(|it| it.1.into()))
    }

    #[test]
    fn what_names_a_proxy_is_taken() {
        for value in [
            "",
            "http://proxy.example.com:3128",
            "http://proxy.example.com:3128/",
            "https://proxy.example.com",
            "proxy.example.com:3128",
            "proxy",
            "127.0.0.1:3128",
            "http://[::1]:3128",
            "http://[::1]",
            "http://user:p%40ss@proxy.example.com:3128",
            "user:pass@proxy.example.com:3128",
        ] {
            for name in VARIABLES.concat() {
                assert!(check_in(|it| (it == name).then(|| value.into())).is_ok(), "{name}={value}");
            }
        }
        with([]).unwrap();
    }

    #[test]
    fn what_would_be_ignored_is_refused_and_not_shown() {
        for value in [
            "http://",
            "http:// proxy.example.com",
            "http//pl4nted:3128",
            "http://user:pl4nted@",
            "http://user:pl4n ted@proxy.example.com",
            "http://user:pl4nted@host@proxy.example.com:1",
            "http:/pl4nted",
            "/pl4nted",
            "://pl4nted",
            "ftp://pl4nted:3128",
            "socks5://pl4nted:1080",
            "http://pl4nted:port",
            "http://pl4nted:99999",
            "http://pl4nted:",
            " http://pl4nted:3128",
            "http://pl4nted:3128\n",
        ] {
            for name in VARIABLES.concat() {
                let error = check_in(|it| (it == name).then(|| value.into())).expect_err(value);
                assert_eq!(error.kind(), ErrorKind::Configuration);
                assert!(error.to_string().contains(name), "{error}");
                assert!(!format!("{error} {error:?}").contains("pl4nted"), "{error:?}");
            }
        }
    }

    #[test]
    fn the_variable_that_counts_is_the_one_that_is_looked_at() {
        with([("HTTP_PROXY", "http://proxy:1"), ("http_proxy", "%%")]).unwrap();
        with([("HTTP_PROXY", ""), ("http_proxy", "%%")]).unwrap();
        with([("HTTP_PROXY", "%%"), ("REQUEST_METHOD", "GET")]).unwrap();
        with([("HTTP_PROXY", "http://proxy:1"), ("ALL_PROXY", "%%")]).unwrap_err();
    }
}
