//! The shape of the source: dependencies point one way, files stay readable, the world comes in by one door.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom up; the table in src/lib.rs says what each is.
const ORDER: &[&str] = &[
    "allocator",
    "ids",
    "limits",
    "sync",
    "event",
    "env",
    "process",
    "format",
    "crypto",
    "content",
    "chunk",
    "disk",
    "tar",
    "backend",
    "repo",
    "pipeline",
    "k8s",
    "source",
    "target",
    "plan",
    "error",
    "engine",
    "testing",
    "schedule",
    "config",
    "service",
    "cli",
];

/// Items of the crate's root that everybody may use.
const ROOT: &[&str] = &["PROGRAM", "Category", "Error"];

const MAX_LINES: usize = 400;

/// Tables of words for test inputs, not code.
const LONG: &[&str] = &["src/testing/corpus.rs"];

struct SourceFile {
    /// Relative to the repository, with slashes.
    path: String,
    text: String,
}

impl SourceFile {
    fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split(['/', '.']).next().unwrap_or(inside)
    }

    /// Lines without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or(line))
    }

    fn uses(&self) -> BTreeSet<String> {
        let mut uses = BTreeSet::new();
        for line in self.code() {
            for (at, found) in line.match_indices("crate::") {
                let before = line[..at].chars().next_back();
                if before.is_some_and(|char| char.is_alphanumeric() || char == '$' || char == '_') {
                    continue;
                }
                let name = line[at + found.len()..].split(|char: char| !char.is_alphanumeric() && char != '_').next();
                uses.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
            }
        }
        uses
    }
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            add_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    add_files(&root.join("src"), &mut paths);
    paths.sort();
    let read = |path: PathBuf| SourceFile {
        path: path.strip_prefix(root).expect("below the root").display().to_string(),
        text: fs::read_to_string(&path).expect("readable"),
    };
    paths.into_iter().map(read).collect()
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|of| *of == module)
}

