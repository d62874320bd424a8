//! The only place where a key becomes a path, and a path a key.

use super::{Key, Kind};

/// The folder of a kind, relative to the repository; the configuration has none.
pub const fn folder(kind: Kind) -> &'static str {
    match kind {
        Kind::Config => "",
        Kind::Keys => "keys",
        Kind::Packs => "packs",
        Kind::Indexes => "indexes",
        Kind::Snapshots => "snapshots",
        Kind::Sessions => "sessions",
        Kind::Gc => "gc",
        Kind::Writers => "writers",
    }
}

/// The kind whose objects lie in a folder.
pub fn kind_of(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| *kind != Kind::Config && folder(*kind) == name)
}

const PENDING: &str = ".pending";

/// The path of an object, relative to the repository.
pub fn path(key: &Key) -> String {
    let folder = folder(key.kind());
    match key {
        Key::Config => "config".to_owned(),
        Key::Slot(id) | Key::Pack(id) | Key::Index(id) | Key::Snapshot(id) | Key::Writer(id) => {
            format!("{folder}/{id}")
        }
        Key::Session(id) => format!("{folder}/{id}"),
        Key::Pending(id) => format!("{folder}/{id}{PENDING}"),
        Key::Gc(epoch) => format!("{folder}/{epoch:016x}"),
    }
}

/// The object with this name in the folder of a kind; nothing for names that no object has.
pub fn parse(kind: Kind, name: &str) -> Option<Key> {
    match kind {
        Kind::Config => (name == "config").then_some(Key::Config),
        Kind::Keys => name.parse().ok().map(Key::Slot),
        Kind::Packs => name.parse().ok().map(Key::Pack),
        Kind::Indexes => name.parse().ok().map(Key::Index),
        Kind::Snapshots => name.parse().ok().map(Key::Snapshot),
        Kind::Sessions => match name.strip_suffix(PENDING) {
            Some(session) => session.parse().ok().map(Key::Pending),
            None => name.parse().ok().map(Key::Session),
        },
        Kind::Gc => parse_epoch(name).map(Key::Gc),
        Kind::Writers => name.parse().ok().map(Key::Writer),
    }
}

fn parse_epoch(name: &str) -> Option<u64> {
    let canonical = name.len() == 16 && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| u64::from_str_radix(name, 16).ok()).flatten().filter(|epoch| (1..u64::MAX).contains(epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ObjectId, SessionId};

    #[test]
    fn paths_parse_back() {
        let object = ObjectId::new([7; 32]);
        let session = SessionId::new([9; 16]);
        for key in [
            Key::Config,
            Key::Slot(object),
            Key::Pack(object),
            Key::Index(object),
            Key::Snapshot(object),
            Key::Session(session),
            Key::Pending(session),
            Key::Gc(0xfe),
            Key::Writer(object),
        ] {
            let path = path(&key);
            let name = path.rsplit('/').next().expect("a path has a name");
            assert_eq!(parse(key.kind(), name), Some(key), "{path}");
        }
    }

    #[test]
    fn other_names_are_no_objects() {
        for name in ["", "x", ".pending", "00000000000000fE", "fe", "../config"] {
            assert!(Kind::ALL.iter().all(|&kind| parse(kind, name).is_none()), "{name}");
        }
    }
}
