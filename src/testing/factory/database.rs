//! Zuul's database: a real server with real tables, or a script that prints a dump.

use std::path::{Path, PathBuf};

use super::super::cluster::Container;
use super::super::corpus::DumpModel;
use super::super::services::{MariaDb, Zuul};

const TABLES: &str = include_str!("tables.sql");
const BUILDS: &str = include_str!("builds.sql");

/// Builds that are added by one statement.
const BATCH: u64 = 20_000;

pub(super) enum Database {
    Real { server: MariaDb, builds: u64 },
    Script { folder: PathBuf, model: DumpModel },
}

impl Database {
    pub(super) fn start(folder: &Path, builds: u64, real: bool, zuul: Option<&Zuul>) -> Self {
        let mut database = if real {
            let server = MariaDb::start(folder);
            server.sql("mysql", "CREATE DATABASE zuul CHARACTER SET utf8mb3;");
            match zuul {
                Some(zuul) => zuul.make_tables(&server, "zuul"),
                None => drop(server.sql("zuul", TABLES)),
            }
            Self::Real { server, builds: 0 }
        } else {
            Self::Script { folder: folder.to_owned(), model: DumpModel::new(1, 0) }
        };
        database.add_builds(builds);
        database
    }

    pub(super) fn is_real(&self) -> bool {
        matches!(self, Self::Real { .. })
    }

    pub(super) fn sql(&self, sql: &str) -> String {
        match self {
            Self::Real { server, .. } => server.sql("zuul", sql),
            Self::Script { .. } => panic!("a script understands no SQL"),
        }
    }

    pub(super) fn dump(&self) -> String {
        match self {
            Self::Real { server, .. } => server.dump("zuul"),
            Self::Script { .. } => panic!("a script has no rows"),
        }
    }

    pub(super) fn add_builds(&mut self, count: u64) {
        match self {
            Self::Real { server, builds } => {
                let last = *builds + count;
                while *builds < last {
                    let (first, until) = (*builds + 1, last.min(*builds + BATCH));
                    let sql = BUILDS.replace("@FIRST@", &first.to_string()).replace("@LAST@", &until.to_string());
                    server.sql("zuul", &format!("START TRANSACTION;\n{sql}\nCOMMIT;"));
                    *builds = until;
                }
            }
            Self::Script { folder, model } => {
                model.step(usize::try_from(count).expect("few builds"), 0, 0);
                write_dump(folder, model);
            }
        }
    }

    /// The container that clients run in.
    pub(super) fn container(&self) -> Container {
        let container = Container::new("mariadb");
        match self {
            Self::Real { server, .. } => container.env("HOME", server.home()).folder(server.home()),
            Self::Script { folder, .. } => {
                let version = "[ \"$1\" = --version ] && exec echo a script";
                let dump = format!("{version}\nexec cat '{}/dump.sql'", folder.display());
                let counts = format!(
                    "{version}\ncase \"$*\" in *table_name*) echo all ;; *) cat >/dev/null; cat '{}/counts' ;; esac",
                    folder.display()
                );
                container.program("mariadb-dump", &dump).program("mariadb", &counts)
            }
        }
    }
}

fn write_dump(folder: &Path, model: &DumpModel) {
    let mut dump = Vec::new();
    model.write_to(&mut dump).expect("memory takes everything");
    let mut check = crate::content::dump::DumpCheck::default();
    check.push(&dump);
    let facts = check.finish().expect("the generator writes sound dumps");
    let hex = |name: &str| name.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    let rows = facts.tables.iter().map(|(table, rows)| format!("rows/{}\t{rows}\n", hex(table)));
    let counts: String = rows.chain(["end\t\n".to_owned()]).collect();
    std::fs::write(folder.join("counts"), counts).expect("written");
    std::fs::write(folder.join("dump.sql"), dump).expect("written");
}
