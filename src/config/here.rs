//! Streams of this machine: what a `[[stream]]` with `here = true` describes.

use super::plan::StreamTable;
use super::values::Command;
use crate::engine::snapshot::{From, Input};

impl StreamTable {
    /// True if it is not taken out of a cluster.
    pub(super) fn is_here(&self) -> bool {
        self.here
    }

    /// The stream. Whether a path is that of a file or of a folder is looked at now.
    pub(super) fn input(&self) -> Result<Input, String> {
        let cluster = [&self.namespace, &self.pod, &self.workload, &self.selector, &self.container, &self.mariadb];
        let other = self.zuul_keys || self.objects.is_some() || self.verify.is_some() || self.has_bounds();
        if other || cluster.iter().any(|key| key.is_some()) {
            return Err("of this machine (`here`) there are `command`, and `path` with `exclude`".to_owned());
        }
        let from = match (&self.command, &self.path) {
            (Some(Command::Line(line)), None) if line.contains('\0') => {
                return Err("its command holds a NUL character".to_owned());
            }
            (Some(Command::Line(line)), None) if !line.trim().is_empty() => From::Command(line.clone()),
            (Some(_), None) => return Err("a command of this machine is a line for its shell".to_owned()),
            (None, Some(path)) if !path.starts_with('/') => return Err(format!("`{path}` is no absolute path")),
            (None, Some(path)) if std::path::Path::new(path).is_dir() => {
                From::Folder { path: path.into(), exclude: self.exclude.clone(), one_file_system: false }
            }
            (None, Some(path)) => From::File(path.into()),
            _ => return Err("it needs one of `command`, `path`".to_owned()),
        };
        Ok(Input { name: self.name.clone().into_bytes(), from, profile: Some(self.profile()) })
    }
}
