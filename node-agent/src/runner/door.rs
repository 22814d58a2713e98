//! The runner's socket, and who is let in.
//!
//! Whoever may speak to the runner can start probes with its rights. So the socket has its final mode from the start, the
//! uid of each peer is checked, and nobody can take the places of all others.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::protocol::{Reply, encode_reply};

/// Connections at once. One reporter needs one, and a second while the probes of its predecessor are being killed.
const MAX_CONNECTIONS: usize = 6;
/// Connections of one uid at once: others find a place beside it.
const MAX_OF_ONE_UID: usize = 3;
/// How long a peer that is turned away may take to hear it, and the bytes that it may say meanwhile.
const GOODBYE: Duration = Duration::from_secs(1);
const MOST_IGNORED: u64 = 64 * 1024;
/// Custom programs run under this uid unless told otherwise, and it stands for every uid that the user namespace does not
/// know: nobody is identified by it.
const NOBODY: u32 = 65_534;

/// Reads a value of `--client-uid`.
pub(super) fn client_uid(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(NOBODY) => Err(format!("custom programs run under uid {NOBODY}; run the reporter under another one")),
        Ok(uid) => Ok(uid),
        Err(error) => Err(format!("{error}; write the numeric uid of the reporter")),
    }
}

/// Listens at `path`. The socket has its final mode, 0660, from the moment it is there.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    // A socket that a killed runner left behind; nothing else is ever removed.
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    // The mode of a new socket is 0777 without the bits of the umask. No other thread creates files meanwhile: the runner
    // has one.
    let before = umask(Mode::from_raw_mode(0o117));
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}

/// The connections that are open, by the uid of their peer.
pub(super) struct Door {
    clients: Vec<u32>,
    open: HashMap<u32, usize>,
}

/// Who speaks over a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
}

impl Door {
    /// Lets in root, the runner's own uid, and `clients`.
    pub(super) fn new(clients: &[u32]) -> Self {
        let clients = clients.iter().copied().chain([0, geteuid().as_raw()]).collect();
        Self { clients, open: HashMap::new() }
    }

    /// Who the peer is, if it is let in; else why not.
    pub(super) fn admit(&mut self, stream: &UnixStream) -> Result<Peer, String> {
        let cred = stream.peer_cred().map_err(|error| format!("cannot tell who connected: {error}"))?;
        let peer = Peer { uid: cred.uid(), pid: cred.pid() };
        let Peer { uid, pid } = peer;
        match self.take_place(uid) {
            Ok(()) => tracing::info!(uid, pid, "a reporter connected"),
            Err(reason) => {
                tracing::warn!(uid, pid, reason, "refused a connection");
                return Err(reason);
            }
        }
        Ok(peer)
    }

    fn take_place(&mut self, uid: u32) -> Result<(), String> {
        if !self.clients.contains(&uid) {
            return Err(format!("uid {uid} may not use this runner; allow it with --client-uid {uid}"));
        }
        let of_all = self.open.values().sum::<usize>();
        let of_it = self.open.entry(uid).or_default();
        if of_all >= MAX_CONNECTIONS || *of_it >= MAX_OF_ONE_UID {
            return Err(format!("{of_it} connections of uid {uid} are open, {of_all} of all; close one first"));
        }
        *of_it += 1;
        Ok(())
    }

    /// A connection has ended.
    pub(super) fn left(&mut self, Peer { uid, pid }: Peer) {
        tracing::info!(uid, pid, "a reporter left");
        if let Some(of_it) = self.open.get_mut(&uid) {
            *of_it = of_it.saturating_sub(1);
        }
    }
}

/// Tells a peer that it is not let in, and hangs up. What it has said is read first: the kernel throws away what is under
/// way to a peer whose own words were never read.
pub(super) async fn turn_away(mut stream: UnixStream, reason: String) {
    let Ok(line) = encode_reply(&Reply::TurnedAway { reason }) else { return };
    let goodbye = async {
        stream.write_all(&line).await?;
        stream.shutdown().await?;
        let mut ignored = stream.take(MOST_IGNORED);
        tokio::io::copy(&mut ignored, &mut tokio::io::sink()).await
    };
    // A peer that is gone, or does not listen, needs no answer.
    let _ = timeout(GOODBYE, goodbye).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_uid_cannot_keep_another_one_out() {
        let mut door = Door::new(&[7, 8, 9]);
        for uid in [7, 8] {
            assert!((0..MAX_OF_ONE_UID).all(|_| door.take_place(uid).is_ok()));
            assert!(door.take_place(uid).is_err());
            door.left(Peer { uid, pid: None });
        }
        assert!(door.take_place(9).is_ok());
        assert_eq!(door.take_place(10).unwrap_err(), "uid 10 may not use this runner; allow it with --client-uid 10");
    }

    #[test]
    fn nobody_is_no_client() {
        assert_eq!(client_uid("1000"), Ok(1000));
        assert!(client_uid("65534").unwrap_err().contains("another one"));
        assert!(client_uid("-1").unwrap_err().contains("numeric uid"));
    }
}
