//! The requests of the Unleash client, and how it reads events.

mod records;
mod requests;
