//! What a page shows of its records: keys, digests, states and times.

use crate::error::InvalidRecord;
use crate::follow::digest::digest;
use crate::follow::machine::Sighting;
use crate::page::{Paginate, Raw, RecordKey};
use crate::values::json::Json;

/// Returns what a page shows. `alike` recognizes an invalid record by its raw JSON.
pub(super) fn sightings<Q: Paginate>(
    records: &[Result<Raw<Q::Item>, InvalidRecord>],
    is_head: bool,
    alike: impl Fn(&RecordKey) -> Option<RecordKey>,
) -> Vec<Sighting> {
    let mut sightings: Vec<Sighting> = Vec::with_capacity(records.len());
    for record in records {
        sightings.push(match record {
            Ok(record) => Sighting {
                key: Q::record_key(record),
                digest: digest(record.raw().as_str()),
                is_final: Q::is_final(record),
                time: Q::timestamp(record),
            },
            Err(record) => {
                let before = sightings.last().map(|it| &it.key);
                let key = key_of(record.raw()).unwrap_or_else(|| {
                    let key = RecordKey::of_raw(record.raw(), before);
                    // The record before the first one isn't shown.
                    if before.is_none() && !is_head { alike(&key).unwrap_or(key) } else { key }
                });
                Sighting { key, digest: digest(record.raw().as_str()), is_final: None, time: None }
            }
        });
    }
    sightings
}

/// The key of an invalid record: its id, if that can be read. So a record that becomes invalid is the same one,
/// changed.
fn key_of(raw: &Json) -> Option<RecordKey> {
    let id = InvalidRecord::json_of_id(raw)?;
    let number = id.parse::<i64>().ok().map(RecordKey::from);
    number.or_else(|| Some(RecordKey::from(id.parse::<String>().ok().filter(|it| !it.is_empty())?.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_record_is_known_by_its_id_if_that_can_be_read() {
        for (raw, key) in [
            (r#"{"id": 7}"#, Some(RecordKey::from(7_i64))),
            (r#"{"id": "a7"}"#, Some(RecordKey::from("a7"))),
            (r#"{"_id": "a7", "id": 7}"#, Some(RecordKey::from("a7"))),
            // Many records may have none, or the same one.
            (r#"{"id": ""}"#, None),
            (r#"{"id": null}"#, None),
            (r#"{"id": [7]}"#, None),
            ("{}", None),
        ] {
            assert_eq!(key_of(&Json::from_text(raw).unwrap_or_default()), key, "{raw}");
        }
    }
}
