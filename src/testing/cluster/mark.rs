//! Finding the processes of a cluster again, whatever groups and sessions they moved to.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// The variable that all processes of a cluster have in their environment.
pub(super) const MARK: &str = "SFARC_STAND_IN_POD";

/// What the processes of a pod, or with a prefix of a whole cluster, have in their environment.
#[derive(Clone, Debug)]
pub(super) struct Mark(String);

impl Mark {
    /// The mark of a cluster, of which there is only one on this machine.
    pub(super) fn cluster(process: u32, port: u16) -> Self {
        Self(format!("{process}/{port}/"))
    }

    /// The mark of one pod.
    pub(super) fn pod(&self, namespace: &str, pod: &str) -> Self {
        Self(format!("{}{namespace}/{pod}/", self.0))
    }

    /// The value of the variable.
    pub(super) fn value(&self) -> &str {
        &self.0
    }

    /// The processes that have it.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| self.is_on(path)).filter_map(|path| pid(&path)).collect()
    }

    fn is_on(&self, process: &Path) -> bool {
        let Ok(environment) = fs::read(process.join("environ")) else { return false };
        let wanted = format!("{MARK}={}", self.0);
        environment.split(|&byte| byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
    }

    /// Kills them all. A process may start others while this looks around: it looks again until none is left.
    pub(super) fn kill(&self) {
        for _ in 0..20 {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for process in processes {
                // It may have ended by itself.
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }
}

fn pid(path: &Path) -> Option<Pid> {
    path.file_name()?.to_str()?.parse().ok().and_then(Pid::from_raw)
}
