//! What a finding says beyond the line itself, and how near in time two lines of one fault are.

use crate::judge::core::bounded;

/// An SXid and an Xid 74 this close together are one fault, in seconds; its root is the switch (AWS, facts of Xid 74).
pub(super) const SAME_FAULT_SECONDS: i64 = 60;
/// Separates a finding's message from the remark that the evidence adds.
pub(super) const REMARK: &str = " | ";

/// The limit of a finding's message, in characters.
pub(super) const MESSAGE_MAX: usize = 256;

/// A message with this remark in place of any other.
pub(super) fn remarked(message: &str, remark: &str) -> String {
    let said = unremarked(message);
    let room = MESSAGE_MAX.saturating_sub(REMARK.len() + remark.len());
    bounded(&format!("{}{REMARK}{remark}", bounded(&said, room)), MESSAGE_MAX)
}

/// A message without its remark.
pub(super) fn unremarked(message: &str) -> String {
    message.split(REMARK).next().unwrap_or_default().to_owned()
}
