//! Settings from environment variables.

use std::env;
use std::ffi::OsString;

use crate::error::{Error, ErrorKind, Result};

/// Reads variables and collects all problems, so that a single error reports them together.
pub(crate) struct Environment {
    read: fn(&str) -> Option<OsString>,
    missing: Vec<&'static str>,
    unreadable: Vec<&'static str>,
}

impl Environment {
    /// Makes a value of the process's variables. One error reports all problems.
    pub(crate) fn read<T>(make: impl FnOnce(&mut Self) -> T) -> Result<T> {
        let mut environment = Self::of(|name| env::var_os(name));
        let made = make(&mut environment);
        environment.check().map(|()| made)
    }

    fn of(read: fn(&str) -> Option<OsString>) -> Self {
        Self { read, missing: Vec::new(), unreadable: Vec::new() }
    }

    /// A required variable. An empty value counts as missing: scripts often turn an unset variable into an empty one.
    pub(crate) fn required(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            if !self.unreadable.contains(&name) {
                self.missing.push(name);
            }
            String::new()
        })
    }

    pub(crate) fn optional(&mut self, name: &'static str) -> Option<String> {
        match (self.read)(name)?.into_string() {
            Ok(value) => (!value.is_empty()).then_some(value),
            Err(_) => {
                self.unreadable.push(name);
                None
            }
        }
    }

    /// Fails if a required variable is missing, or if any variable isn't Unicode.
    fn check(self) -> Result<()> {
        let mut wrong = Vec::new();
        if !self.missing.is_empty() {
            wrong.push(format!("not set: {}", self.missing.join(", ")));
        }
        if !self.unreadable.is_empty() {
            wrong.push(format!("not Unicode: {}", self.unreadable.join(", ")));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Configuration, format!("environment variables are {}", wrong.join("; "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_names_every_missing_variable() {
        let mut environment = Environment::of(|name| match name {
            "A" => Some("a".into()),
            "C" => Some("".into()),
            _ => None,
        });
        assert_eq!(environment.required("A"), "a");
        environment.required("B");
        environment.required("C");
        assert_eq!(environment.optional("D"), None);
        let error = environment.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(error.to_string(), "environment variables are not set: B, C");
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_unicode_is_named_without_its_value() {
        use std::os::unix::ffi::OsStringExt;
        let mut environment = Environment::of(|_| Some(OsString::from_vec(b"key\xff".to_vec())));
        environment.required("A");
        assert_eq!(environment.check().unwrap_err().to_string(), "environment variables are not Unicode: A");
    }
}
