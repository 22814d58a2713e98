//! Requests to a runner, and a runner at a socket.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use node_agent::probe::driver::SamplerParameters;
use node_agent::probe::programs::CustomParameters;
use node_agent::probe::registry::spec;
use node_agent::probe::tree::TreeParameters;
use node_agent::runner::protocol::{End, ProbeSpec, Reply, Request, Start, decode_reply, encode_request};

use super::{AGENT, Programs, wait_for};

pub(crate) fn custom(programs: &Programs, program: &str, args: &[&Path]) -> ProbeSpec {
    let parameters = CustomParameters {
        directory: programs.path().to_owned(),
        program: program.to_owned(),
        args: args.iter().map(|path| path.display().to_string()).collect(),
        env: Vec::new(),
        custom_same_user: true,
        deadline_ms: 600_000,
    };
    spec(&parameters).unwrap()
}

/// A probe that ends by itself, at once.
pub(crate) fn tree(root: &Path) -> ProbeSpec {
    spec(&TreeParameters { sysfs_root: root.to_owned(), proc_root: root.to_owned() }).unwrap()
}

/// A sampler reports a call as hung after a second: longer than a busy machine keeps a process from running.
pub(crate) const CALL_DEADLINE_MS: u64 = 1_000;

pub(crate) fn sampler(library: &Path, dev_root: &Path) -> ProbeSpec {
    patient_sampler(library, dev_root, CALL_DEADLINE_MS)
}

/// With its own deadline for the start of the library.
pub(crate) fn patient_sampler(library: &Path, dev_root: &Path, init_deadline_ms: u64) -> ProbeSpec {
    let parameters = SamplerParameters {
        nvml_library: library.to_owned(),
        dev_root: dev_root.to_owned(),
        sysfs_root: dev_root.to_owned(),
        call_deadline_ms: CALL_DEADLINE_MS,
        init_deadline_ms,
        first_ask: None,
    };
    spec(&parameters).unwrap()
}

/// A runner at a socket, and a client that writes the protocol by hand.
pub(crate) struct Listening {
    pub(crate) process: Child,
    pub(crate) socket: PathBuf,
}

impl Listening {
    pub(crate) fn new(folder: &Path, environment: &[(&str, &Path)]) -> Self {
        let socket = folder.join("runner.sock");
        let process = Command::new(AGENT)
            .args(["runner", "--kill-grace-ms=200", "--unkillable-after-ms=400"])
            .arg(format!("--socket={}", socket.display()))
            .envs(environment.iter().copied())
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
