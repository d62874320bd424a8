//! A Software Factory in the stand-in cluster, and a repository for it.

use std::ffi::OsStr;
use std::path::PathBuf;

use sfarc::testing::cluster::{Rule, Setup};
use sfarc::testing::factory::{self, Factory};

use crate::repo::{Ran, Repo};

pub(crate) struct Site {
    pub(crate) factory: Factory,
    pub(crate) repo: Repo,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::with(Vec::new(), |_| {})
    }

    /// With accounts besides `admin`, and with more in the cluster.
    pub(crate) fn with(accounts: Vec<(&str, Vec<Rule>)>, more: impl FnOnce(&mut Setup)) -> Self {
        let mut all = vec![("admin".to_owned(), vec![Rule::all()])];
        all.extend(accounts.into_iter().map(|(name, rules)| (name.to_owned(), rules)));
        let options = factory::Options { builds: 20, accounts: all, ..factory::Options::default() };
        let factory = Factory::start_with(options, more);
        Self { factory, repo: Repo::new() }
    }

    /// Runs the program with all rights in the namespace `sf`.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        self.run_as("admin", args)
    }

    /// Runs the program as another account.
    pub(crate) fn run_as<A: AsRef<OsStr>>(&self, account: &str, args: impl IntoIterator<Item = A>) -> Ran {
        let mut command = self.repo.command(args);
        command.args(["-n", "sf"]).env("KUBECONFIG", self.factory.kubeconfig(account));
        Ran::from(command.output().expect("the program starts"))
    }

    /// The custom resource as arguments.
    pub(crate) fn cr(&self) -> [String; 2] {
        ["--cr".to_owned(), self.factory.cr_file().display().to_string()]
    }

    /// Changes a file that a container gives out.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path: PathBuf = self.factory.folder().join(name);
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::write(path, change(text)).expect("written");
    }

    /// Writes a `sfarc.toml`.
    pub(crate) fn config(&self, text: &str) {
        self.repo.write("sfarc.toml", text.as_bytes());
    }
}
