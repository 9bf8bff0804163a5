//! Which end of a listing grows, where that is undocumented. Does no I/O.

use crate::follow::machine::{Side, Sighting};

/// So many records in a row, all in one order, show the order of the listing.
const ENOUGH: usize = 8;

/// Returns the end at which the newest records stand, if the ids or the times of a page show it.
pub(crate) fn newest_side(page: &[Sighting]) -> Option<Side> {
    if page.len() < ENOUGH {
        return None;
    }
    let numbers: Option<Vec<_>> = page.iter().map(|it| it.key.as_number()).collect();
    let by_id = numbers.and_then(|numbers| {
        let descends = numbers.windows(2).all(|two| two[0] > two[1]);
        let ascends = numbers.windows(2).all(|two| two[0] < two[1]);
        side(descends, ascends)
    });
    by_id.or_else(|| {
        let times: Option<Vec<_>> = page.iter().map(|it| it.time).collect();
        let times = times.filter(|it| it.first() != it.last())?;
        side(times.is_sorted_by(|one, other| one >= other), times.is_sorted())
    })
}

fn side(descends: bool, ascends: bool) -> Option<Side> {
    match (descends, ascends) {
        (true, false) => Some(Side::Head),
        (false, true) => Some(Side::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::RecordKey;

    fn page(keys: &[&str]) -> Vec<Sighting> {
        keys.iter().map(|it| Sighting { key: RecordKey::from(*it), digest: 0, is_final: None, time: None }).collect()
    }

    #[test]
    fn ids_that_fall_along_a_page_show_that_the_newest_come_first() {
        let falling = ["20", "19", "18", "11", "10", "9", "8", "1"];
        let mut rising = falling;
        rising.reverse();
        assert_eq!(newest_side(&page(&falling)), Some(Side::Head));
        assert_eq!(newest_side(&page(&rising)), Some(Side::End));
        assert_eq!(newest_side(&page(&falling[1..])), None, "too few");
        assert_eq!(newest_side(&page(&["20", "19", "18", "11", "12", "9", "8", "1"])), None, "out of order");
        let mut twice = ["20", "19", "18", "11", "10", "9", "8", "8"];
        assert_eq!(newest_side(&page(&twice)), None, "one is listed twice");
        twice.reverse();
        assert_eq!(newest_side(&page(&twice)), None, "one is listed twice");
        assert_eq!(newest_side(&page(&["a", "b", "c", "d", "e", "f", "g", "h"])), None, "no numbers");
    }

    #[test]
    fn times_show_it_where_ids_do_not() {
        let at = |seconds: i64| Some(chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default());
        let mut falling = page(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        for (index, record) in falling.iter_mut().enumerate() {
            record.time = at(100 - i64::try_from(index).unwrap_or_default() / 2);
        }
        assert_eq!(newest_side(&falling), Some(Side::Head));
        falling.reverse();
        assert_eq!(newest_side(&falling), Some(Side::End));
        falling[3].time = at(0);
        assert_eq!(newest_side(&falling), None);
        falling.iter_mut().for_each(|it| it.time = at(7));
        assert_eq!(newest_side(&falling), None, "all the same");
    }
}
