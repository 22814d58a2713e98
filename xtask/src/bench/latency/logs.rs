//! What agents, operator and API server log while one fault goes through them.

use super::{
    Problem,
    timeline::{Fault, Logs, is_complete},
};
use gpu_health_tests::{
    cluster::ControlPlane,
    product::{Agent, Operator},
};
use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

/// An API server with any clients at all is asked something within this time.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// The three log files that tell of a fault on one node.
#[derive(Debug, Clone)]
pub(super) struct LogFiles {
    agent: PathBuf,
    operator: PathBuf,
    audit: PathBuf,
}

/// How long the files were when the fault began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    agent: u64,
    operator: u64,
    audit: u64,
}

impl LogFiles {
    pub(super) fn of(cluster: &ControlPlane, operator: &Operator, agent: &Agent) -> Result<Self, Problem> {
        Ok(Self {
            agent: agent.child.log_path().to_owned(),
            operator: operator.child.log_path().to_owned(),
            audit: cluster.audit_log().ok_or("the control plane keeps no audit log")?,
        })
    }

    pub(super) fn lengths(&self) -> Before {
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        Before { agent: length(&self.agent), operator: length(&self.operator), audit: length(&self.audit) }
    }

    /// What was logged since, once the audit log holds all that belongs to the fault.
    pub(super) async fn since(&self, before: Before, fault: &Fault<'_>) -> Result<Logs, Problem> {
        let complete = async {
            loop {
                let audit = read_from(&self.audit, before.audit)?;
                if is_complete(fault, &audit) {
                    return Ok::<_, io::Error>(audit);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let audit = match tokio::time::timeout(WRITTEN_WITHIN, complete).await {
            Ok(audit) => audit?,
            Err(_) => read_from(&self.audit, before.audit)?,
        };
        Ok(Logs {
            agent: read_from(&self.agent, before.agent)?,
            operator: read_from(&self.operator, before.operator)?,
            audit,
        })
    }
}

/// A file from this place on; all of it where it is shorter, because it was rotated meanwhile.
fn read_from(path: &Path, place: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let place = if file.metadata()?.len() < place { 0 } else { place };
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
