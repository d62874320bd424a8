//! A repository in a folder of its own, and the program that works on it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a repository `repo`, its key file `key`, and whatever a test puts beside them.
pub(crate) struct Repo {
    folder: TempDir,
}

/// How the program ended, and what it said.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

/// The program with nothing in its environment that a test has not put there.
pub(crate) fn sfarc() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sfarc"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("TZ", "UTC").stdin(Stdio::null());
    command
}

/// What a command would find in its environment, for another command that runs it.
pub(crate) fn environment(command: &Command) -> impl Iterator<Item = (&OsStr, &OsStr)> {
    command.get_envs().filter_map(|(name, value)| Some((name, value?)))
}

/// Runs a command to its end with these bytes as its standard input.
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        // A program that ends early closes the pipe; its exit code tells the rest.
        scope.spawn(move || drop(stdin.write_all(input)));
        Ran::from(child.wait_with_output().expect("the program ends"))
    })
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let err = String::from_utf8(output.stderr).expect("messages are UTF-8");
        Self { code: output.status.code(), out: output.stdout, err }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", String::from_utf8_lossy(&self.out), self.err);
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.ends(0)
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let out = String::from_utf8_lossy(&self.out).into_owned();
        assert!(out.contains(text) || self.err.contains(text), "no `{text}` in:\n{out}\n{}", self.err);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.out.clone()).expect("the output is UTF-8")
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
    }

    /// The only object in the output.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        let objects = self.json();
        assert_eq!(objects.len(), 1, "{objects:?}");
        objects[0].clone()
    }

    /// The `id` of the only object in the output.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.object()["id"].as_str().expect("an id").to_owned()
    }
}

impl Repo {
    /// Makes a repository that a key file opens: no time is spent on passwords.
    pub(crate) fn new() -> Self {
        let repo = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        repo.run(["init"]).ok();
        repo
    }

    /// A path beside the repository.
    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.at("repo")
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = sfarc();
        command.args(args).current_dir(self.folder.path());
        command.env("SFARC_REPO", self.path()).env("SFARC_KEY_FILE", self.at("key"));
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        Ran::from(self.command(args).output().expect("the program starts"))
    }

    pub(crate) fn feed<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, input: &[u8]) -> Ran {
        feed(self.command(args), input)
    }

    pub(crate) fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Child {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Takes a snapshot of one stream from standard input, and gives its id.
    #[track_caller]
    pub(crate) fn take(&self, name: &str, bytes: &[u8]) -> String {
        self.feed(["snapshot", "--json", "--stdin", name], bytes).ok().id()
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        fs::write(&path, bytes).expect("the file is written");
        path
    }

    /// Everything restored into a new folder of this name.
    #[track_caller]
    pub(crate) fn restore(&self, id: &str, to: &str) -> PathBuf {
        self.run(["restore", id, "--to", to]).ok();
        self.at(to)
    }

    #[track_caller]
    pub(crate) fn cat(&self, id: &str, stream: &str) -> Vec<u8> {
        self.run(["cat", id, stream]).ok().out
    }

    /// The ids of all snapshots, oldest first.
    #[track_caller]
    pub(crate) fn ids(&self) -> Vec<String> {
        let listed = self.run(["list", "--json"]).ok().json();
        listed.iter().map(|snapshot| snapshot["id"].as_str().expect("an id").to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn check(&self) {
        self.run(["check", "--read-data"]).ok().says("no damage found");
    }

    /// The files in a folder of the repository, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        files(&self.path().join(folder))
    }

    /// Bytes in packs.
    pub(crate) fn pack_bytes(&self) -> u64 {
        self.files("packs").iter().map(|path| fs::metadata(path).expect("a pack").len()).sum()
    }
}

/// The paths in a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Bytes that do not compress and are the same in every run.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// True if the tests may read what permissions forbid.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Opens every folder up to this path for everybody.
pub(crate) fn open_for_everybody(path: &Path) {
    let mode = fs::metadata(path).expect("the path is there").permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o055)).expect("its mode is changed");
}
