//! A probe that talks: lines to its stdin, lines from its stdout, while it runs.
//!
//! Nothing is buffered: a line is read from the child only once the reporter has taken the one before, so that a child
//! that writes too fast blocks on its pipe.

use std::future::pending;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::frames::{Line, Lines};
use super::protocol::{MAX_REPLY_BYTES, Reply};
use crate::readings::talk::MAX_SAID_BYTES;

/// Lines queued for a child, beyond what its pipe holds. A reporter asks again only after it was answered.
pub(super) const UNREAD_LINES: usize = 4;

/// Bytes of a reply around the line: braces, tag, id.
const AROUND_A_LINE: usize = 128;

/// Why a talking probe is ended.
pub(super) enum Silence {
    /// Nothing was sent to it for too long: nobody needs it any more.
    Deadline,
    /// It wrote a line that is too long.
    TooLong,
}

/// Both directions of one probe.
pub(crate) struct Talk {
    id: u64,
    to_say: mpsc::Receiver<String>,
    stdin: Option<ChildStdin>,
    heard: Option<Lines<ChildStdout>>,
    /// Read, and not yet taken by the reporter.
    unread: Option<String>,
    replies: mpsc::Sender<Reply>,
}

impl Talk {
    pub(super) fn new(id: u64, to_say: mpsc::Receiver<String>, replies: mpsc::Sender<Reply>) -> Self {
        Self { id, to_say, stdin: None, heard: None, unread: None, replies }
    }

    /// Takes the child's stdin and stdout.
    pub(super) fn take_pipes(&mut self, child: &mut Child) {
        self.stdin = child.stdin.take();
        self.heard = child.stdout.take().map(|stdout| Lines::new(stdout, MAX_SAID_BYTES));
    }

    /// Relays lines in both directions until the probe has to be ended.
    pub(super) async fn until_too_long_or_silent(&mut self, deadline: Duration) -> Silence {
        let Self { id, to_say, stdin, heard, unread, replies } = self;
        let mut last = Instant::now();
        let mut half_said: Option<(Vec<u8>, usize)> = None;
        let hearing = hear(*id, heard, unread, replies);
        tokio::pin!(hearing);
        let mut closed = false;
        loop {
            tokio::select! {
                heard = &mut hearing, if !closed => match heard {
                    Heard::TooLong => return Silence::TooLong,
                    Heard::Closed => closed = true,
                },
                line = to_say.recv(), if half_said.is_none() => {
                    // The connection is gone, and the order to stop is on its way.
                    let Some(line) = line else { return pending().await };
                    last = Instant::now();
                    half_said = Some((format!("{line}\n").into_bytes(), 0));
                }
                () = write_on(stdin, &mut half_said) => half_said = None,
                () = sleep_until(last + deadline) => return Silence::Deadline,
            }
        }
    }

    /// Relays the rest of the child's output.
    pub(super) async fn hear_the_rest(&mut self) {
        let _ = hear(self.id, &mut self.heard, &mut self.unread, &self.replies).await;
    }
}

enum Heard {
    TooLong,
    Closed,
}

/// Safe to cancel: a line that was read and not taken stays in `unread`.
async fn hear(
    id: u64,
    heard: &mut Option<Lines<ChildStdout>>,
    unread: &mut Option<String>,
    replies: &mpsc::Sender<Reply>,
) -> Heard {
    let Some(lines) = heard else { return Heard::Closed };
    loop {
        if unread.is_some() {
            // A reporter that is gone hears nothing more.
            let Ok(room) = replies.reserve().await else { return Heard::Closed };
            if let Some(line) = unread.take() {
                room.send(Reply::Line { id, line });
            }
        }
        match lines.next().await {
            Ok(Some(Line::Whole(line))) => {
                let line = String::from_utf8_lossy(&line).into_owned();
                if length_in_json(&line) + AROUND_A_LINE > MAX_REPLY_BYTES {
                    return Heard::TooLong;
                }
                *unread = Some(line);
            }
            Ok(Some(Line::TooLong)) => return Heard::TooLong,
            Ok(None) | Err(_) => return Heard::Closed,
        }
    }
}

/// Writes the rest of a line; never returns if there is none. Cancel safe. If the child has closed its stdin, the rest is
/// dropped.
async fn write_on(stdin: &mut Option<ChildStdin>, half_said: &mut Option<(Vec<u8>, usize)>) {
    let (Some(to), Some((line, written))) = (stdin.as_mut(), half_said.as_mut()) else {
        return pending().await;
    };
    while *written < line.len() {
        match to.write(&line[*written..]).await {
            Ok(count) if count > 0 => *written += count,
            Ok(_) | Err(_) => return,
        }
    }
}

fn length_in_json(line: &str) -> usize {
    line.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_json_is_never_below_the_true_one() {
        let line = "a\"b\\c\td\u{1}e\u{7f}é\u{2028}";
        let Ok(written) = serde_json::to_string(line) else { unreachable!() };
        assert!(length_in_json(line) + 2 >= written.len());
    }
}
