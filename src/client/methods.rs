//! The methods that all clients have, with their docs, and the setters of all that make calls: each written once.

/// Implements the methods that every client has. An API's module names its client, its transport, its environment
/// variables, and a request for the docs of `send`. `Self::configured` makes a builder of the variables.
macro_rules! client_methods {
    ($client:ident, |$this:ident| $transport:expr, variables: $variables:literal, request: $request:literal) => {
        impl $client {
            #[doc = concat!("A client configured by the environment variables ", $variables, ".")]
            ///
            /// ```no_run
            /// # fn main() -> actionlog::Result<()> {
            #[doc = concat!("let client = actionlog::", stringify!($client), "::from_env()?;")]
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// # Errors
            ///
            /// [`Configuration`](crate::ErrorKind::Configuration) if a variable is missing or invalid; the message
            /// names it.
            pub fn from_env() -> $crate::Result<Self> {
                Self::builder_from_env()?.build()
            }

            /// A builder configured by the environment, for further settings: see [`from_env`](Self::from_env).
            ///
            /// ```no_run
            /// # fn main() -> actionlog::Result<()> {
            #[doc = concat!("let builder = actionlog::", stringify!($client), "::builder_from_env()?;")]
            /// let client = builder.max_in_flight(4).build()?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// # Errors
            ///
            /// [`Configuration`](crate::ErrorKind::Configuration) if a variable is missing; the message names it.
            pub fn builder_from_env() -> $crate::Result<$crate::ClientBuilder<Self>> {
                $crate::transport::env::Environment::read(Self::configured)
            }

            /// A user-defined listing on this server: see [`Paginate`](crate::Paginate).
            ///
            /// ```no_run
            /// use actionlog::Paginate;
            ///
            #[doc = concat!("# async fn example(client: actionlog::", stringify!($client), ", query: impl Paginate) {")]
            /// let records = client.listing(query).collect().await;
            /// println!("{}", records.summary.verdict);
            /// # }
            /// ```
            pub fn listing<Q: $crate::Paginate>(&self, query: Q) -> $crate::Listing<Q> {
                let $this = self;
                $crate::Listing::new($transport.clone(), query)
            }

            /// The parsed base URL, without a trailing slash. Request paths are appended to it.
            #[must_use]
            pub fn base_url(&self) -> &str {
                let $this = self;
                $transport.base().as_str()
            }

            /// The rate-limit headers of the most recent response to this client or its clones. `None` if there were
            /// none.
            ///
            /// ```no_run
            #[doc = concat!("# fn example(client: actionlog::", stringify!($client), ") {")]
            /// if let Some(limit) = client.rate_limit() {
            ///     println!("{:?} requests are left until {:?}", limit.remaining, limit.resets_at);
            /// }
            /// # }
            /// ```
            #[must_use]
            pub fn rate_limit(&self) -> Option<$crate::RateLimit> {
                let $this = self;
                $transport.rate_limit()
            }

            /// Sends a user-defined request to this server: see [`Request`](crate::Request).
            ///
            /// ```no_run
            /// use actionlog::{Json, Request};
            ///
            #[doc = concat!("# async fn example(client: actionlog::", stringify!($client), ")")]
            /// #     -> actionlog::Result<()> {
            #[doc = concat!("let request = Request::", $request, ".json::<Json>();")]
            /// println!("{}", client.send(request).await?);
            /// # Ok(())
            /// # }
            /// ```
            pub fn send<T>(&self, request: $crate::Request<T>) -> $crate::Call<T> {
                let $this = self;
                $crate::Call::new($transport.clone(), request)
            }
        }
    };
}

/// Writes the setters of [`CallOptions`](crate::transport::CallOptions), in an `impl` of the type that holds them. The
/// strings complete the docs: what the operation timeout spans, what sends the header, and a value for the example.
macro_rules! call_options {
    (|$this:ident| $options:expr, spans: $spans:literal, sends: $sends:literal, example: $example:literal) => {
        /// Sets the timeout of one attempt, up to the last byte of its response. `None` is no timeout. Unless set, the
        /// [client's timeout](crate::ClientBuilder::attempt_timeout) applies.
        pub fn attempt_timeout(mut self, limit: impl Into<Option<std::time::Duration>>) -> Self {
            let $this = &mut self;
            $options.attempt = Some(limit.into());
            self
        }

        #[doc = concat!("Sets the timeout of ", $spans, ", including authentication, waits and all attempts.")]
        /// `None` is no timeout. Unless set, the [client's timeout](crate::ClientBuilder::operation_timeout) applies.
        pub fn operation_timeout(mut self, limit: impl Into<Option<std::time::Duration>>) -> Self {
            let $this = &mut self;
            $options.operation = Some(limit.into());
            self
        }

        /// Sets when and how soon failed attempts are retried. Unless set, the
        /// [client's policy](crate::ClientBuilder::retry) applies.
        pub fn retry(mut self, policy: $crate::RetryPolicy) -> Self {
            let $this = &mut self;
            $options.retry = Some(policy);
            self
        }

        #[doc = concat!("Adds a header to ", $sends, ", for example for a proxy that routes by it.")]
        /// Replaces the header of the same name that the [client](crate::ClientBuilder::header) adds.
        ///
        /// ```no_run
        /// # fn example(client: actionlog::UnleashClient) {
        #[doc = concat!("let routed = ", $example, ".header(\"x-route\", \"eu\");")]
        /// # }
        /// ```
        ///
        /// Credentials can't be set or replaced this way (unless a custom `Authenticate` leaves the header alone).
        /// These are rejected before anything is sent: an invalid name or value, `Authorization`, `Cookie`, the header
        /// that carries the client's key, and headers that belong to the connection. A value that is marked as
        /// [sensitive](http::HeaderValue::set_sensitive), or whose name contains `auth`, `key`, `token`, `session` or
        /// the like, is treated as a [credential](crate::auth#what-is-shown-of-credentials).
        pub fn header(mut self, name: impl TryInto<http::HeaderName>, value: impl TryInto<http::HeaderValue>) -> Self {
            let $this = &mut self;
            $options.headers.set(name, value);
            self
        }
    };
}

pub(crate) use {call_options, client_methods};
