//! What the clients of the three APIs share: how one is built and a call.

pub(crate) mod builder;
pub(crate) mod call;
mod connection;
