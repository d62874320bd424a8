//! Folders out of containers: what `tar` sends is checked entry by entry and written again in this program's own form,
//! so that an unchanged folder is an unchanged stream whatever `tar` the image has.

use std::io::BufReader;

use super::members::Members;
use super::pod::{self, Arriving, PodCommand, Run, Whole};
use super::{SourceError, Verdict, last_lines};
use crate::pipeline::lanes::Lanes;
use crate::tar::TarReader;

/// The script ends with this code if files changed while they were read, and nothing else happened.
const CHANGED: i32 = 1;

/// It ends with this code if its `tar` had an error and does not tell files that changed from files that it left out. What
/// it says of them on standard error decides nothing: names of files are in it, and nothing proves that it is whole.
const UNSURE: i32 = 3;

/// Sends the folder `$1`, in the order of the names where `tar` can do that.
const SEND: &str = include_str!("pod_folder.sh");

/// The command that sends a folder.
pub(super) fn command(path: &str) -> PodCommand {
    PodCommand::Program(["sh", "-c", SEND, "tar", path].map(str::to_owned).into())
}

/// Takes what a running `tar` sends.
pub(super) fn take(run: &Run<'_>, random: &[u8; 48], lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let cancel = lanes.cancel().clone();
    let run = Run { tolerated: &[CHANGED, UNSURE], ..run.clone() };
    let (rewritten, whole) = pod::run(&run, random, &cancel, |arriving| Ok(rewrite(arriving, lanes)))?;
    match rewritten {
        // Some stop where they are if a file has become shorter.
        Err(SourceError::Tar(_) | SourceError::Member(_)) if whole.exit == UNSURE => {
            let (place, words) = (run.pod, last_lines(&whole.stderr));
            Err(SourceError::Moved(format!("the tar in {place} stopped before the end of the folder{words}")))
        }
        rewritten => rewritten.map(|()| judge(whole)),
    }
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

fn judge(whole: Whole) -> Verdict {
    let mut verdict = Verdict::proven(whole.proof);
    match whole.exit {
        UNSURE => {
            let what =
                "the container's tar had an error: files may be missing, or may have changed while they were read";
            verdict.missing.push(what.to_owned());
        }
        CHANGED => verdict.changed.push("files changed while they were read".to_owned()),
        _ => {}
    }
    verdict.changed.extend(whole.stderr);
    verdict
}
