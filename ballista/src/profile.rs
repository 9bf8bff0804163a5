//! Credentials and settings by the name of a profile, found in the environment of the process that uses them.
//!
//! A plan holds the name alone. So each executor has its own credentials, and none is in a plan, a log or a web page.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use actionlog::auth::Secret;
use actionlog::page::{Stability, TotalScope};
use actionlog::{ArklowClient, Client, ClientBuilder, IntegrationClient, UnleashClient};

use crate::error::Problem;

/// The profile whose variables have no prefix.
pub const DEFAULT: &str = "default";

/// The most bytes of a page, as large as the command-line tool takes.
const MAX_BODY: usize = 64 << 20;

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Opens clients by the name of a profile, and keeps them: those that read at once share the limits of their server.
///
/// The profile `default` has the variables that the other tools have (`ARKLOW_API_KEY`), and the profile `eu` has them
/// with its name before them (`EU_ARKLOW_API_KEY`). A value may be in a file that `NAME_FILE` names.
pub struct Profiles {
    lookup: Box<Lookup>,
    clients: Mutex<HashMap<(String, &'static str), Opened>>,
}

/// A client with what its profile says of its server.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) client: AnyClient,
    /// The order of the records is known to be stable.
    pub(crate) stability: Option<Stability>,
}

/// The client of any log.
#[derive(Clone, Debug)]
pub(crate) enum AnyClient {
    Arklow(ArklowClient),
    Integration(IntegrationClient),
    Unleash(UnleashClient),
}

impl Profiles {
    /// Takes all settings from this process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// Takes the settings that this function returns by the names of their variables.
    #[must_use]
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { lookup: Box::new(lookup), clients: Mutex::default() }
    }

    pub(crate) fn arklow(&self, profile: &str) -> Result<Opened, Problem> {
        self.opened(profile, "ARKLOW", |variables| {
            let [org_id, key] = variables.required(["ARKLOW_ORG_ID", "ARKLOW_API_KEY"])?;
            let builder = ArklowClient::builder(org_id.expose()).api_key(key);
            let builder = match variables.get("ARKLOW_BASE_URL")? {
                Some(url) => builder.base_url(url.expose()),
                None => builder,
            };
            let builder = match variables.total("ARKLOW_COUNT_SCOPE")? {
                Some(scope) => builder.count_scope(scope),
                None => builder,
            };
            variables.built(builder).map(AnyClient::Arklow)
        })
    }

    pub(crate) fn integration(&self, profile: &str) -> Result<Opened, Problem> {
        self.opened(profile, "INTEGRATION_LOGS", |variables| {
            let names = ["INTEGRATION_LOGS_URL", "INTEGRATION_LOGS_AUTHORIZATION"];
            let [url, authorization] = variables.required(names)?;
            let builder = IntegrationClient::builder(url.expose()).api_key(authorization);
            let builder = match variables.total("INTEGRATION_LOGS_TOTAL_SCOPE")? {
                Some(scope) => builder.total_scope(scope),
                None => builder,
            };
            variables.built(builder).map(AnyClient::Integration)
        })
    }

    pub(crate) fn unleash(&self, profile: &str) -> Result<Opened, Problem> {
        self.opened(profile, "UNLEASH", |variables| {
            let [url, token] = variables.required(["UNLEASH_URL", "UNLEASH_TOKEN"])?;
            variables.built(UnleashClient::builder(url.expose()).api_key(token)).map(AnyClient::Unleash)
        })
    }

    fn opened(
        &self,
        profile: &str,
        api: &'static str,
        open: impl FnOnce(&Variables<'_>) -> Result<AnyClient, Problem>,
    ) -> Result<Opened, Problem> {
        let variables = Variables::of(profile, &*self.lookup)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (profile.to_owned(), api);
        if let Some(opened) = clients.get(&key) {
            return Ok(opened.clone());
        }
        let stability = variables.stability(&format!("{api}_ORDER"))?;
        let opened = Opened { client: open(&variables)?, stability };
        clients.insert(key, opened.clone());
        Ok(opened)
    }
}

/// Shows no value.
impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiles").finish_non_exhaustive()
    }
}

/// The variables of one profile.
struct Variables<'a> {
    prefix: String,
    lookup: &'a Lookup,
}