/// `lib.rs` and `main.rs` see everything.
fn is_root(file: &SourceFile) -> bool {
    ["lib", "main"].contains(&file.module())
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !is_root(file)) {
        let own = rank(file.module()).unwrap_or_else(|| panic!("{} has no place in the order", file.path));
        for used in file.uses().iter().filter(|used| !ROOT.contains(&used.as_str())) {
            match rank(used) {
                Some(rank) if rank <= own => {}
                _ => wrong.push(format!("{} uses crate::{used}", file.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "against the order of the modules:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_root_items_of_lower_modules_are_used() {
    for file in sources().iter().filter(|file| !is_root(file)) {
        let below_error = rank(file.module()) < rank("error");
        let uses = file.uses();
        let early: Vec<&String> = uses.iter().filter(|used| ["Category", "Error"].contains(&used.as_str())).collect();
        assert!(!below_error || early.is_empty(), "{} uses {early:?}", file.path);
    }
}

#[test]
fn files_stay_readable() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|file| !LONG.contains(&file.path.as_str()) && !file.path.contains("/tests"))
        .filter(|file| file.text.lines().count() > MAX_LINES)
        .map(|file| format!("{}: {} lines", file.path, file.text.lines().count()))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn time_and_randomness_come_in_by_one_door() {
    let doors = |file: &SourceFile| file.path == "src/env.rs" || file.module() == "cli" || file.module() == "main";
    let asks = ["SystemTime::now", "Instant::now", "rand::", "RandomState", "Timestamp::now", "Zoned::now"];
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !doors(file)) {
        for (number, line) in file.code().enumerate() {
            let found = asks.iter().filter(|ask| line.contains(*ask));
            wrong.extend(found.map(|ask| format!("{}:{}: {ask}", file.path, number + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where power cuts are tested, everything that changes a file system goes through `disk`.
#[test]
fn repositories_and_restores_change_files_by_one_door() {
    let rooms = ["src/backend/folder/", "src/engine/restore/", "src/tar/"];
    let calls = [
        "fs::write",
        "fs::rename",
        "fs::copy",
        "fs::hard_link(",
        "remove_file(",
        "remove_dir",
        "create_dir",
        "OpenOptions",
        "DirBuilder",
        "File::create",
        "OFlags::CREATE",
        " linkat(",
        "renameat",
        "mkdirat(",
        "mknodat(",
        "pwrite(",
        "ftruncate(",
        "set_len(",
        "fsync(",
        "fdatasync(",
        "syncfs(",
        "sync_all(",
        "sync_data(",
        "flock(",
    ];
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| rooms.iter().any(|room| file.path.starts_with(room))) {
        let code = file.code().take_while(|line| !line.contains("#[cfg(test)]"));
        for (number, line) in code.enumerate().filter(|_| !file.path.contains("/tests")) {
            wrong.extend(
                calls
                    .iter()
                    .filter(|call| line.contains(*call))
                    .map(|call| format!("{}:{}: {call}", file.path, number + 1)),
            );
        }
    }
    assert!(wrong.is_empty(), "beside `disk`:\n{}", wrong.join("\n"));
}

#[test]
fn programs_are_started_in_one_place() {
    // Doubles and tests start programs of their own.
    let is_ours = |file: &&SourceFile| file.module() != "testing" && !file.path.contains("/tests");
    let starts = |file: &&SourceFile| {
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        ["Command::new", "process::Command::", "libc::fork", "execv", "posix_spawn"]
            .iter()
            .any(|word| code.contains(word))
    };
    let all = sources();
    let paths: Vec<&str> = all.iter().filter(is_ours).filter(starts).map(|file| &file.path[..]).collect();
    assert_eq!(paths, ["src/process.rs"], "children of others may inherit secrets");
}

/// Variables that may be seen by every child: they say where something is, and how something is done.
const HARMLESS: &[&str] = &[
    "ADDRESSING",
    "CACHE_DIR",
    "CACHE_MIB",
    "COMMAND_ENV",
    "CONFIG",
    "CORE_DUMPS",
    "ENDPOINT",
    "ERROR",
    "EVERY",
    "EXPECT_ID",
    "FINGERPRINT",
    "LISTEN",
    "LOCK_FOR",
    "LOCK_MODE",
    "LOG",
    "OUTCOME",
    "PAGE",
    "PARALLEL",
    "REGION",
    "REPO",
    "SNAPSHOT",
    "STATUS_FILE",
    "TARGET",
    "TEXTFILE",
    "TO",
    "TO_ADDRESSING",
    "TO_ENDPOINT",
    "TO_FINGERPRINT",
    "TO_LOCK_FOR",
    "TO_PROFILE",
    "TO_REGION",
];

#[test]
fn every_variable_is_a_secret_or_known_to_be_none() {
    let mut unknown = BTreeSet::new();
    for file in sources().iter().filter(|file| file.module() != "testing" && file.path != "src/process.rs") {
        for (at, prefix) in file.text.match_indices("SFARC_") {
            let is_letter = |char: char| char.is_ascii_uppercase() || char == '_';
            let name: String = file.text[at + prefix.len()..].chars().take_while(|char| is_letter(*char)).collect();
            let name = name.trim_end_matches('_');
            let is_secret = ["PASS", "KEY", "WEBHOOK"].iter().any(|word| name.contains(word));
            if !name.is_empty() && !is_secret && !HARMLESS.contains(&name) {
                unknown.insert(name.to_owned());
            }
        }
    }
    assert!(unknown.is_empty(), "may children see them? see src/process.rs: {unknown:?}");
}

#[test]
fn only_the_command_line_prints() {
    for file in sources().iter().filter(|file| file.module() != "cli" && file.module() != "main") {
        for print in ["println!", "eprintln!", "print!(", "dbg!"] {
            assert!(!file.code().any(|line| line.contains(print)), "{}: {print}", file.path);
        }
    }
}

#[test]
fn threads_wait_where_a_simulation_sees_it() {
    let doors = ["std::thread", "crossbeam_channel", "sync::Mutex", "sync::Condvar", "Condvar,", "Mutex,", "mpsc"];
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| ["repo", "pipeline"].contains(&file.module())) {
        for (number, line) in file.code().enumerate().filter(|(_, line)| !line.contains("crate::sync")) {
            let found = doors.iter().filter(|door| line.contains(*door));
            wrong.extend(found.map(|door| format!("{}:{}: {door}", file.path, number + 1)));
        }
    }
    assert!(wrong.is_empty(), "not of `crate::sync`:\n{}", wrong.join("\n"));
}
