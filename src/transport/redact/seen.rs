//! All credentials that a recorder has seen: none of them may get into its file.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};

use crate::auth::Secret;
use crate::transport::headers::is_telling;
use crate::transport::redact::{Credential, Filter, Secrets, in_url, lenient};

/// The credentials of all requests so far. Unlike a client, it forgets none.
#[derive(Default)]
pub(crate) struct SeenCredentials {
    list: Vec<Credential>,
}

impl SeenCredentials {
    /// Adds a secret that appears in no request, or where nothing shows that it is one.
    pub(crate) fn add(&mut self, secret: Secret) {
        self.push(Credential::new(secret));
    }

    /// Adds the credentials of a request: those that the client attached to it, and for a request that another
    /// [`HttpClient`](crate::HttpClient) has made again, those in its headers and its URL.
    pub(crate) fn learn(&mut self, request: &http::Request<Bytes>) {
        if let Some(Secrets { redactor, credentials, .. }) = request.extensions().get::<Secrets>() {
            let recent = redactor.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let known = credentials.list.iter().chain(&redactor.fixed).chain(&recent.list);
            known.cloned().collect::<Vec<_>>().into_iter().for_each(|it| self.push(it));
        }
        for (name, value) in request.headers() {
            if value.is_sensitive() || is_telling(name.as_str()) {
                let in_authorization = *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION;
                self.push(Credential { text: Secret::from(lenient(value.as_bytes())), in_authorization });
            }
        }
        // Compared with itself, the URL has no credentials but those in parameters with a secret's name.
        in_url(request.uri(), request.uri()).into_iter().for_each(|it| self.push(Credential::new(it)));
    }

    fn push(&mut self, new: Credential) {
        if !new.text.expose().trim().is_empty() && !self.list.iter().any(|it| it.is(&new)) {
            self.list.push(new);
        }
    }

    /// Prepares the credentials for searching.
    pub(crate) fn search(&self) -> CredentialSearch {
        CredentialSearch { filter: Arc::new(Filter::of(self.list.iter())) }
    }
}

/// Credentials, prepared for searching.
#[derive(Clone)]
pub(crate) struct CredentialSearch {
    filter: Arc<Filter>,
}

impl CredentialSearch {
    /// Whether a string, or anything that it decodes to, contains a part of a credential.
    pub(crate) fn finds_in(&self, text: &str) -> bool {
        self.filter.needles.show_in(text)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_credentials_in_the_headers_of_a_request_are_learned_by_their_mark_or_their_name() {
        let mut request = http::Request::builder()
            .header("authorization", "Custom q7x2m9k4")
            .header("proxy-authorization", "Custom w8z3v6b5")
            .header("x-api-key", "ab12 cd34ef56")
            .header("x-request-id", "gh78ij90kl12")
            .body(Bytes::new())
            .unwrap();
        let mut marked = HeaderValue::from_static("mn34op56qr78");
        marked.set_sensitive(true);
        request.headers_mut().insert("x-other", marked);
        let mut seen = SeenCredentials::default();
        seen.learn(&request);
        seen.learn(&request);
        let learned: Vec<_> = seen.list.iter().map(|it| (it.text.expose(), it.in_authorization)).collect();
        let expected =
            [("Custom q7x2m9k4", true), ("Custom w8z3v6b5", true), ("ab12 cd34ef56", false), ("mn34op56qr78", false)];
        assert_eq!(learned, expected);
        // Blank ones are none.
        seen.add(Secret::from(" ".to_owned()));
        assert_eq!(seen.list.len(), 4);
        let search = seen.search();
        assert!(search.finds_in("see q7x2m") && !search.finds_in("Custom") && !search.finds_in("gh78ij90kl12"));
    }
}
