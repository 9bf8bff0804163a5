//! Lists of structs: each from a JSON object only, and all of them within the limits on lists.

use serde::Deserializer;
use serde::de::DeserializeOwned;

use crate::decode::bound;
use crate::decode::by_name::Named;

/// A field that is a list of structs.
pub(crate) fn list<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(bound::list::<_, Named<T>>(from)?.into_iter().map(|it| it.0).collect())
}

/// A field that is absent, null, or a list of structs.
pub(crate) fn optional_list<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = bound::optional_list::<_, Named<T>>(from)?;
    Ok(list.map(|it| it.into_iter().map(|it| it.0).collect()))
}
