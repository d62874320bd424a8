//! x
use super::*;
/// x
pub fn read_folder(_: &std::path::Path, _: &[std::path::PathBuf], _: bool, _: &mut crate::pipeline::lanes::Lanes) -> Result<Verdict, SourceError> { Ok(Verdict::default()) }
