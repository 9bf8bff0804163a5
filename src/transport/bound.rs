//! How much an answer may hold, counted while it is read: what is over isn't even made.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::decode::{DecodeError, Problem};

/// No list inside of a record, or of errors, is longer than this.
const LIST: usize = 10_000;

/// How many bytes the lists of all records of a page may take in memory, or as many as a body may have if these are more.
/// An element that is three bytes in a body takes several hundred.
const LISTS: usize = 16 * 1024 * 1024;

/// What there is too much of if these are more.
pub(super) const IN_LISTS: &str = "bytes in the lists of its records";

/// How much a page may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) records: usize,
    /// How many bytes its body may have.
    pub(crate) body: usize,
}

thread_local! {
    /// What the reading that is under way on this thread may still hold. serde hands nothing of one's own through an
    /// envelope that others have written.
    static ROOM: Cell<Room> = const { Cell::new(Room::without_end()) };
}

#[derive(Clone, Copy)]
struct Room {
    most: usize,
    left: usize,
    /// How many bytes lists may take.
    most_in_lists: usize,
    left_in_lists: usize,
    /// What there was too much of, and how much of it may be.
    over: Option<(&'static str, usize)>,
}

impl Room {
    const fn without_end() -> Self {
        let no_end = usize::MAX;
        Self { most: no_end, left: no_end, most_in_lists: no_end, left_in_lists: no_end, over: None }
    }
}

/// Puts back what was before, whatever happens.
struct Before(Room);

impl Drop for Before {
    fn drop(&mut self) {
        ROOM.set(self.0);
    }
}

/// Reads something with no more [`Counted`] in it, and no more in their lists, than there may be.
///
/// # Errors
///
/// That there were more; of whatever else goes wrong the result tells.
pub(super) fn within<T>(most: Most, read: impl FnOnce() -> T) -> Result<T, DecodeError> {
    let (most, in_lists) = (most.records, LISTS.max(most.body));
    let room = Room { most, left: most, most_in_lists: in_lists, left_in_lists: in_lists, over: None };
    let _before = Before(ROOM.replace(room));
    let result = read();
    match ROOM.get().over {
        Some((what, most)) => Err(Problem::TooMany { what, most }.into()),
        None => Ok(result),
    }
}

/// Notes that there is too much of something, and gives the error that ends the reading.
pub(crate) fn over<E: serde::de::Error>(what: &'static str, most: usize) -> E {
    ROOM.set(Room { over: Some((what, most)), ..ROOM.get() });
    E::custom(format_args!("more than {most} {what}"))
}

/// Whether there was too much of something: then nothing of what is read will be kept.
pub(super) fn is_over() -> bool {
    ROOM.get().over.is_some()
}

/// Reads something of which nothing stays if it can't be read: what its lists took is free again then.
pub(super) fn freed_if_unfit<T, E>(read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let before = ROOM.get().left_in_lists;
    let result = read();
    if result.is_err() {
        ROOM.set(Room { left_in_lists: before, ..ROOM.get() });
    }
    result
}

/// Takes the memory that a list grows by.
fn take<E: serde::de::Error>(bytes: usize) -> Result<(), E> {
    let room = ROOM.get();
    let Some(left) = room.left_in_lists.checked_sub(bytes) else {
        return Err(over(IN_LISTS, room.most_in_lists));
    };
    ROOM.set(Room { left_in_lists: left, ..room });
    Ok(())
}

/// A record that is counted before it is read.
#[derive(Debug)]
pub(crate) struct Counted<R>(pub(crate) R);

impl<'de, R: DeserializeOwned> Deserialize<'de> for Counted<R> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let room = ROOM.get();
        let Some(left) = room.left.checked_sub(1) else { return Err(over("records", room.most)) };
        ROOM.set(Room { left, ..room });
        R::deserialize(from).map(Self)
    }
}

/// A list inside of a record, which has an end.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(List(PhantomData))
}

/// The same where it may be absent or null.
pub(crate) fn optional_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
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
