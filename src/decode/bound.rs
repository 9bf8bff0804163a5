//! Limits on the records, lists and memory of a response, enforced while it is deserialized.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::decode::{DecodeError, Problem, by_name};

/// The most elements of a list inside a record.
const LIST: usize = 10_000;

/// The memory that the lists of all records of a page may take, unless `max_body_bytes` is larger. An element of three
/// bytes in a body may take several hundred in memory.
const LISTS: usize = 16 * 1024 * 1024;

/// Names the limit on memory in lists.
pub(crate) const IN_LISTS: &str = "bytes in the lists of its records";

/// The limits of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) records: usize,
    /// The most bytes of the body.
    pub(crate) body: usize,
}

thread_local! {
    /// The limits that are left for the deserialization running on this thread. A thread-local, because serde can't
    /// pass a custom argument through an envelope type that users have defined.
    static ROOM: Cell<Room> = const { Cell::new(Room::without_end()) };
}

#[derive(Clone, Copy)]
struct Room {
    most: usize,
    left: usize,
    /// The most bytes that lists may take.
    most_in_lists: usize,
    left_in_lists: usize,
    /// The bytes that omitted fields may still take. They may take as much as lists may, but outside of a page too they
    /// have a limit.
    left_for_omitted: usize,
    /// The limit that was exceeded: its name and its value.
    over: Option<(&'static str, usize)>,
}

impl Room {
    const fn without_end() -> Self {
        let no_end = usize::MAX;
        Self {
            most: no_end,
            left: no_end,
            most_in_lists: no_end,
            left_in_lists: no_end,
            left_for_omitted: LISTS,
            over: None,
        }
    }
}

/// Restores the previous limits on drop, also after a panic.
struct Before(Room);

impl Drop for Before {
    fn drop(&mut self) {
        ROOM.set(self.0);
    }
}

/// Deserializes with limits on the number of [`Counted`] records and on the memory of their lists.
///
/// # Errors
///
/// If a limit was exceeded. Other failures are part of the result.
pub(super) fn within<T>(most: Most, read: impl FnOnce() -> T) -> Result<T, DecodeError> {
    let (most, in_lists) = (most.records, LISTS.max(most.body));
    let (left_in_lists, left_for_omitted) = (in_lists, in_lists);
    let room = Room { most, left: most, most_in_lists: in_lists, left_in_lists, left_for_omitted, over: None };
    let _before = Before(ROOM.replace(room));
    let result = read();
    match ROOM.get().over {
        Some((what, most)) => Err(Problem::TooMany { what, most }.into()),
        None => Ok(result),
    }
}

/// Records that a limit was exceeded, and returns the error that ends the deserialization.
pub(super) fn over<E: serde::de::Error>(what: &'static str, most: usize) -> E {
    ROOM.set(Room { over: Some((what, most)), ..ROOM.get() });
    E::custom(format_args!("more than {most} {what}"))
}

/// Whether a limit was exceeded. Then nothing that was read is kept.
pub(super) fn is_over() -> bool {
    ROOM.get().over.is_some()
}

/// Deserializes a value, and releases the memory charged for its lists if that fails.
pub(super) fn freed_if_unfit<T, E>(read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let before = ROOM.get().left_in_lists;
    let result = read();
    if result.is_err() {
        ROOM.set(Room { left_in_lists: before, ..ROOM.get() });
    }
    result
}

/// Charges the memory that a list grows by.
fn take<E: serde::de::Error>(bytes: usize) -> Result<(), E> {
    let room = ROOM.get();
    let Some(left) = room.left_in_lists.checked_sub(bytes) else {
        return Err(over(IN_LISTS, room.most_in_lists));
    };
    ROOM.set(Room { left_in_lists: left, ..room });
    Ok(())
}

/// Deserializes a record with a limit on the memory of its omitted fields: what the page leaves, or the limit of a page
/// if it isn't in one.
pub(super) fn omitting<T>(read: impl FnOnce() -> T) -> T {
    let is_in_page = ROOM.get().most_in_lists < usize::MAX;
    let before = ROOM.get().left_for_omitted;
    let result = read();
    if !is_in_page {
        ROOM.set(Room { left_for_omitted: before, ..ROOM.get() });
    }
    result
}

/// Charges the memory of an omitted field, of which any number may be in a record. Returns whether that much was left:
/// unlike a list, an omitted field too many costs only its record.
pub(super) fn take_for_omitted(bytes: usize) -> bool {
    let room = ROOM.get();
    let left = room.left_for_omitted.checked_sub(bytes);
    ROOM.set(Room { left_for_omitted: left.unwrap_or(room.left_for_omitted), ..room });
    left.is_some()
}

/// The limit on the memory of omitted fields.
pub(super) fn most_for_omitted() -> usize {
    Some(ROOM.get().most_in_lists).filter(|it| *it < usize::MAX).unwrap_or(LISTS)
}

/// A record that is counted before it is deserialized; one that is a struct, from a JSON object only.
#[derive(Debug)]
pub(super) struct Counted<R>(pub(super) R);

impl<'de, R: DeserializeOwned> Deserialize<'de> for Counted<R> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let room = ROOM.get();
        let Some(left) = room.left.checked_sub(1) else { return Err(over("records", room.most)) };
        ROOM.set(Room { left, ..room });
        by_name::required(from).map(Self)
    }
}

/// Deserializes a list inside a record, with limits on its length and memory.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(List(PhantomData))
}

/// Like [`list`], for a field that may be null.
pub(super) fn optional_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct Short<T>(Vec<T>);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Short<T> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            list(from).map(Self)
        }
    }

    Option::<Short<T>>::deserialize(from).map(|it| it.map(|it| it.0))
}

struct List<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(part) = parts.next_element()? {
            if list.len() >= LIST {
                return Err(A::Error::custom(format_args!("more than {LIST} in a list")));
            }
            if list.len() == list.capacity() {
                let more = list.capacity().max(4);
                take(more.saturating_mul(size_of::<T>()))?;
                list.reserve_exact(more);
            }
            list.push(part);
        }
        Ok(list)
    }
}
