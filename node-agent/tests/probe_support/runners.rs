//! Requests to a runner, and a runner at a socket.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use node_agent::probe::Nothing;
use node_agent::probe::driver::SamplerParameters;
use node_agent::probe::programs::{CustomAsked, CustomParameters};
use node_agent::probe::registry::spec;
use node_agent::probe::tree::TreeParameters;
use node_agent::runner::protocol::{End, ProbeSpec, Reply, Request, Start, decode_reply, encode_request};

use super::{AGENT, Programs, wait_for};

pub(crate) fn custom(program: &str, args: &[&Path]) -> ProbeSpec {
    let asked = CustomAsked {
        program: program.to_owned(),
        args: args.iter().map(|path| path.display().to_string()).collect(),
        env: Vec::new(),
        deadline_ms: 600_000,
    };
    spec::<CustomParameters>(&asked).unwrap()
}

/// A probe that ends by itself, at once.
pub(crate) fn tree() -> ProbeSpec {
    spec::<TreeParameters>(&Nothing {}).unwrap()
}

pub(crate) fn sampler() -> ProbeSpec {
    spec::<SamplerParameters>(&Nothing {}).unwrap()
}

/// Flags of a runner that runs these programs, with its own uid.
pub(crate) fn with(programs: &Programs) -> Vec<String> {
    vec![format!("--custom-directory={}", programs.path().display()), "--custom-same-user".to_owned()]
}

/// A sampler reports a call as hung after a second: longer than a busy machine keeps a process from running.
pub(crate) const CALL_DEADLINE_MS: u64 = 1_000;

/// Flags of a runner whose sampler has this library.
pub(crate) fn with_library(library: &Path, dev_root: &Path) -> Vec<String> {
    with_patience(library, dev_root, CALL_DEADLINE_MS)
}

/// The same with its own deadline for the start of the library.
pub(crate) fn with_patience(library: &Path, dev_root: &Path, init_deadline_ms: u64) -> Vec<String> {
    let [library, root] = [library, dev_root].map(Path::display);
    vec![
        format!("--nvml-library={library}"),
        format!("--dev-root={root}"),
        format!("--sysfs-root={root}"),
        format!("--call-deadline-ms={CALL_DEADLINE_MS}"),
        format!("--init-deadline-ms={init_deadline_ms}"),
    ]
}

/// A runner at a socket, and a client that writes the protocol by hand.
pub(crate) struct Listening {
    pub(crate) process: Child,
    pub(crate) socket: PathBuf,
}

impl Listening {
    pub(crate) fn new(folder: &Path, flags: &[String]) -> Self {
        Self::of(Command::new(AGENT), folder, flags)
    }

    /// With a command that becomes the runner: its environment, its uid.
    pub(crate) fn of(mut command: Command, folder: &Path, flags: &[String]) -> Self {
        let socket = folder.join("runner.sock");
        let process = command
            .args(["runner", "--kill-grace-ms=200", "--unkillable-after-ms=400"])
            .arg(format!("--socket={}", socket.display()))
            .args(flags)
            .spawn()
            .unwrap();
        Self { process, socket }
    }

    pub(crate) fn connect(&self) -> Spoken {
        let stream = wait_for("the runner's socket", || UnixStream::connect(&self.socket).ok());
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Spoken(BufReader::new(stream))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Spoken(pub(crate) BufReader<UnixStream>);

impl Spoken {
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn start(&mut self, id: u64, probe: ProbeSpec) {
        let ProbeSpec { probe, parameters } = probe;
        let start = Start { id, probe, parameters, deadline_ms: 300_000, output_cap_bytes: 10_000 };
        self.say(&encode_request(&Request::Start(start)).unwrap());
    }

    /// Asks a sampler for the identity of the GPUs alone.
    pub(crate) fn ask(&mut self, id: u64, ask: u64) {
        let line = format!(r#"{{"id":{ask},"sections":[]}}"#);
        self.say(&encode_request(&Request::Say { id, line }).unwrap());
    }

    pub(crate) fn stop(&mut self, id: u64) {
        self.say(&encode_request(&Request::Stop { id }).unwrap());
    }

    pub(crate) fn hear(&mut self) -> Reply {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).unwrap();
        decode_reply(&line).unwrap()
    }

    pub(crate) fn started(&mut self) -> i32 {
        let Reply::Started { pid, .. } = self.hear() else { panic!("not started") };
        i32::try_from(pid).unwrap()
    }

    pub(crate) fn end(&mut self) -> End {
        let reply = self.hear();
        let Reply::Finished(finished) = reply else { panic!("{reply:?}") };
        finished.end
    }
}
