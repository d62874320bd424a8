//! Folders out of containers: what `tar` sends is checked entry by entry and written again in this program's own form,
//! so that an unchanged folder is an unchanged stream whatever `tar` the image has.

use std::io::BufReader;

use super::members::Members;
use super::pod::{self, Arriving, PodCommand, Run, Whole};
use super::{SourceError, Verdict};
use crate::pipeline::lanes::Lanes;
use crate::tar::TarReader;

/// `tar` ends with this code if files changed while it read them.
const CHANGED: i32 = 1;

/// Sends the folder `$1`, in the order of the names where `tar` can do that.
const SEND: &str = include_str!("pod_folder.sh");

/// The command that sends a folder.
pub(super) fn command(path: &str) -> PodCommand {
    PodCommand::Program(["sh", "-c", SEND, "tar", path].map(str::to_owned).into())
}

/// Takes what a running `tar` sends.
pub(super) fn take(run: &Run<'_>, random: &[u8; 48], lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let cancel = lanes.cancel().clone();
    let run = Run { tolerated: &[CHANGED], ..run.clone() };
    let ((), whole) = pod::run(&run, random, &cancel, |arriving| rewrite(arriving, lanes))?;
    Ok(judge(&whole))
}

fn rewrite(arriving: &mut Arriving<'_>, lanes: &mut Lanes) -> Result<(), SourceError> {
    let mut members = Members::new(lanes);
    let mut reader = TarReader::new(BufReader::with_capacity(64 << 10, arriving));
    while let Some((mut entry, _)) = reader.next_entry().map_err(SourceError::Tar)? {
        // Names of owners depend on the image; the numbers count.
        (entry.uname, entry.gname) = (Vec::new(), Vec::new());
        members.append(&entry, &mut reader).map_err(SourceError::Member)?;
    }
    members.finish().map_err(SourceError::Member)
}

fn judge(whole: &Whole) -> Verdict {
    let mut verdict = Verdict::proven(whole.proof);
    if whole.exit == CHANGED {
        verdict.changed.push("files changed while they were read".to_owned());
    }
    verdict.changed.extend(whole.stderr.iter().cloned());
    verdict
}
