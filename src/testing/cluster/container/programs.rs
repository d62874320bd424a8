//! The programs that commands find by their names.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

/// Which programs there are: those of this machine, or some of them, and own ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    /// Names and paths; nothing if all programs of this machine are there.
    tools: Option<Vec<(String, PathBuf)>>,
    /// Names and texts.
    scripts: Vec<(String, String)>,
    /// Made when it is first needed; containers of one origin share it.
    folder: Arc<OnceLock<TempDir>>,
}

impl Programs {
    /// Only these programs of this machine, and those that were named before.
    pub(super) fn restricted(self, names: &[&str]) -> Self {
        let tool = |name: &&str| {
            let path = find(name).unwrap_or_else(|| panic!("{name} is not on the search path of this process"));
            ((*name).to_owned(), path)
        };
        let tools = self.tools.into_iter().flatten().chain(names.iter().map(tool)).collect();
        Self { tools: Some(tools), scripts: self.scripts, folder: Arc::default() }
    }

    /// With a script of this name.
    pub(super) fn with(mut self, name: &str, script: &str) -> Self {
        self.scripts.push((name.to_owned(), script.to_owned()));
        Self { folder: Arc::default(), ..self }
    }

    /// True if not all programs of this machine are there.
    pub(super) fn are_restricted(&self) -> bool {
        self.tools.is_some()
    }

    /// The folder with all of them; nothing if they are just those of this machine.
    pub(super) fn folder(&self) -> io::Result<Option<PathBuf>> {
        if self.tools.is_none() && self.scripts.is_empty() {
            return Ok(None);
        }
        if let Some(folder) = self.folder.get() {
            return Ok(Some(folder.path().to_owned()));
        }
        let folder = self.make()?;
        Ok(Some(self.folder.get_or_init(|| folder).path().to_owned()))
    }

    fn make(&self) -> io::Result<TempDir> {
        let folder = tempfile::tempdir()?;
        for (name, text) in &self.scripts {
            write_script(&folder.path().join(name), text)?;
        }
        for (name, path) in self.tools.iter().flatten() {
            match symlink(path, folder.path().join(name)) {
                // An own program of this name goes before.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                done => done?,
            }
        }
        Ok(folder)
    }
}

/// Writes a script by way of another process. A file that this process has open for writing cannot be run, and a
/// process that another thread starts at this moment would hold it open, too.
fn write_script(path: &Path, text: &str) -> io::Result<()> {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .env("PATH", search_path())
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = shell.stdin.take() {
        stdin.write_all(format!("#!/bin/sh\n{text}\n").as_bytes())?;
    }
    if shell.wait()?.success() { Ok(()) } else { Err(io::Error::other("a script could not be written")) }
}

/// The search path of this process.
pub(super) fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|folder| folder.join(name)).find(|path| path.is_file())
}
