//! Arguments about what is kept.

use clap::Args;

/// Options of `forget`.
#[derive(Debug, Args)]
pub struct Forget {
    /// The snapshots.
    #[arg(value_name = "ID", required_unless_present = "rules", conflicts_with = "rules")]
    pub ids: Vec<String>,
    /// The rules.
    #[command(flatten)]
    pub keep: Keep,
    /// Apply the rules only to snapshots with this tag.
    #[arg(long, requires = "rules")]
    pub tag: Vec<String>,
    /// Apply the rules only to snapshots with this label.
    #[arg(long, value_name = "KEY=VALUE", requires = "rules")]
    pub label: Vec<String>,
    /// Apply the rules only to snapshots of this host.
    #[arg(long, requires = "rules")]
    pub host: Option<String>,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Rules: what satisfies any of them is kept. They hold for each target by itself.
#[derive(Debug, Args)]
#[group(id = "rules", multiple = true)]
#[command(next_help_heading = "Rules")]
pub struct Keep {
    /// Keep the newest N.
    #[arg(long, value_name = "N")]
    pub keep_last: Option<usize>,
    /// Keep the newest of each of the last N hours that have one.
    #[arg(long, value_name = "N")]
    pub keep_hourly: Option<usize>,
    /// Keep the newest of each of the last N days.
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<usize>,
    /// Keep the newest of each of the last N weeks.
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<usize>,
    /// Keep the newest of each of the last N months.
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<usize>,
    /// Keep the newest of each of the last N years.
    #[arg(long, value_name = "N")]
    pub keep_yearly: Option<usize>,
    /// Keep all that are at most so much older than the newest, such as `2d` or `36h`.
    #[arg(long, value_name = "TIME")]
    pub keep_within: Option<String>,
    /// Keep all with this tag.
    #[arg(long, value_name = "TAG")]
    pub keep_tag: Vec<String>,
    /// Keep what is incomplete or does not fit together, if it is at most so much older than the newest; it satisfies
    /// no other rule [default: 7d].
    #[arg(long, value_name = "TIME")]
    pub keep_inconsistent_within: Option<String>,
}

/// Options of `pin`.
#[derive(Debug, Args)]
pub struct Pin {
    /// The snapshots: beginnings of ids, `latest`, `latest~N`, or `latest@WRITER`.
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Why, for people who wonder later.
    #[arg(long, default_value = "", conflicts_with = "remove")]
    pub why: String,
    /// Let the rules decide again.
    #[arg(long)]
    pub remove: bool,
}
