//! Roots: commands that see a folder as the whole file system.
//!
//! The namespaces of `unshare` let any user do this. Inside there is one user, with the number 0: files cannot be
//! given to others.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::programs::search_path;

/// Where the folder of a container's own programs is, seen from inside.
pub(super) const PROGRAMS: &str = "/.stand-in";

/// What is shared with this machine.
const SHARED: [&str; 10] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc/alternatives", "dev", "proc"];

/// Runs in namespaces of its own: the root, the folder of programs or nothing, where that goes, the search path
/// of this machine, a list of what is shared, and then the command. The processes up to the command replace each other,
/// so that it has the number and the group of the first one.
const ENTER: &str = r#"
set -e
root=$1
programs=$2
inside=$3
path=$PATH
PATH=$4:/usr/sbin:/sbin
shared=$5
shift 5
for name in $shared; do
    if [ -d "/$name" ]; then
        mkdir -p "$root/$name"
        mount --rbind "/$name" "$root/$name"
    fi
done
if [ -n "$programs" ]; then
    mkdir -p "$root$inside"
    mount --bind "$programs" "$root$inside"
fi
chroot=$(command -v chroot)
PATH=$path
exec "$chroot" "$root" "$@"
"#;

/// A command that runs below a root; arguments for the program may be added.
///
/// Fails if there is no such program inside, as it does outside when the command is started.
pub(super) fn enter(root: &Path, programs: Option<&Path>, path: &OsStr, program: &str) -> io::Result<Command> {
    if !has(root, programs, path, program) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", ENTER, "sh"]);
    command.arg(root).arg(programs.unwrap_or(Path::new(""))).arg(PROGRAMS).arg(search_path());
    command.arg(SHARED.join(" ")).arg(program);
    Ok(command)
}

/// True if the command would find the program. Links are taken for what they are called.
fn has(root: &Path, programs: Option<&Path>, path: &OsStr, program: &str) -> bool {
    let is_there = |path: PathBuf| outside(root, programs, &path).symlink_metadata().is_ok();
    if program.contains('/') {
        return is_there(Path::new("/").join(program));
    }
    std::env::split_paths(path).any(|folder| is_there(folder.join(program)))
}

/// Where a path from inside is, seen from outside.
fn outside(root: &Path, programs: Option<&Path>, path: &Path) -> PathBuf {
    let below = path.strip_prefix("/").unwrap_or(path);
    match (path.strip_prefix(PROGRAMS), programs) {
        (Ok(name), Some(programs)) => programs.join(name),
        _ if SHARED.iter().any(|shared| below.starts_with(shared)) => Path::new("/").join(below),
        _ => root.join(below),
    }
}
