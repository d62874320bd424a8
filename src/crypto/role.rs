//! Roles: who holds which of the secrets of a repository. The table is in format-spec.md, "Roles".

use std::collections::BTreeMap;
use std::fmt;

use super::keys::{Secret, derive};
use super::recipient::Recipient;
use super::signature::Signer;

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything: whoever opens a key slot.
    Reader,
    /// Add snapshots; read nothing that is stored.
    Writer,
    /// Check, collect garbage, merge the index; see ids and lengths, no content.
    Maintainer,
    /// See whether snapshots are signed, and whether any has vanished.
    Auditor,
}

impl Role {
    /// The roles that are given away, in the order of their numbers in key files.
    pub const LIMITED: [Self; 3] = [Self::Writer, Self::Maintainer, Self::Auditor];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Maintainer => "maintainer",
            Self::Auditor => "auditor",
        }
    }

    /// The secrets that it gets, all derived from the root key.
    const fn shared(self) -> &'static [&'static str] {
        match self {
            Self::Reader => &[],
            Self::Writer => &[
                "wrap 1",
                "wrap 3",
                "wrap 5",
                "wrap 6",
                "names 2",
                "names 4",
                "chunk id",
                "list id",
                "gear seed",
                "chunker prf",
            ],
            Self::Maintainer => &[
                "wrap 1", "wrap 3", "wrap 5", "wrap 6", "wrap 7", "wrap 8", "names 2", "names 4", "lists 2", "lists 4",
                "list id", LISTS, LOG,
            ],
            Self::Auditor => &["wrap 1", "wrap 6", "wrap 7", "wrap 8", "names 4"],
        }
    }

    /// The public halves of key pairs that it gets.
    const fn public(self) -> &'static [&'static str] {
        match self {
            Self::Reader => &[],
            Self::Writer => &[LISTS, DATA, LOG],
            Self::Maintainer => &[DATA, AUTHORITY],
            Self::Auditor => &[LOG, AUTHORITY],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The key pair that list keys are sealed to.
pub(super) const LISTS: &str = "lists recipient";
/// The key pair that data keys are sealed to.
pub(super) const DATA: &str = "data recipient";
/// The key pair that signs the gc log.
pub(super) const LOG: &str = "log signature";
/// The key pair that signs writers, and the snapshots of readers.
pub(super) const AUTHORITY: &str = "authority signature";
/// The key pair of one writer.
pub(super) const OWN: &str = "own signature";

/// How the public half of a key pair is named.
fn public_name(pair: &str) -> String {
    format!("{pair}, public")
}

/// The public half of a key pair: for sealing to, or for signatures.
fn public_half(pair: &str, private: &Secret) -> [u8; 32] {
    if [LISTS, DATA].contains(&pair) { *Recipient::of(private).as_bytes() } else { Signer::new(private).public() }
}

/// Secrets by their names.
#[derive(Clone)]
pub enum Secrets {
    /// All of them, derived from the root key.
    Root(Secret),
    /// Those of a role.
    Some(Role, BTreeMap<String, Secret>),
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.role())
    }
}

impl Secrets {
    /// Whose they are.
    pub fn role(&self) -> Role {
        match self {
            Self::Root(_) => Role::Reader,
            Self::Some(role, _) => *role,
        }
    }

    /// The root key, if it is known.
    pub fn root(&self) -> Option<&Secret> {
        match self {
            Self::Root(root) => Some(root),
            Self::Some(..) => None,
        }
    }

    /// A secret, if the role has it.
    pub fn get(&self, name: &str) -> Option<Secret> {
        match self {
            Self::Root(_) if name == OWN => None,
            Self::Root(root) => Some(derive(name, &root[..])),
            Self::Some(_, secrets) => secrets.get(name).cloned(),
        }
    }

    /// The public half of a key pair, if the role has it or can know it.
    pub fn public(&self, pair: &str) -> Option<[u8; 32]> {
        let named = || match self {
            Self::Root(_) => None,
            Self::Some(_, secrets) => secrets.get(&public_name(pair)).map(|public| **public),
        };
        self.get(pair).map(|private| public_half(pair, &private)).or_else(named)
    }

    /// What a role is given of these, with a key of its own if it signs; nothing if these are not all.
    pub fn grant(&self, role: Role, own: Secret) -> Option<BTreeMap<String, Secret>> {
        self.root()?;
        let shared = role.shared().iter().filter_map(|name| Some(((*name).to_owned(), self.get(name)?)));
        let public = role.public().iter().filter_map(|pair| Some((public_name(pair), Secret::new(self.public(pair)?))));
        let own = (role == Role::Writer).then(|| (OWN.to_owned(), own));
        Some(shared.chain(public).chain(own).collect())
    }

    /// True if these are what the role must have.
    pub fn are_complete(role: Role, secrets: &BTreeMap<String, Secret>) -> bool {
        let has = |name: &str| secrets.contains_key(name);
        role.shared().iter().all(|name| has(name))
            && role.public().iter().all(|pair| has(&public_name(pair)))
            && (role != Role::Writer || has(OWN))
    }
}
