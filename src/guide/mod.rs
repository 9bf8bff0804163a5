//! The guide: what you want to do, and how. Each chapter answers one question, and its code is compiled and run.
//!
//! | chapter | question |
//! |---|---|
//! | [`getting_started`] | How do I read my first records? |
//! | [`backfill_then_follow`] | How do I export a log, go on after a stop, and keep up with what is new? |
//! | [`was_that_all`] | Did I get every record, and what do I alarm on? |
//! | [`writing_logs`] | How do I write logs that survive a crash, a timeout, a retry? |
//! | [`testing_your_code`] | How do I test my program without a server? |
//! | [`errors_and_retries`] | What went wrong, is it retried, and what do I do? |
//! | [`authentication`] | How do I send keys, tokens that expire, signatures, client certificates? |
//! | [`running_it`] | What do I set in production: timeouts, limits, metrics, proxies? |
//! | [`many_machines`] | When is one machine enough, and how do several read one log, or run SQL? |
//! | [`from_an_offset_loop`] | I have a loop of `skip += take`. What is wrong with it, and what replaces it? |
//! | [`questions`] | Short questions, short replies. |
//!
//! The reference beside it: [`guarantees`](crate::guarantees) is what a scan promises, [`verdicts`](crate::verdicts)
//! what each verdict means, [`keeping_in_step`](crate::keeping_in_step) what a follower delivers,
//! [`faults`](crate::faults) what each fault leads to, and [`strictness`](crate::strictness) which JSON is accepted.

#[doc = include_str!("getting_started.md")]
pub mod getting_started {}

#[doc = include_str!("backfill_then_follow.md")]
pub mod backfill_then_follow {}

#[doc = include_str!("was_that_all.md")]
pub mod was_that_all {}

#[doc = include_str!("writing_logs.md")]
pub mod writing_logs {}

#[doc = include_str!("testing_your_code.md")]
pub mod testing_your_code {}

#[doc = include_str!("errors_and_retries.md")]
pub mod errors_and_retries {}

#[doc = include_str!("authentication.md")]
pub mod authentication {}

#[doc = include_str!("running_it.md")]
pub mod running_it {}

#[doc = include_str!("many_machines.md")]
pub mod many_machines {}

#[doc = include_str!("from_an_offset_loop.md")]
pub mod from_an_offset_loop {}

#[doc = include_str!("questions.md")]
pub mod questions {}
