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
    "format",
    "crypto",
    "content",
    "chunk",
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
