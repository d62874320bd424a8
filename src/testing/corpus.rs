//! A stand-in for the dumps that this program was made for: `mysqldump` of the database of a busy Zuul CI.
//!
//! [`DumpModel`] is a database without data: it keeps a dozen bytes for each build, and every field of every row is
//! computed from the seed, the row's number and the count of its edits. Any dump can therefore be written again, byte
//! for byte, without storing one, and a dump of a gigabyte needs some forty megabytes of memory.
//!
//! The mix of fields is tuned to what real dumps showed: 31 MB shrink to about 5.8 MB under `zstd -3`, and a further
//! 500 builds with 30 edits cost about 33 KB as a patch (`zstd -3 --patch-from`).

use std::io::{self, Write};

/// The most bytes in one `INSERT` line: `net_buffer_length` as `mysqldump` rounds it.
const INSERT_LIMIT: usize = 1024 * 1024 - 1025;
/// How many bytes are gathered before they are written out.
const WRITE_SIZE: usize = 256 * 1024;
/// When the first build started, in seconds since 1970.
const EPOCH: u64 = 1_704_067_200;
/// Seconds from the start of one build to that of the next, on average.
const INTERVAL: u64 = 40;
/// How many buildsets a change goes through, on average.
const BUILDSETS_PER_REF: u64 = 2;
/// The change number of the first change.
const FIRST_CHANGE: u64 = 20_000;

const PROJECTS: &[&str] = &[
    "config",
    "zuul-jobs",
    "software-factory/sf-operator",
    "software-factory/sf-config",
    "software-factory/managesf",
    "software-factory/weeder",
    "rpms/zuul",
    "rpms/nodepool",
    "containers/zuul",
    "containers/zookeeper",
    "openstack/nova",
    "openstack/neutron",
    "openstack/tripleo-ci",
    "ansible/ansible-runner",
    "ansible-collections/community.general",
    "docs/handbook",
];
const JOBS: &[&str] = &[
    "noop",
    "linters",
    "tox-py311",
    "tox-py39",
    "tox-docs",
    "build-container-image",
    "upload-container-image",
    "sf-operator-dev-multinode",
    "sf-operator-dev-upgrade",
    "sf-operator-olm",
    "rpm-build-el9",
    "rpm-test",
    "ansible-lint",
    "config-check",
    "config-update",
    "go-test",
    "tempest-full-py3",
    "devstack-minimal",
    "molecule-centos-9-stream",
];
const BRANCHES: &[&str] = &["master", "main", "master", "stable/2024.1", "devel", "rhos-18.0"];
const PIPELINES: &[&str] = &["check", "check", "check", "gate", "gate", "post", "periodic", "experimental"];
const NODESETS: &[&str] = &["fedora-40-container", "centos-9-stream", "ubuntu-jammy", "cloud-centos-9-large", ""];
const FAILURES: &[&str] = &[
    "FAILURE",
    "FAILURE",
    "FAILURE",
    "TIMED_OUT",
    "NODE_FAILURE",
    "RETRY_LIMIT",
    "SKIPPED",
    "POST_FAILURE",
    "CANCELED",
];
const ERRORS: &[&str] = &[
    "Unable to freeze job graph: Job base not defined",
    "Project is not allowed to run job: secrets are \\'post-review\\' only",
    "Failed to update project: fetch timed out after 300 seconds",
];
/// How many artifacts the jobs publish, in turn.
const ARTIFACTS_OF_JOB: &[u64] = &[0, 0, 1, 0, 0];
const ARTIFACTS: &[(&str, &str)] = &[
    ("Zuul Manifest", "zuul-manifest.json"),
    ("Unit Test Report", "tox/test_results.html"),
    ("Docs preview site", "docs/index.html"),
    ("Container image", "buildah/image.tar"),
];

/// The state of one build; all else about it is computed.
#[derive(Clone, Copy, Debug)]
struct Build {
    id: u32,
    buildset: u32,
    edits: u16,
}

/// A growing Zuul database whose dumps can be written at any time. Equal seeds and steps give equal dumps.
#[derive(Clone, Debug)]
pub struct DumpModel {
    seed: u64,
    steps: u64,
    next_build: u32,
    next_buildset: u32,
    builds: Vec<Build>,
}

impl DumpModel {
    /// A database that holds `builds` builds, their buildsets, changes and artifacts.
    ///
    /// A build takes about 323 bytes of a dump, so 97,000 of them make one of 31 MB.
    #[must_use]
    pub fn new(seed: u64, builds: usize) -> Self {
        let mut model = Self { seed, steps: 0, next_build: 1, next_buildset: 1, builds: Vec::new() };
        model.append(builds);
        model
    }

