//! How much an answer may hold, counted while it is read: what is over isn't even made.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::decode::{DecodeError, Problem};

/// No list inside of a record, or of errors, is longer than this.
const LIST: usize = 10_000;

thread_local! {
    /// What the reading that is under way on this thread may still hold. serde hands nothing of one's own through an
    /// envelope that others have written.
    static ROOM: Cell<Room> = const { Cell::new(Room { most: usize::MAX, left: usize::MAX, over: None }) };
}

#[derive(Clone, Copy)]
struct Room {
    most: usize,
    left: usize,
    /// What there was too much of, and how much of it may be.
    over: Option<(&'static str, usize)>,
}

/// Puts back what was before, whatever happens.
struct Before(Room);

impl Drop for Before {
    fn drop(&mut self) {
        ROOM.set(self.0);
    }
}

/// Reads something with no more than `most` [`Counted`] in it.
///
/// # Errors
///
/// That there were more; of whatever else goes wrong the result tells.
pub(super) fn within<T>(most: usize, read: impl FnOnce() -> T) -> Result<T, DecodeError> {
    let _before = Before(ROOM.replace(Room { most, left: most, over: None }));
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
            list.push(part);
        }
        Ok(list)
    }
}