impl<'a> Variables<'a> {
    fn of(profile: &str, lookup: &'a Lookup) -> Result<Self, Problem> {
        let is_name = !profile.is_empty() && profile.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        if !is_name {
            return Err(Problem::Settings(format!(
                "`{profile}` can't be the name of a profile: it is made of letters, digits and underscores"
            )));
        }
        let prefix = if profile == DEFAULT { String::new() } else { format!("{}_", profile.to_ascii_uppercase()) };
        Ok(Self { prefix, lookup })
    }

    /// Returns the value of a variable, or the content of the file that `NAME_FILE` names.
    fn get(&self, name: &str) -> Result<Option<Secret>, Problem> {
        let name = format!("{}{name}", self.prefix);
        let set = |name: &str| (self.lookup)(name).filter(|it| !it.is_empty());
        if let Some(value) = set(&name) {
            return Ok(Some(Secret::from(value)));
        }
        let Some(path) = set(&format!("{name}_FILE")) else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problem::Settings(format!("the file of {name}_FILE can't be read: {error}")))?;
        // An editor ends a file with a line break, which is no part of a token.
        let text = text.trim_end_matches(['\r', '\n']);
        Ok((!text.is_empty()).then(|| Secret::from(text)))
    }

    fn required<const N: usize>(&self, names: [&str; N]) -> Result<[Secret; N], Problem> {
        let mut missing = Vec::new();
        let mut values = [(); N].map(|()| Secret::from(""));
        for (name, value) in names.into_iter().zip(&mut values) {
            match self.get(name)? {
                Some(found) => *value = found,
                None => missing.push(format!("{}{name}", self.prefix)),
            }
        }
        if missing.is_empty() {
            return Ok(values);
        }
        Err(Problem::Settings(format!(
            "set {} in the environment of this process (of each executor, if there are any), or name files by the \
             same names with _FILE behind them",
            missing.join(" and ")
        )))
    }

    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        match choices.iter().find(|(choice, _)| *choice == value.expose()) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let choices: Vec<_> = choices.iter().map(|(choice, _)| format!("`{choice}`")).collect();
                let name = format!("{}{name}", self.prefix);
                Err(Problem::Settings(format!("{name} is one of {}", choices.join(", "))))
            }
        }
    }

    fn total(&self, name: &str) -> Result<Option<TotalScope>, Problem> {
        let choices = [("listing", TotalScope::Listing), ("page", TotalScope::Page), ("unknown", TotalScope::Unknown)];
        self.choice(name, &choices)
    }

    fn stability(&self, name: &str) -> Result<Option<Stability>, Problem> {
        self.choice(name, &[("stable", Stability::Stable), ("unstable", Stability::Unstable)])
    }

    fn built<C: Client>(&self, builder: ClientBuilder<C>) -> Result<C, Problem> {
        let is_allowed = self.choice("ACTIONLOG_ALLOW_HTTP", &[("1", true), ("0", false)])? == Some(true);
        let builder = if is_allowed { builder.allow_http() } else { builder };
        builder.max_body_bytes(MAX_BODY).build().map_err(Problem::Api)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(values: &'static [(&str, &str)]) -> Profiles {
        Profiles::new(|name| values.iter().find(|it| it.0 == name).map(|it| it.1.to_owned()))
    }

    #[test]
    fn a_profile_has_its_name_before_its_variables() {
        let profiles = profiles(&[("EU_UNLEASH_URL", "https://eu.example"), ("EU_UNLEASH_TOKEN", "user:s3cr3t")]);
        let AnyClient::Unleash(client) = profiles.unleash("eu").unwrap().client else { panic!("of another log") };
        assert!(client.base_url().starts_with("https://eu.example"));
        let error = profiles.unleash(DEFAULT).unwrap_err().to_string();
        assert!(error.contains("set UNLEASH_URL and UNLEASH_TOKEN in the environment"), "{error}");
        let error = profiles.arklow("us").unwrap_err().to_string();
        assert!(error.contains("set US_ARKLOW_ORG_ID and US_ARKLOW_API_KEY"), "{error}");
        assert!(!format!("{profiles:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_name_or_a_choice_that_is_none_is_an_error() {
        assert!(profiles(&[]).arklow("a b").unwrap_err().to_string().contains("`a b` can't be the name"));
        let profiles = profiles(&[("ARKLOW_ORDER", "fixed"), ("ARKLOW_ORG_ID", "7"), ("ARKLOW_API_KEY", "k")]);
        let error = profiles.arklow(DEFAULT).unwrap_err().to_string();
        assert_eq!(error, "ARKLOW_ORDER is one of `stable`, `unstable`");
    }
}
