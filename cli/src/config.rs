//! Which logs are configured: settings from environment variables, or from files that hold one or all of them.
//!
//! A secret never comes from the command line, where other users of the machine could see it.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;

use actionlog::auth::Secret;

use crate::exit::Failure;

/// The settings: the environment's, and below them those of a file.
pub struct Config {
    /// Whether credentials may be sent without TLS to other machines.
    pub allow_http: bool,
    file: HashMap<String, Secret>,
    environment: fn(&str) -> Option<std::ffi::OsString>,
}

/// The names of the variables that a log needs and that aren't set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing(pub Vec<&'static str>);

/// Why a setting can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Variables aren't set.
    Missing(Missing),
    /// A variable is set, and its value or its file can't be used.
    Unusable(String),
}

impl Config {
    /// Reads `--env-file`, if there is one.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if the file can't be read, or isn't made of lines of `NAME=value`. The message names the
    /// line, and quotes nothing of it.
    pub fn read(file: Option<&Path>, allow_http: bool) -> Result<Self, Failure> {
        let mut values = HashMap::new();
        if let Some(path) = file {
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::Usage(format!("can't read --env-file {}: {error}", path.display())))?;
            for (index, pair) in dotenvy::Iter::new(text.as_bytes()).enumerate() {
                // The error would quote the line, which may hold a secret.
                let (name, value) = pair.map_err(|_| {
                    let count = index + 1;
                    Failure::Usage(format!(
                        "--env-file {}: entry {count} isn't of the form NAME=value (quote a value with spaces)",
                        path.display()
                    ))
                })?;
                values.insert(name, Secret::from(value));
            }
        }
        Ok(Self { allow_http, file: values, environment: |name| env::var_os(name) })
    }

    /// Returns the value of a variable, if it is set and not empty: that of the environment, that of the file named by
    /// `NAME_FILE`, or that of `--env-file`.
    ///
    /// # Errors
    ///
    /// Why it can't be used: it isn't Unicode, or its file can't be read.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, String> {
        if let Some(value) = self.variable(name)? {
            return Ok(Some(value));
        }
        let file = format!("{name}_FILE");
        let Some(path) = self.variable(&file)? else { return Ok(None) };
        let text = fs::read_to_string(path.expose()).map_err(|error| format!("the file of {file}: {error}"))?;
        // An editor ends a file with a line break, which is no part of a token.
        let text = Secret::from(text.trim_end_matches(['\r', '\n']));
        Ok(Some(text).filter(|it| !it.expose().is_empty()))
    }

    fn variable(&self, name: &str) -> Result<Option<Secret>, String> {
        let value = match (self.environment)(name) {
            Some(value) => Some(Secret::from(value.into_string().map_err(|_| format!("{name} isn't Unicode"))?)),
            None => None,
        };
        let value = value.filter(|it| !it.expose().is_empty());
        Ok(value.or_else(|| self.file.get(name).filter(|it| !it.expose().is_empty()).cloned()))
    }

    /// Returns the values of variables that are all required.
    ///
    /// # Errors
    ///
    /// All of those that are missing, together.
    pub fn required<const N: usize>(&self, names: [&'static str; N]) -> Result<[Secret; N], Problem> {
        let mut missing = Missing::default();
        let mut values = [(); N].map(|()| Secret::from(""));
        for (name, value) in names.into_iter().zip(&mut values) {
            match self.get(name).map_err(Problem::Unusable)? {
                Some(found) => *value = found,
                None => missing.0.push(name),
            }
        }
        if missing.0.is_empty() { Ok(values) } else { Err(Problem::Missing(missing)) }
    }

    /// Returns the value of an optional variable.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn optional(&self, name: &str) -> Result<Option<Secret>, Problem> {
        self.get(name).map_err(Problem::Unusable)
    }
}

/// Shows which variables a file sets, and no value.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("file", &self.file.keys()).finish_non_exhaustive()
    }
}

impl Problem {
    /// Returns the failure of a command that needs this log.
    #[must_use]
    pub fn of(&self, log: &str) -> Failure {
        Failure::Usage(match self {
            Self::Missing(Missing(names)) => format!(
                "{log} isn't configured: set {}\n\
                 A secret may be in a file instead: set NAME_FILE to its path. `--env-file FILE` reads all variables \
                 from one. To try the tool without a server: `actionlog fake`",
                names.join(", ")
            ),
            Self::Unusable(why) => format!("{log} can't be used as configured: {why}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn config(file: &str) -> Result<Config, Failure> {
        let mut path = tempfile::NamedTempFile::new().unwrap();
        path.write_all(file.as_bytes()).unwrap();
        Config::read(Some(path.path()), false).map(|it| Config { environment: |_| None, ..it })
    }

    #[test]
    fn a_file_of_variables_is_read_and_all_that_is_missing_is_named() {
        let config = config("export UNLEASH_URL=https://a.example\nUNLEASH_TOKEN='user:a b'\nEMPTY=\n# no\n").unwrap();
        let [url, token] = config.required(["UNLEASH_URL", "UNLEASH_TOKEN"]).unwrap();
        assert_eq!((url.expose(), token.expose()), ("https://a.example", "user:a b"));
        let problem = config.required(["A", "UNLEASH_URL", "EMPTY"]).unwrap_err();
        assert_eq!(problem, Problem::Missing(Missing(vec!["A", "EMPTY"])));
        assert!(problem.of("arklow").to_string().starts_with("arklow isn't configured: set A, EMPTY\n"));
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        let error = config("A=1\nB='s3cr3t\n").unwrap_err().to_string();
        assert!(error.contains("entry 2") && !error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn a_secret_may_be_in_a_file_of_its_own() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"user:s3cr3t\n").unwrap();
        let config = config(&format!("TOKEN_FILE={}\nOTHER_FILE=/no/such/file\n", file.path().display())).unwrap();
        assert_eq!(config.get("TOKEN").unwrap().unwrap().expose(), "user:s3cr3t");
        assert!(config.get("OTHER").unwrap_err().starts_with("the file of OTHER_FILE: "));
        assert!(!format!("{config:?}").contains("no/such"), "{config:?}");
    }
}
