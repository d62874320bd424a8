//! Records: small snapshots that sfarc takes for itself, of drills, checks and pins. They need no format of their own,
//! are sealed like everything else, and a writer that may only add can make one.

use super::snapshot::{self, From, Input};
use crate::error::Error;
use crate::format::manifest::{Origin, Proof};
use crate::ids::ObjectId;
use crate::repo::Repository;
use crate::source::Verdict;
use crate::source::prepared::Prepared;

/// What a record says.
pub struct Record<'a> {
    /// The name of its one stream.
    pub name: &'a str,
    /// The bytes of that.
    pub bytes: Vec<u8>,
    /// Its tag.
    pub tag: &'a str,
    /// What it is found by; one key at least begins with [`OWN_LABEL`](crate::format::manifest::OWN_LABEL).
    pub labels: Vec<(String, String)>,
    /// The host that it is marked with.
    pub host: &'a str,
}

/// Writes a record into the repository.
pub fn write(repository: &Repository, record: Record<'_>) -> Result<Option<ObjectId>, Error> {
    let Record { name, bytes, tag, labels, host } = record;
    let stream = Prepared::new(Origin::Stdin, false, move |lanes| {
        lanes.write(0, &bytes)?;
        Ok(Verdict::proven(Proof::P3))
    });
    let options = snapshot::Options {
        inputs: vec![Input::new(name, From::Prepared(stream))],
        tags: vec![tag.to_owned()],
        labels,
        host: host.to_owned(),
        ..snapshot::Options::default()
    };
    Ok(snapshot::snapshot(repository, &options)?.id)
}
