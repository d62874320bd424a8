//! Two exports side by side.

use std::collections::BTreeMap;

use super::ZuulKeys;
use super::export::PrivateKey;

/// What an export has that another has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Paths whose keys are the same in both.
    pub same: usize,
    /// Paths that both have, with other keys.
    pub other: Vec<String>,
    /// Paths that only the first has.
    pub only_here: Vec<String>,
    /// Paths that only the second has.
    pub only_there: Vec<String>,
}

type ByPath<'a> = BTreeMap<&'a str, Vec<&'a PrivateKey>>;

fn by_path(keys: &ZuulKeys) -> ByPath<'_> {
    let mut paths: ByPath<'_> = keys.paths().map(|path| (path, Vec::new())).collect();
    keys.keys.iter().for_each(|key| paths.entry(&key.path).or_default().push(key));
    paths
}

fn is_same(one: &[&PrivateKey], other: &[&PrivateKey]) -> bool {
    let parts = |key: &&PrivateKey| (key.version, key.created);
    one.iter().map(parts).eq(other.iter().map(parts)) && one.iter().zip(other).all(|(one, other)| one.pem == other.pem)
}

impl ZuulKeys {
    /// Compares with another export, path by path.
    pub fn compare(&self, other: &Self) -> Comparison {
        let (here, there) = (by_path(self), by_path(other));
        let mut found = Comparison::default();
        for (path, keys) in &here {
            match there.get(path) {
                Some(others) if is_same(keys, others) => found.same += 1,
                Some(_) => found.other.push((*path).to_owned()),
                None => found.only_here.push((*path).to_owned()),
            }
        }
        let surplus = there.keys().filter(|path| !here.contains_key(*path));
        found.only_there = surplus.map(|path| (*path).to_owned()).collect();
        found
    }
}
