//! Empty folders that live as long as their pod.
//!
//! Containers see the files of this machine, so such a volume is a folder of this machine at the very path where it is
//! mounted. It must be one of `/tmp` that nothing else uses; others are left alone.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use serde_json::Value;

use super::images::specs;

/// The `emptyDir` volumes of a pod; their end removes them.
pub(super) struct EmptyFolders(Vec<PathBuf>);

impl EmptyFolders {
    /// Makes them.
    pub(super) fn make(pod: &Value) -> Self {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let names: Vec<&Value> =
            volumes.filter(|volume| volume["emptyDir"].is_object()).map(|volume| &volume["name"]).collect();
        let mounts = specs(pod).flat_map(|spec| spec["volumeMounts"].as_array().into_iter().flatten());
        let paths =
            mounts.filter(|mount| names.contains(&&mount["name"])).filter_map(|mount| mount["mountPath"].as_str());
        let make =
            |path: &PathBuf| path.starts_with("/tmp") && std::fs::DirBuilder::new().mode(0o700).create(path).is_ok();
        Self(paths.map(PathBuf::from).filter(make).collect())
    }
}

impl Drop for EmptyFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Whatever still writes there has been killed, and ends in a moment.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
