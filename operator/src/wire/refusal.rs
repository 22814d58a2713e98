//! Why a request did not succeed, and what follows from that.

use crate::key::Key;
use crds::condition::truncate;
use thiserror::Error;

/// The most that is told of the API server's message, which may quote whatever an agent has written.
const MESSAGE_BYTES: usize = 600;

/// A request that did not succeed.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The API server answered with an error, or could not be reached.
    #[error("{act} {key}: {}", told(source))]
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

/// An error of the client in words: its own text ends with Rust's Debug form of the whole answer.
fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("{} ({} {})", truncate(&status.message, MESSAGE_BYTES), status.code, status.reason)
        }
        other => other.to_string(),
    }
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
        // Nothing was done, but the GET that follows is the pause that the server asks for.
        429 => Class::Unknown,
        400..=499 => Class::Invalid,
        _ => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_in_words() {
        let status = kube::core::Status {
            code: 422,
            message: "spec.x: Invalid value: \"a\u{7}b\": too long".into(),
            reason: "Invalid".into(),
            ..kube::core::Status::default()
        };
        let error = RequestError::Api {
            act: "apply decision",
            key: Key::new(crate::key::Kind::NodeHealth, "n1"),
            source: Box::new(kube::Error::Api(Box::new(status))),
        };
        let told = error.to_string();
        assert!(told.starts_with("apply decision NodeHealth n1: spec.x: Invalid value: "), "{told}");
        assert!(told.ends_with(": too long (422 Invalid)") && !told.contains('\u{7}'), "{told}");
    }

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
