//! Options of `repair`.

use std::path::PathBuf;

use clap::Args;

use super::bucket::{endpoint, styles};
use crate::backend::bucket::connect::Addressing;

const HEADING: &str = "From";

/// Options of `repair`.
#[derive(Debug, Args)]
pub struct Repair {
    /// Take whole objects from here: a mirror, a copy of the folder, a bucket, or a folder of any files. May be repeated.
    #[arg(long, value_name = "FOLDER|URL", help_heading = HEADING)]
    pub from: Vec<PathBuf>,
    /// The URL of the servers of a bucket there [default: that of --endpoint].
    #[arg(long, value_parser = endpoint, value_name = "URL", help_heading = HEADING)]
    pub from_endpoint: Option<String>,
    /// The region of an S3 bucket there [default: that of --region].
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub from_region: Option<String>,
    /// Where the name of an S3 bucket goes there [default: that of --addressing].
    #[arg(long, value_parser = styles(), help_heading = HEADING)]
    pub from_addressing: Option<Addressing>,
    /// The profile of AWS' own files that an S3 bucket there is used with.
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub from_profile: Option<String>,
    /// Read every pack to find damage first.
    #[arg(long)]
    pub read_data: bool,
    /// Replace lost records of the gc log that no place has. You promise that every `sfarc run` and `sfarc prune` on this
    /// repository has ended, and stays ended until this has.
    #[arg(long)]
    pub nobody_prunes: bool,
    /// Say what would be done and what is lost, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}
