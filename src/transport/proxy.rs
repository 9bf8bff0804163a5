//! Validates the proxy variables of the environment.

use std::env;
use std::ffi::OsString;

use http::Uri;

use crate::error::{Error, ErrorKind, Result};

/// The proxy variables. Of each pair, the first one that is set counts, as in curl.
const VARIABLES: [[&str; 2]; 3] =
    [["HTTP_PROXY", "http_proxy"], ["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];

/// Fails if a proxy variable is invalid. The HTTP stack would ignore it and connect directly, bypassing a proxy that
/// may be the only permitted way out, with the credentials.
///
/// # Errors
///
/// The message names the variable, and not its value, which may contain a password.
pub(super) fn check() -> Result<()> {
    check_in(|name| env::var_os(name))
}

fn check_in(variable: impl Fn(&str) -> Option<OsString>) -> Result<()> {
    // Under CGI a request header `Proxy` would set `HTTP_PROXY`, so the stack takes no proxy from the environment
    // there.
    if variable("REQUEST_METHOD").is_some() {
        return Ok(());
    }
    for names in VARIABLES {
        let Some((name, value)) = names.into_iter().find_map(|name| Some((name, variable(name)?))) else { continue };
        let why = match value.to_str() {
            // An empty value disables the proxy.
            Some("") => continue,
            Some(value) => problem(value),
            None => Some("isn't Unicode"),
        };
        if let Some(why) = why {
            let form = "use the form http://host:port, or unset it";
            return Err(Error::new(ErrorKind::Configuration, format!("the environment's {name} {why}: {form}")));
        }
    }
    Ok(())
}

/// Why the HTTP stack can't use this proxy, if it can't.
pub(super) fn problem(value: &str) -> Option<&'static str> {
    let Ok(uri) = value.parse::<Uri>() else { return Some("isn't a URL") };
    match uri.scheme_str() {
        // Without a scheme the stack assumes http.
        None | Some("http" | "https") => {}
        Some("socks4" | "socks4a" | "socks5" | "socks5h") => return Some("is a SOCKS proxy, which isn't supported"),
        Some(_) => return Some("has an unsupported scheme"),
    }
    let Some(authority) = uri.authority() else { return Some("names no host") };
    // The part after the credentials.
    let address = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = address.parse::<Uri>().ok().and_then(|it| it.authority().map(|it| it.host().is_empty()));
    match host {
        Some(false) if authority.as_str().matches('@').count() <= 1 => {}
        _ => return Some("names no host"),
    }
    let port = address.rsplit_once(':').map(|(_, port)| port).filter(|it| !it.ends_with(']'));
    port.is_some_and(|it| it.parse::<u16>().is_err()).then_some("has an invalid port")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<const N: usize>(variables: [(&'static str, &'static str); N]) -> Result<()> {
        check_in(|name| variables.iter().find(|it| it.0 == name).map(|it| it.1.into()))
    }

    #[test]
    fn valid_proxies_are_accepted() {
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
    fn invalid_proxies_are_rejected_without_being_shown() {
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
    fn only_the_variable_that_the_stack_uses_is_checked() {
        with([("HTTP_PROXY", "http://proxy:1"), ("http_proxy", "%%")]).unwrap();
        with([("HTTP_PROXY", ""), ("http_proxy", "%%")]).unwrap();
        with([("HTTP_PROXY", "%%"), ("REQUEST_METHOD", "GET")]).unwrap();
        with([("HTTP_PROXY", "http://proxy:1"), ("ALL_PROXY", "%%")]).unwrap_err();
    }
}
