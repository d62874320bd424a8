//! The file as it is written: tables and keys, before they are checked.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::bucket::{AddressingName, Endpoint, LockPeriod, ModeName};
use super::plan::{ProofName, StreamTable};
use super::values::{ExpectedId, Size, Span};

/// The whole file; and each `[[target]]`, which has the same keys but for those of the file.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct FileTable {
    // Of the file only.
    pub repository: Option<Spanned<RepositoryTable>>,
    pub parallel: Option<Spanned<usize>>,
    pub upkeep: Option<Spanned<UpkeepTable>>,
    pub status: Option<Spanned<StatusTable>>,
    pub target: Vec<Spanned<FileTable>>,

    // When, and what becomes of it.
    pub name: Option<Spanned<String>>,
    pub every: Option<Spanned<Span>>,
    pub cron: Option<Spanned<String>>,
    pub timezone: Option<Spanned<String>>,
    pub jitter: Option<Span>,
    pub tags: Vec<String>,
    pub retention: Option<Spanned<RetentionTable>>,
    pub hooks: Option<HooksTable>,

    // Where.
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,

    // What.
    pub namespace: Option<String>,
    pub plan: Option<Spanned<String>>,
    pub cr: Option<PathBuf>,
    pub with: Vec<String>,
    pub configmaps: bool,
    pub helper_pod: bool,
    pub silence: Option<Span>,
    pub timeout: Option<Span>,
    pub attempts: Option<u32>,
    pub spill: Option<Size>,
    pub min_proof: Option<ProofName>,
    pub stream: Vec<Spanned<StreamTable>>,
}

impl FileTable {
    /// True if it says what is to be taken.
    pub(super) fn has_plan(&self) -> bool {
        self.plan.is_some() || !self.stream.is_empty() || self.cr.is_some()
    }
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct RepositoryTable {
    pub path: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
    pub password_command: Option<String>,
    pub key_file: Option<PathBuf>,
    pub expect_id: Option<ExpectedId>,
    pub endpoint: Option<Endpoint>,
    pub region: Option<String>,
    pub addressing: Option<AddressingName>,
    pub lock_for: Option<LockPeriod>,
    pub lock_mode: Option<ModeName>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct RetentionTable {
    pub keep_last: Option<usize>,
    pub keep_hourly: Option<usize>,
    pub keep_daily: Option<usize>,
    pub keep_weekly: Option<usize>,
    pub keep_monthly: Option<usize>,
    pub keep_yearly: Option<usize>,
    pub keep_within: Option<Span>,
    pub keep_tags: Vec<String>,
    pub keep_inconsistent_within: Option<Span>,
    pub keep_safety_within: Option<Span>,
    pub keep_safety_last: Option<usize>,
    pub keep_records_within: Option<Span>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct UpkeepTable {
    pub prune_every: Option<Spanned<SpanOrNever>>,
    pub max_unused: Option<Spanned<String>>,
    pub rewrite_at_most: Option<Size>,
    pub check_every: Option<Spanned<SpanOrNever>>,
    pub read_all_within: Option<Spanned<Span>>,
    pub read_at_most: Option<Size>,
    pub time_at_most: Option<Span>,
    pub drill_every: Option<Spanned<SpanOrNever>>,
    pub drill_namespace: Option<String>,
}

/// A length of time, or `"never"`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum SpanOrNever {
    Never,
    Span(Span),
}

impl TryFrom<String> for SpanOrNever {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "never" { Ok(Self::Never) } else { Span::try_from(text).map(Self::Span) }
    }
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct StatusTable {
    pub listen: Option<Spanned<String>>,
    pub page: bool,
    pub file: Option<PathBuf>,
    pub textfile: Option<PathBuf>,
    pub webhook: Option<Spanned<String>>,
    pub webhook_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct HooksTable {
    pub before: Option<String>,
    pub after: Option<String>,
    pub on_failure: Option<String>,
}
