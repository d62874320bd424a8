//! Whether the streams of a snapshot fit together.
//!
//! Streams are taken one beside the other. What ties two of them is a fact that both know, under the same name; if its
//! value differs, something changed between them.

use std::collections::BTreeMap;

use crate::format::manifest::StreamEntry;

/// Facts of this kind are about a shared object: its version when the stream was taken.
const SHARED: &str = "secret/";

/// What sources found, and what the streams say against each other, one sentence each.
pub(super) fn findings(streams: &[StreamEntry], of_sources: Vec<String>) -> Vec<String> {
    let mut findings = of_sources;
    let mut known: BTreeMap<&str, (&str, &StreamEntry)> = BTreeMap::new();
    for stream in streams {
        for (name, value) in stream.facts.iter().filter(|(name, _)| name.starts_with(SHARED)) {
            match known.get(&name[..]) {
                Some((other, first)) if other != value => findings.push(format!(
                    "{} was changed between stream `{}` and stream `{}`",
                    name.replacen('/', " ", 1),
                    String::from_utf8_lossy(&first.name),
                    String::from_utf8_lossy(&stream.name),
                )),
                Some(_) => {}
                None => drop(known.insert(name, (value, stream))),
            }
        }
    }
    findings
}
