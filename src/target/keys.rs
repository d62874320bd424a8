//! Zuul's keys into ZooKeeper, by Zuul's own program, proven by another export.
//!
//! `zuul-admin import-keys` may stop half way and still succeed, so its word is not taken. It never removes keys.

use super::TargetError;
use super::feed::{Feed, FeedError, Patience, feed};
use super::site::Site;
use crate::content::zuul_keys::ZuulKeys;
use crate::k8s::PodPlace;
use crate::source::SourceError;
use crate::source::pod::{self, Bounds, PodCommand, Run};
use crate::source::zuul_keys::{TIMEOUT, command};

/// What the program says of a ZooKeeper in which no Zuul has ever been.
const NO_NODE: &str = "NoNode";

/// All keys that are in ZooKeeper; none if no Zuul has used it yet.
pub fn export(site: &Site<'_>, pod: &PodPlace) -> Result<ZuulKeys, TargetError> {
    let exported = match ask(site, pod, &command()) {
        Err(SourceError::Exec { stderr, .. }) if stderr.iter().any(|line| line.contains(NO_NODE)) => {
            br#"{"keys":{}}"#.to_vec()
        }
        other => other?,
    };
    let exported = zeroize::Zeroizing::new(exported);
    ZuulKeys::parse(&exported).map_err(|error| TargetError::Asked(SourceError::Content(Box::new(error))))
}

/// Puts keys into ZooKeeper, over those that are there. No Zuul may be running.
pub fn import(site: &Site<'_>, pod: &PodPlace, keys: &ZuulKeys) -> Result<(), TargetError> {
    let line = "exec zuul-admin import-keys --force /dev/stdin".to_owned();
    let len = keys.canonical().len() as u64;
    let patience = Patience { silence: TIMEOUT, limit: TIMEOUT };
    let into = Feed { place: site.place, pod, line, len, patience };
    match feed(&into, site.env.random(), &site.env.cancel, |sender| sender.send(keys.canonical())) {
        Ok(()) => Ok(()),
        Err(FeedError::Giver(_)) => Err(TargetError::Interrupted),
        Err(FeedError::Taker(error)) => Err(error),
    }
}

/// Deletes queues, caches and everything else that Zuul makes again, so that nothing stale meets restored keys.
pub fn delete_state(site: &Site<'_>, pod: &PodPlace) -> Result<(), TargetError> {
    ask(site, pod, &PodCommand::Shell("echo yes | zuul-admin delete-state".to_owned()))?;
    Ok(())
}

fn ask(site: &Site<'_>, pod: &PodPlace, command: &PodCommand) -> Result<Vec<u8>, SourceError> {
    let bounds = Bounds::default();
    let run = Run { place: site.place, pod, command, bounds: &bounds, tolerated: &[] };
    pod::ask(&run, TIMEOUT, &site.env.random(), &site.env.cancel)
}
