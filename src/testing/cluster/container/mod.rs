//! Containers: a name, and how commands in them run as local processes.
//!
//! A container has no users, no network and no limits of its own, and of volumes only empty folders; a file system only if it
//! is given a root.

mod programs;
mod root;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio::process::Command;

use self::programs::{Programs, search_path};
use super::mark::{MARK, Mark};

/// A stand-in for a container: its commands run as local processes with this environment, in this folder.
#[derive(Clone, Debug)]
pub struct Container {
    pub(super) name: String,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    root: Option<PathBuf>,
    programs: Programs,
}

impl Container {
    /// A container with the search path of this process, no other variables, and the folder for temporary files.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            environment: vec![("PATH".into(), search_path())],
            folder: std::env::temp_dir(),
            root: None,
            programs: Programs::default(),
        }
    }

    /// Sets a variable; a later one of the same name wins.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where commands start, unless the container has a root of its own.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Commands see this folder as `/` and start there, as a user with the number 0. The programs, libraries and
    /// devices of this machine are below it, too: folders for them are made in it, and stay.
    ///
    /// It works only where [`Self::roots_work`] says so; elsewhere all commands fail.
    #[must_use]
    pub fn root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.root = Some(folder.into());
        self
    }

    /// True if this machine lets users have roots of their own: if it has user namespaces, `unshare` and `chroot`.
    pub fn roots_work() -> bool {
        static WORKS: OnceLock<bool> = OnceLock::new();
        *WORKS.get_or_init(|| {
            let Ok(folder) = tempfile::tempdir() else { return false };
            let probe = Self::new("probe").root(folder.path());
            let command = probe.command(&Mark::cluster(0, 0), "true", &[]);
            command.is_ok_and(|command| command.into_std().status().is_ok_and(|status| status.success()))
        })
    }

    /// Of the programs of this machine, only these are found by their names; later calls add to them. Those that are
    /// called by their whole paths are there as ever.
    ///
    /// A program that is not there ends the test.
    #[must_use]
    pub fn tools(mut self, names: &[&str]) -> Self {
        self.programs = self.programs.restricted(names);
        self
    }

    /// A program of this name, found before all others: a script for `/bin/sh`.
    #[must_use]
    pub fn program(mut self, name: &str, script: &str) -> Self {
        self.programs = self.programs.with(name, script);
        self
    }

    /// The same under another name.
    pub(super) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// A command that runs in this container of a pod, in a process group of its own.
    ///
    /// Fails if the folder of its programs cannot be made or, in a container with a root, if there is no such program.
    pub(super) fn command(&self, mark: &Mark, program: &str, arguments: &[String]) -> io::Result<Command> {
        let folder = self.programs.folder()?;
        let mut command = match &self.root {
            Some(root) => root::enter(root, folder.as_deref(), &self.path(folder.as_deref()), program)?,
            None => Command::new(program),
        };
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("PATH", self.path(folder.as_deref()));
        command.env(MARK, mark.value()).current_dir(&self.folder).process_group(0);
        Ok(command)
    }

    /// The search path of commands, as they see it.
    fn path(&self, folder: Option<&Path>) -> OsString {
        let own = self.environment.iter().rfind(|(name, _)| name == "PATH");
        let own = own.map(|(_, value)| value.clone()).unwrap_or_default();
        let Some(folder) = folder else { return own };
        let mut path = if self.root.is_some() { OsString::from(root::PROGRAMS) } else { folder.as_os_str().to_owned() };
        if !self.programs.are_restricted() {
            path.push(":");
            path.push(own);
        }
        path
    }

    /// What a pod's specification says of it.
    pub(super) fn as_json(&self) -> Value {
        json!({ "name": self.name, "image": "stand-in" })
    }
}
