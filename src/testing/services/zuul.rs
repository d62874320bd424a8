//! Zuul's own tools, from a virtual environment that `tests/run` makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::MariaDb;

/// Makes keys for projects and tenants; arguments: the configuration, then `CONNECTION:PROJECT` or `TENANT`.
const MAKE_KEYS: &str = include_str!("zuul_keys.py");

/// Removes all keys; the argument is the configuration.
const FORGET_KEYS: &str = include_str!("zuul_forget_keys.py");

/// Makes the tables of Zuul's database; the argument is where it is.
const MAKE_TABLES: &str = include_str!("zuul_tables.py");

/// A virtual environment with Zuul.
#[derive(Debug, Clone)]
pub struct Zuul(PathBuf);

impl Zuul {
    /// The one that the variable `SFARC_ZUUL_VENV` names, if there is one.
    pub fn installed() -> Option<Self> {
        let folder = PathBuf::from(std::env::var_os("SFARC_ZUUL_VENV")?);
        folder.join("bin/zuul-admin").is_file().then_some(Self(folder))
    }

    /// The program `zuul-admin`.
    pub fn admin(&self) -> PathBuf {
        self.0.join("bin/zuul-admin")
    }

    /// Makes private keys where there are none: of projects (`CONNECTION:PROJECT`) and tenants.
    pub fn make_keys(&self, conf: &Path, owners: &[&str]) {
        self.python(MAKE_KEYS, &[&[conf.to_str().expect("a plain path")], owners].concat());
    }

    /// Removes all keys.
    pub fn forget_keys(&self, conf: &Path) {
        self.python(FORGET_KEYS, &[conf.to_str().expect("a plain path")]);
    }

    /// Makes the tables of Zuul's database.
    pub fn make_tables(&self, server: &MariaDb, database: &str) {
        self.python(MAKE_TABLES, &[&server.uri(database)]);
    }

    fn python(&self, script: &str, arguments: &[&str]) {
        let output = Command::new(self.0.join("bin/python")).args(["-c", script]).args(arguments).output();
        let output = output.expect("the environment has a Python");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
