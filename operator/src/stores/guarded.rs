//! Objects that do not parse: they are told, and left alone.

use super::observation::Seen;
use crate::key::Kind;
use kube::{Resource, core::DeserializeGuard};
use tracing::warn;

/// What a watch shows of this object: `wrap`ped if it parses.
pub(super) fn guarded<W: Resource>(
    kind: Kind,
    object: DeserializeGuard<W>,
    listed: bool,
    wrap: fn(W) -> Seen<W>,
) -> Seen<W> {
    match object.0 {
        Ok(object) => wrap(object),
        Err(invalid) => {
            let name = invalid.metadata.name.unwrap_or_default();
            let error = invalid.error;
            warn!(%kind, name, error, "cannot parse this object; leaving it alone until it parses");
            Seen::Malformed { name, error, listed }
        }
    }
}

/// What a watch shows of an object that was deleted.
pub(super) fn deleted<W: Resource>(object: DeserializeGuard<W>) -> Seen<W> {
    match object.0 {
        Ok(object) => Seen::Deleted(object),
        Err(invalid) => Seen::MalformedDeleted { name: invalid.metadata.name.unwrap_or_default() },
    }
}
