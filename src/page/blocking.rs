//! The streams of a listing as iterators.

use crate::blocking::Blocking;
use crate::page::{Items, Pages, Paginate, WithCursor, WithInvalid, WithInvalidAndCursor};

macro_rules! blocking {
    ($($stream:ident),+) => {
        $(
            impl<Q: Paginate> $stream<Q> {
                /// Makes the stream an [`Iterator`] that blocks until the next item is there: see
                /// [`blocking`](crate::blocking).
                pub fn blocking(self) -> Blocking<Self> {
                    Blocking::new(self)
                }
            }
        )+
    };
}

blocking!(Items, Pages, WithCursor, WithInvalid, WithInvalidAndCursor);
