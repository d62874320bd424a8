//! Real services as local processes, where they are installed: MariaDB, ZooKeeper, Zuul's tools.

mod certificates;
mod mariadb;
mod process;
mod zookeeper;
mod zuul;

pub use certificates::Certificates;
pub use mariadb::MariaDb;
pub use zookeeper::ZooKeeper;
pub use zuul::Zuul;

use std::path::PathBuf;

/// Where a program is, if it is on the search path or in one of the folders for administrators.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}
