//! What the clients of the three APIs share: how one is built, its methods, and a call.

pub(crate) mod builder;
pub(crate) mod call;
mod connection;
pub(crate) mod methods;
