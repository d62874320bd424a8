//! Containers: a name, and how commands in them run as local processes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::Command;

/// The variable by which the processes of a cluster are found again, whatever groups and sessions they moved to.
const MARK: &str = "SFARC_STAND_IN_POD";

/// A stand-in for a container: its commands run as local processes with this environment, in this folder.
#[derive(Clone, Debug)]
pub struct Container {
    pub(super) name: String,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
}

impl Container {
    /// A container with the search path of this process, no other variables, and the folder for temporary files.
    pub fn new(name: &str) -> Self {
        let path = std::env::var_os("PATH").map(|path| (OsString::from("PATH"), path));
        Self { name: name.to_owned(), environment: path.into_iter().collect(), folder: std::env::temp_dir() }
    }

    /// Sets a variable; a later one of the same name wins.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where commands start.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// A command that runs in this container of a pod, in a process group of its own.
    pub(super) fn command(&self, mark: &Mark, program: &str, arguments: &[String]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env(MARK, &mark.0).current_dir(&self.folder).process_group(0);
        command
    }

    /// What a pod's specification says of it.
    pub(super) fn as_json(&self) -> Value {
        json!({ "name": self.name, "image": "stand-in" })
    }
}

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
