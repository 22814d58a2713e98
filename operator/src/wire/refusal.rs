//! Why a request did not succeed, and what follows from that.

use crate::key::Key;
use thiserror::Error;

/// A request that did not succeed.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The API server answered with an error, or could not be reached.
    #[error("{act} {key}: {source}")]
    Api {
        /// The request.
        act: &'static str,
        /// The object.
        key: Key,
        /// Why not.
        source: Box<kube::Error>,
    },
    /// No answer came in time.
    #[error("{act} {key}: no answer within {seconds} s")]
    NoAnswer {
        /// The request.
        act: &'static str,
        /// The object.
        key: Key,
        /// The time limit, in seconds.
        seconds: u64,
    },
    /// The body cannot be encoded as JSON.
    #[error("{act} {key}: {source}")]
    Encoding {
        /// The request.
        act: &'static str,
        /// The object.
        key: Key,
        /// Why not.
        source: serde_json::Error,
    },
}

/// What follows from a request that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// 409, or 422 on the uid: the object has changed. Decide again once the watch shows it.
    Conflict,
    /// 404: there is no such object.
    Gone,
    /// 403, 401: not allowed. Somebody must fix RBAC, admission policy or token.
    Forbidden,
    /// 500 `field not declared in schema`: the CustomResourceDefinitions on the cluster are older than this operator.
    OldSchema,
    /// Any other error that the same request would get again.
    Invalid,
    /// No answer, or one that leaves open whether the write was done: read the object before deciding again.
    Unknown,
}

impl Class {
    /// The value of a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Forbidden => "forbidden",
            Self::OldSchema => "old_schema",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }
}

impl RequestError {
    /// What follows from it.
    pub fn class(&self) -> Class {
        match self {
            Self::NoAnswer { .. } => Class::Unknown,
            Self::Encoding { .. } => Class::Invalid,
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => class_of(status.code, &status.message),
                _ => Class::Unknown,
            },
        }
    }
}

fn class_of(code: u16, message: &str) -> Class {
    match code {
        409 => Class::Conflict,
        404 | 410 => Class::Gone,
        401 | 403 => Class::Forbidden,
        // The object was replaced: an apply of the main resource carried the old uid.
        422 if message.contains("metadata.uid") || message.contains("UID") => Class::Conflict,
        500 if message.contains("not declared in schema") => Class::OldSchema,
        // 429 itself means that nothing was done, but the client may have retried before.
        429 => Class::Unknown,
        400..=499 => Class::Invalid,
        _ => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_classified_by_what_follows_from_it() {
        let table = [
            (409, "the object has been modified", Class::Conflict),
            (404, "not found", Class::Gone),
            (403, "ValidatingAdmissionPolicy", Class::Forbidden),
            (401, "Unauthorized", Class::Forbidden),
            (422, "Node \"n\" is invalid: metadata.uid: field is immutable", Class::Conflict),
            (422, "spec.x: too long", Class::Invalid),
            (500, ".status.x: field not declared in schema", Class::OldSchema),
            (500, "etcdserver: request timed out", Class::Unknown),
            (503, "", Class::Unknown),
            (429, "", Class::Unknown),
        ];
        for (code, message, class) in table {
            assert_eq!(class_of(code, message), class, "{code} {message}");
        }
    }
}
