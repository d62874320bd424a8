//! A repository of every released format opens for ever, with this program and with the independent reader.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sfarc::backend::folder::FolderBackend;
use sfarc::engine::check::{ReadData, check};
use sfarc::env::Env;
use sfarc::pipeline::egress::Egress;
use sfarc::repo::{Credential, Repository};
use zeroize::Zeroizing;

const PASSWORD: &str = "golden-password";

/// The golden repositories that are covered; one for each format, and for each feature that changes what is stored.
const COVERED: [&str; 4] = ["v1", "v1-hide-sizes", "v1-roles", "v1-slots"];

struct Expected {
    snapshot: String,
    stream: String,
    len: u64,
    blake3: String,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn expected(version: &str) -> Vec<Expected> {
    let text = std::fs::read_to_string(golden().join(version).join("expected")).expect("what it holds is written down");
    let line = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().expect("four words a line");
        Expected { snapshot: word(), stream: word(), len: word().parse().expect("a length"), blake3: word() }
    };
    text.lines().map(line).collect()
}

fn open(version: &str, credential: Credential) -> Repository {
    let folder = golden().join(version).join("repository");
    // Git keeps no empty folders.
    ["gc", "sessions", "tmp"].iter().for_each(|name| drop(std::fs::create_dir_all(folder.join(name))));
    let backend = Arc::new(FolderBackend::open(&folder));
    Repository::open(backend, "golden", || Ok(credential), Env::system()).expect("it opens for ever")
}

fn password() -> Credential {
    Credential::Passphrase(Zeroizing::new(PASSWORD.as_bytes().to_vec()))
}

#[test]
fn every_golden_repository_is_covered() {
    let folders = std::fs::read_dir(golden()).expect("the folder is there").map(|entry| entry.expect("readable"));
    let versions = folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
    let mut versions: Vec<String> = versions.map(|name| name.into_string().expect("plain names")).collect();
    versions.sort();
    assert_eq!(versions, COVERED);
}

#[test]
fn golden_repositories_restore_byte_for_byte() {
    for version in COVERED {
        let repository = open(version, password());
        let mut egress = Egress::open(&repository).expect("its index opens");
        for expected in expected(version) {
            let snapshot = repository.resolve(&expected.snapshot).expect("the snapshot is there");
            let name = expected.stream.as_bytes();
            let stream =
                snapshot.manifest.streams.iter().find(|stream| stream.name == name).expect("the stream is there");
            let (mut hash, mut len) = (blake3::Hasher::new(), 0);
            let written = egress.write_all(&stream.content, |bytes| {
                hash.update(bytes);
                len += bytes.len() as u64;
                Ok::<(), std::convert::Infallible>(())
            });
            written.expect("it restores");
            assert_eq!((len, hash.finalize().to_string()), (expected.len, expected.blake3), "{}", expected.stream);
        }
    }
}

#[test]
fn golden_repositories_are_sound_and_open_with_the_key_file() {
    for version in COVERED {
        let text = std::fs::read_to_string(golden().join(version).join("key-file")).expect("the key file is there");
        let digits = text.trim_end().strip_prefix("sfarc-key-1 ").expect("a key file");
        let key: sfarc::ids::ObjectId = digits.parse().expect("64 digits");
        let repository = open(version, Credential::KeyFile(Zeroizing::new(*key.as_bytes())));
        let report = check(&repository, &ReadData::All).expect("the check goes through");
        assert_eq!((report.problems.len(), report.hits.len()), (0, 0), "{:?} {:?}", report.problems, report.hits);
        assert!(!report.packs_read.is_empty());
    }
}

/// The reader of tests/reader shares no code with this program: it knows what format-spec.md says.
#[test]
#[allow(clippy::print_stderr, reason = "says why it does nothing")]
fn the_independent_reader_restores_golden_repositories() {
    let Some(python) = std::env::var_os("SFARC_READER_PYTHON") else {
        eprintln!("not run: tests/run installs what the reader needs and sets SFARC_READER_PYTHON");
        return;
    };
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/sfarc_reader.py");
    for version in COVERED {
        for expected in expected(version) {
            let read = Command::new(&python)
                .arg(&reader)
                .arg(golden().join(version).join("repository"))
                .args(["cat", &expected.snapshot, &expected.stream])
                .env("SFARC_PASSWORD", PASSWORD)
                .output()
                .expect("the reader runs");
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
            assert_eq!(blake3::hash(&read.stdout).to_string(), expected.blake3, "{}", expected.stream);
        }
    }
}