    /// Lets time pass: edits the outcome of `edits` builds chosen at random, prunes the `deletes` oldest builds as
    /// `zuul-admin prune-database` does, and runs `new_builds` new ones.
    pub fn step(&mut self, new_builds: usize, edits: usize, deletes: usize) {
        self.steps += 1;
        self.builds.drain(..deletes.min(self.builds.len()));
        self.edit(edits);
        self.append(new_builds);
    }

    /// Writes the dump of the database as it is now.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(HEADER.as_bytes())?;
        self.write_artifacts(out)?;
        self.write_builds(out)?;
        self.write_buildsets(out)?;
        self.write_refs(out)?;
        let mut end = FOOTER.as_bytes().to_vec();
        end.time(self.now());
        end.text("\n");
        out.write_all(&end)
    }

    fn append(&mut self, count: usize) {
        self.builds.reserve(count);
        for _ in 0..count {
            let id = self.next_build;
            if self.rng(Salt::Grouping, id, 0).one_in(7) {
                self.next_buildset += 1;
            }
            self.next_build += 1;
            self.builds.push(Build { id, buildset: self.next_buildset, edits: 0 });
        }
    }

    fn edit(&mut self, count: usize) {
        if self.builds.is_empty() {
            return;
        }
        let mut rng = Rng::new(self.seed, Salt::Choice, self.steps);
        for _ in 0..count {
            let row = rng.below(self.builds.len() as u64) as usize;
            self.builds[row].edits = self.builds[row].edits.wrapping_add(1);
        }
    }

    fn write_artifacts(&self, out: &mut impl Write) -> io::Result<()> {
        let mut table = Table::begin(out, "zuul_artifact", ARTIFACT_COLUMNS)?;
        for build in &self.builds {
            let details = self.build_details(*build);
            for nth in 0..ARTIFACTS_OF_JOB[details.job % ARTIFACTS_OF_JOB.len()] {
                table.row(|row| {
                    let (name, path) = ARTIFACTS[(details.job + nth as usize) % ARTIFACTS.len()];
                    row.number(u64::from(build.id) * 2 + nth);
                    row.text(",");
                    row.number(build.id.into());
                    row.text(",'").text(name).text("','").log_url(&details).text(path);
                    row.text("',").text(if nth == 0 { r#"'{\"type\": \"zuul_manifest\"}'"# } else { "NULL" });
                })?;
            }
        }
        table.end()
    }

    fn write_builds(&self, out: &mut impl Write) -> io::Result<()> {
        let mut table = Table::begin(out, "zuul_build", BUILD_COLUMNS)?;
        for build in &self.builds {
            let details = self.build_details(*build);
            table.row(|row| row.build(*build, &details))?;
        }
        table.end()
    }

    fn write_buildsets(&self, out: &mut impl Write) -> io::Result<()> {
        let mut table = Table::begin(out, "zuul_buildset", BUILDSET_COLUMNS)?;
        for builds in self.builds.chunk_by(|a, b| a.buildset == b.buildset) {
            table.row(|row| self.buildset_row(row, builds))?;
        }
        table.end()
    }

    fn write_refs(&self, out: &mut impl Write) -> io::Result<()> {
        let mut table = Table::begin(out, "zuul_ref", REF_COLUMNS)?;
        let newest = u64::from(self.next_buildset) / BUILDSETS_PER_REF + 1;
        for number in 1..=newest {
            table.row(|row| self.ref_row(row, number))?;
        }
        table.end()
    }

    fn buildset_row(&self, row: &mut Vec<u8>, builds: &[Build]) {
        let (first, last) = (builds[0], builds[builds.len() - 1]);
        let (start, details) = (self.start(first.id), self.build_details(last));
        let failed = builds.iter().any(|build| self.build_details(*build).result != "SUCCESS");
        let mut rng = self.rng(Salt::Buildset, first.buildset, 0);
        row.number(first.buildset.into());
        row.text(",'").text(details.pipeline).text("',NULL,'").text(details.tenant).text("','");
        row.text(if failed { "FAILURE" } else { "SUCCESS" }).text("','").uuid(rng.next(), rng.next());
        row.text("','").time(start - rng.below(90)).text("','").time(start);
        row.text("','").time(details.end).text("','").time(details.end + 2).text("','");
        row.hex(rng.next(), 16).hex(rng.next(), 16).text("'");
    }

    fn ref_row(&self, row: &mut Vec<u8>, number: u64) {
        let change = self.change(number);
        let mut rng = Rng::new(self.seed, Salt::Revision, number);
        row.number(number);
        row.text(",'").text(PROJECTS[change.project]).text("','refs/changes/");
        row.two_digits(change.number % 100);
        row.text("/").number(change.number);
        row.text("/").number(change.patchset);
        row.text("','https://review.example.com/c/").text(PROJECTS[change.project]).text("/+/");
        row.number(change.number);
        row.text("',").number(change.number);
        row.text(",'").number(change.patchset);
        row.text("','','").hex(rng.next(), 16).hex(rng.next(), 16).hex(rng.next(), 8);
        row.text("','").text(change.branch).text("'");
    }

    fn build_details(&self, build: Build) -> BuildDetails {
        let mut shared = self.rng(Salt::Buildset, build.buildset, 1);
        let newest = u64::from(build.buildset) / BUILDSETS_PER_REF + 1;
        let reference = newest.saturating_sub(shared.below(4)).max(1);
        let change = self.change(reference);
        let mut own = self.rng(Salt::Build, build.id, 0);
        let mut outcome = self.rng(Salt::Outcome, build.id, build.edits);
        let failed = outcome.one_in(8);
        let start = self.start(build.id);
        let job = (change.project * 5 + build.id as usize % 6) % JOBS.len();
        BuildDetails {
            uuid: [own.next(), own.next()],
            reference,
            job,
            tenant: if change.project < 10 { "software-factory" } else { "local" },
            pipeline: shared.pick(PIPELINES),
            nodeset: NODESETS[job % NODESETS.len()],
            result: if failed { outcome.pick(FAILURES) } else { "SUCCESS" },
            error: (failed && outcome.one_in(6)).then(|| outcome.pick(ERRORS)),
            start,
            end: start + 60 * (job as u64 + 1) + outcome.below(60),
        }
    }

    fn change(&self, reference: u64) -> Change {
        let mut rng = Rng::new(self.seed, Salt::Change, reference);
        let project = rng.below(PROJECTS.len() as u64).min(rng.below(PROJECTS.len() as u64)) as usize;
        Change {
            number: FIRST_CHANGE + reference,
            patchset: 1 + rng.below(8).min(rng.below(8)),
            project,
            branch: BRANCHES[project % BRANCHES.len()],
        }
    }

    fn start(&self, build: u32) -> u64 {
        EPOCH + u64::from(build) * INTERVAL + self.rng(Salt::Start, build, 0).below(8)
    }

    fn now(&self) -> u64 {
        EPOCH + (u64::from(self.next_build) + 1) * INTERVAL + 3600 * self.steps
    }

    fn rng(&self, salt: Salt, row: u32, edits: u16) -> Rng {
        Rng::new(self.seed, salt, u64::from(row) << 16 | u64::from(edits))
    }
}

/// What a build's row and its artifacts' rows say.
struct BuildDetails {
    uuid: [u64; 2],
    reference: u64,
    job: usize,
    tenant: &'static str,
    pipeline: &'static str,
    nodeset: &'static str,
    result: &'static str,
    error: Option<&'static str>,
    start: u64,
    end: u64,
}

/// The change under review that a buildset ran for.
struct Change {
    number: u64,
    patchset: u64,
    project: usize,
    branch: &'static str,
}

/// Keeps the random numbers of different purposes apart.
#[derive(Clone, Copy)]
enum Salt {
    Build = 1,
    Buildset,
    Change,
    Choice,
    Grouping,
    Outcome,
    Revision,
    Start,
}

/// SplitMix64: small, fast, and as good from any seed.
struct Rng(u64);

impl Rng {
    fn new(seed: u64, salt: Salt, row: u64) -> Self {
        let mut mixed = Self(seed ^ (salt as u64) << 56);
        Self(mixed.next() ^ row.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Fields as `mysqldump` prints them, appended to a row.
trait Fields {
    fn text(&mut self, text: &str) -> &mut Self;
    fn number(&mut self, value: u64) -> &mut Self;
    fn two_digits(&mut self, value: u64) -> &mut Self;
    fn hex(&mut self, value: u64, digits: u32) -> &mut Self;

    fn uuid(&mut self, high: u64, low: u64) -> &mut Self {
        self.hex(high >> 32, 8).text("-").hex(high >> 16, 4).text("-").hex(high, 4);
        self.text("-").hex(low >> 48, 4).text("-").hex(low, 12)
    }

    fn time(&mut self, seconds: u64) -> &mut Self {
        let (year, month, day) = civil(seconds / 86_400);
        self.number(year).text("-").two_digits(month).text("-").two_digits(day);
        self.text(" ").two_digits(seconds / 3600 % 24);
        self.text(":").two_digits(seconds / 60 % 60).text(":").two_digits(seconds % 60)
    }

    fn log_url(&mut self, build: &BuildDetails) -> &mut Self {
        self.text("https://logserver.ci.example.com/zuul/").text(build.tenant).text("/");
        self.hex(build.uuid[0], 16).hex(build.uuid[1], 16).text("/")
    }

    fn build(&mut self, build: Build, details: &BuildDetails) {
        self.number(build.id.into()).text(",").number(build.buildset.into());
        self.text(",'").hex(details.uuid[0], 16).hex(details.uuid[1], 16);
        self.text("','").text(JOBS[details.job]).text("','").text(details.result);
        self.text("','").time(details.start).text("','").time(details.end);
        self.text("',").text(if details.job % 7 == 3 { "0" } else { "1" }).text(",'").log_url(details).text("',");
        match details.error {
            Some(error) => self.text("'").text(error).text("'"),
            None => self.text("NULL"),
        };
        self.text(",1,0,'").text(details.nodeset).text("',").number(details.reference);
    }
}

impl Fields for Vec<u8> {
    fn text(&mut self, text: &str) -> &mut Self {
        self.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, mut value: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.extend_from_slice(&digits[first..]);
        self
    }

    fn two_digits(&mut self, value: u64) -> &mut Self {
        self.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
        self
    }

    fn hex(&mut self, value: u64, digits: u32) -> &mut Self {
        self.extend((0..digits).rev().map(|digit| b"0123456789abcdef"[(value >> (4 * digit) & 15) as usize]));
        self
    }
}

/// Year, month and day of a day since 1970, after Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// One table's part of a dump: its definition, then its rows in long `INSERT` lines.
struct Table<'a, W> {
    out: &'a mut W,
    name: &'static str,
    buffer: Vec<u8>,
    row: Vec<u8>,
    insert_len: usize,
}

impl<'a, W: Write> Table<'a, W> {
    fn begin(out: &'a mut W, name: &'static str, columns: &str) -> io::Result<Self> {
        write!(
            out,
            "\n--\n-- Table structure for table `{name}`\n--\n\n\
             DROP TABLE IF EXISTS `{name}`;\n\
             /*!40101 SET @saved_cs_client     = @@character_set_client */;\n\
             /*!40101 SET character_set_client = utf8mb4 */;\n\
             CREATE TABLE `{name}` (\n{columns}\n) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;\n\
             /*!40101 SET character_set_client = @saved_cs_client */;\n\
             \n--\n-- Dumping data for table `{name}`\n--\n\n\
             LOCK TABLES `{name}` WRITE;\n\
             /*!40000 ALTER TABLE `{name}` DISABLE KEYS */;\n"
        )?;
        let buffer = Vec::with_capacity(WRITE_SIZE + 4096);
        Ok(Self { out, name, buffer, row: Vec::with_capacity(1024), insert_len: 0 })
    }

    fn row(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.row.clear();
        fill(&mut self.row);
        self.separate();
        self.buffer.push(b'(');
        self.buffer.extend_from_slice(&self.row);
        self.buffer.push(b')');
        if self.buffer.len() >= WRITE_SIZE { self.flush() } else { Ok(()) }
    }

    /// Goes on with the current `INSERT`, or ends it and starts another if the row would make it too long.
    fn separate(&mut self) {
        let row_len = self.row.len() + 4;
        if self.insert_len > 0 && self.insert_len + row_len < INSERT_LIMIT {
            self.buffer.text(",\n");
            self.insert_len += row_len;
            return;
        }
        if self.insert_len > 0 {
            self.buffer.text(";\n");
        }
        self.buffer.text("INSERT INTO `").text(self.name).text("` VALUES\n");
        self.insert_len = self.name.len() + 23 + row_len;
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        if self.insert_len > 0 {
            self.buffer.text(";\n");
        }
        self.buffer.text("/*!40000 ALTER TABLE `").text(self.name).text("` ENABLE KEYS */;\nUNLOCK TABLES;\n");
        self.flush()
    }
}

const HEADER: &str = r"/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.18-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: zuul
-- ------------------------------------------------------
-- Server version	10.11.18-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
";

const FOOTER: &str = r"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;

-- Dump completed on ";

const ARTIFACT_COLUMNS: &str = "  `id` int(11) NOT NULL AUTO_INCREMENT,
  `build_id` int(11) DEFAULT NULL,
  `name` varchar(255) DEFAULT NULL,
  `url` text DEFAULT NULL,
  `metadata` text DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `zuul_artifact_build_id_idx` (`build_id`)";

const BUILD_COLUMNS: &str = "  `id` int(11) NOT NULL AUTO_INCREMENT,
  `buildset_id` int(11) DEFAULT NULL,
  `uuid` varchar(36) DEFAULT NULL,
  `job_name` varchar(255) DEFAULT NULL,
  `result` varchar(255) DEFAULT NULL,
  `start_time` datetime DEFAULT NULL,
  `end_time` datetime DEFAULT NULL,
  `voting` tinyint(1) DEFAULT NULL,
  `log_url` varchar(255) DEFAULT NULL,
  `error_detail` text DEFAULT NULL,
  `final` tinyint(1) DEFAULT NULL,
  `held` tinyint(1) DEFAULT NULL,
  `nodeset` varchar(255) DEFAULT NULL,
  `ref_id` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `zuul_build_uuid_buildset_id_idx` (`uuid`,`buildset_id`)";

const BUILDSET_COLUMNS: &str = "  `id` int(11) NOT NULL AUTO_INCREMENT,
  `pipeline` varchar(255) DEFAULT NULL,
  `message` text DEFAULT NULL,
  `tenant` varchar(255) DEFAULT NULL,
  `result` varchar(255) DEFAULT NULL,
  `event_id` varchar(255) DEFAULT NULL,
  `event_timestamp` datetime DEFAULT NULL,
  `first_build_start_time` datetime DEFAULT NULL,
  `last_build_end_time` datetime DEFAULT NULL,
  `updated` datetime DEFAULT NULL,
  `uuid` varchar(36) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `zuul_buildset_uuid_idx` (`uuid`)";

const REF_COLUMNS: &str = "  `id` int(11) NOT NULL AUTO_INCREMENT,
  `project` varchar(255) NOT NULL,
  `ref` varchar(255) NOT NULL,
  `ref_url` varchar(255) NOT NULL,
  `change` int(11) DEFAULT NULL,
  `patchset` varchar(40) DEFAULT NULL,
  `oldrev` varchar(40) DEFAULT NULL,
  `newrev` varchar(40) DEFAULT NULL,
  `branch` varchar(255) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `zuul_ref_change_idx` (`change`,`patchset`)";

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(model: &DumpModel) -> String {
        let mut bytes = Vec::new();
        model.write_to(&mut bytes).expect("a vector takes all");
        String::from_utf8(bytes).expect("a dump is text")
    }

    #[test]
    fn equal_histories_give_equal_dumps() {
        let history = |seed| {
            let mut model = DumpModel::new(seed, 1000);
            model.step(50, 5, 3);
            dump(&model)
        };
        assert_eq!(history(1), history(1));
        assert_ne!(history(1), history(2));
    }

    #[test]
    fn a_dump_has_its_tables_and_its_end_mark() {
        let text = dump(&DumpModel::new(1, 100));
        for table in ["zuul_artifact", "zuul_build", "zuul_buildset", "zuul_ref"] {
            assert!(text.contains(&format!("\nINSERT INTO `{table}` VALUES\n(")), "{table}");
        }
        let end = text.lines().last().expect("lines");
        assert_eq!(end, "-- Dump completed on 2024-01-01 01:08:00");
    }

    #[test]
    fn a_step_leaves_most_rows_alone() {
        let mut model = DumpModel::new(1, 2000);
        let before = dump(&model);
        model.step(10, 5, 0);
        let after = dump(&model);
        let old: std::collections::HashSet<_> = before.lines().collect();
        let new = after.lines().filter(|line| !old.contains(line)).count();
        assert!((20..60).contains(&new), "{new} new lines");
    }

    #[test]
    fn pruning_takes_the_oldest_builds() {
        let mut model = DumpModel::new(1, 20);
        model.step(0, 0, 15);
        assert_eq!(model.builds[0].id, 16);
        model.step(0, 3, 1000);
        assert!(dump(&model).contains("INSERT INTO `zuul_ref`"));
        assert!(!dump(&model).contains("INSERT INTO `zuul_build`"));
    }

    #[test]
    fn insert_lines_stay_below_the_limit() {
        let text = dump(&DumpModel::new(1, 8000));
        let longest = text.split(";\n").map(str::len).max();
        assert!(longest.is_some_and(|len| (INSERT_LIMIT - 1000..INSERT_LIMIT).contains(&len)), "{longest:?}");
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_088), (2024, 12, 31));
    }
}
