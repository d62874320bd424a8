//! Keys of roles: giving them away, opening with them, and which writers' signatures count.

use std::collections::BTreeMap;
use std::fmt;

use super::gc_log::{GcLog, tombstone};
use super::objects::{check_name, open_record};
use super::{RepoError, Repository};
use crate::backend::{Key, Kind};
use crate::crypto::CryptoError;
use crate::crypto::aead::preferred_cipher;
use crate::crypto::keys::{KeyRing, Secret};
use crate::crypto::role::{Role, Secrets};
use crate::crypto::signature::{Signer, Subject, is_signed};
use crate::format::config::{ConfigHead, Features};
use crate::format::record;
use crate::format::rolekey::{RoleKey, WriterRecord};
use crate::format::sealed::{PREFIX_LEN, SealedKind, Wrapping};
use crate::ids::ObjectId;
use crate::limits;
use crate::sync::locked;

/// How often writers are listed while others close some.
const LISTINGS: usize = 8;

/// Most snapshots of a closed writer: its record must be read with what a list may take.
const MOST_CLOSED: usize = limits::RECORD_LIST_BYTES / 64;

/// The entry of a role's key that says which features the repository has. Keys of earlier versions have none.
const FEATURES: &str = "features";

/// Packs that are looked at for traces of roles.
const LOOKED_AT: usize = 8;

/// A writer as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The name of its registration.
    pub id: ObjectId,
    /// What it says.
    pub record: WriterRecord,
}

impl Registration {
    /// What people call the writer by: its public key. It stays the same when the writer is closed.
    pub fn writer(&self) -> ObjectId {
        ObjectId::new(self.record.public)
    }
}

/// The writer that made a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// The public key that its signatures are verified with.
    pub public: [u8; 32],
    /// What its key was given to.
    pub label: String,
}

impl fmt::Display for Maker {
    /// The label, and the beginning of the public key: labels may be alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.label.is_empty() {
            write!(f, "{} ", self.label)?;
        }
        write!(f, "({})", ObjectId::new(self.public).short())
    }
}

/// The features of a repository, as an entry among the secrets of a role's key has them.
fn features_entry(features: Features) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..24].copy_from_slice(&features.to_bytes());
    entry
}

/// The keys of a role, and whether they were made for the features that the head names. Fails if the key is of another
/// repository, not whole, or of other features: other roles can seal a configuration, too.
pub(super) fn ring(key: &RoleKey, head: &ConfigHead) -> Result<(KeyRing, bool), RepoError> {
    if key.repo != *head.repo.as_bytes() {
        return Err(RepoError::WrongKey);
    }
    let role = Role::LIMITED.get(usize::from(key.role)).copied().ok_or(RepoError::WrongKey)?;
    let mut secrets: BTreeMap<String, Secret> =
        key.secrets.iter().map(|(name, secret)| (name.clone(), Secret::new(*secret))).collect();
    let made_for = secrets.remove(FEATURES);
    if !Secrets::are_complete(role, &secrets) {
        return Err(RepoError::WrongKey);
    }
    let are_other = made_for.as_ref().is_some_and(|made_for| **made_for != features_entry(head.features));
    if are_other || !head.features.has_roles() {
        return Err(RepoError::altered_features());
    }
    Ok((KeyRing::with_roles(Secrets::Some(role, secrets), preferred_cipher()), made_for.is_some()))
}

/// What the authority signs of a registration.
fn signed_bytes(record: &WriterRecord) -> Vec<u8> {
    record::encode(&WriterRecord { signature: [0; 64], ..record.clone() })
}

impl Repository {
    /// Fails unless the credential is of somebody who may add snapshots.
    pub fn require_snapshots(&self) -> Result<(), RepoError> {
        match self.keys.role() {
            Role::Reader | Role::Writer => Ok(()),
            Role::Maintainer | Role::Auditor => Err(CryptoError::CannotDo("add snapshots").into()),
        }
    }

    /// Fails if the credential is of a writer that the gc log says was closed.
    pub(super) fn require_open_writer(&self, log: &GcLog) -> Result<(), RepoError> {
        if self.keys.role() == Role::Writer && log.is_dead(&mark_of_closed(&self.keys.signer()?.public())) {
            return Err(RepoError::WriterClosed);
        }
        Ok(())
    }

    /// Fails unless the credential is of somebody who checks what is there.
    pub fn require_checks(&self) -> Result<(), RepoError> {
        match self.keys.role() {
            Role::Reader | Role::Maintainer => Ok(()),
            Role::Writer | Role::Auditor => Err(CryptoError::CannotDo("check the repository").into()),
        }
    }

    /// Fails unless the credential is of somebody who reads what is stored.
    pub fn require_reader(&self) -> Result<(), RepoError> {
        match self.keys.role() {
            Role::Reader => Ok(()),
            _ => Err(CryptoError::CannotDo("read what is stored").into()),
        }
    }

    /// Makes the key of a role. A writer is registered, so that its signatures count. Fails in a repository without
    /// roles, and for whoever is not a reader.
    pub fn export_key(&self, role: Role, label: &str) -> Result<RoleKey, RepoError> {
        self.require_reader()?;
        self.require_write()?;
        if !self.keys.has_roles() {
            let why = "this repository has no roles: make one with `sfarc init --roles`, and bring the snapshots there \
                       with `sfarc copy`";
            return Err(RepoError::KeySlot(why.to_owned()));
        }
        let number = Role::LIMITED.iter().position(|known| *known == role).and_then(|number| u8::try_from(number).ok());
        let own: Secret = Secret::new(self.env.random());
        let (Some(number), Some(secrets)) = (number, self.keys.secrets().grant(role, own.clone())) else {
            return Err(RepoError::KeySlot("a reader opens a key slot: see `sfarc key add`".to_owned()));
        };
        let created = self.env.clock.now();
        if role == Role::Writer {
            let public = Signer::new(&own).public();
            self.register(WriterRecord { public, label: label.to_owned(), created, closed: None, signature: [0; 64] })?;
        }
        let mut secrets: BTreeMap<String, [u8; 32]> =
            secrets.into_iter().map(|(name, secret)| (name, *secret)).collect();
        secrets.insert(FEATURES.to_owned(), features_entry(self.features));
        let secrets = secrets.into_iter().collect();
        Ok(RoleKey { repo: *self.id.as_bytes(), role: number, label: label.to_owned(), created, secrets })
    }

    fn register(&self, mut record: WriterRecord) -> Result<ObjectId, RepoError> {
        record.signature = self.keys.authority()?.sign(Subject::Writer, &self.id, &[&signed_bytes(&record)]);
        let object = self.seal_record(SealedKind::Writer, &record)?;
        let id = ObjectId::of(&object);
        self.backend.put(&Key::Writer(id), &object)?;
        Ok(id)
    }

    /// Fails if a repository without roles has writers: somebody who could seal a configuration, as all roles can, has
    /// taken its roles out of it. A key that was made for the features does not open then.
    pub(super) fn require_no_trace_of_roles(&self) -> Result<(), RepoError> {
        if self.are_features_bound || self.keys.has_roles() || self.backend.list_lately(Kind::Writers)?.is_empty() {
            return Ok(());
        }
        Err(RepoError::altered_features())
    }

    /// The same before something is removed: then packs are looked into, too.
    pub fn require_no_divided_packs(&self) -> Result<(), RepoError> {
        if self.are_features_bound || self.keys.has_roles() {
            return Ok(());
        }
        self.require_no_trace_of_roles()?;
        let mut packs = self.list(Kind::Packs)?;
        for _ in 0..LOOKED_AT.min(packs.len()) {
            // Whoever has altered the configuration can put packs, but does not know which are drawn.
            let drawn = u64::from_le_bytes(self.env.random()) % packs.len() as u64;
            let pack = packs.swap_remove(drawn as usize);
            let is_divided = |front: &[u8]| front.get(8) == Some(&(Wrapping::Divided as u8));
            match self.backend.get(&pack.key, Some(0..PREFIX_LEN as u64)).map_err(RepoError::from) {
                Ok(front) if is_divided(&front) => return Err(RepoError::altered_features()),
                // Gone, or shorter than a header: no pack of a repository with roles.
                Err(error) if !error.is_damage() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// All registrations, oldest first. Those that the authority has not signed are left out and counted.
    pub fn registrations(&self) -> Result<(Vec<Registration>, usize), RepoError> {
        for _ in 1..LISTINGS {
            // One that is gone was closed since it was listed: what says so was not in the listing.
            match self.listed_registrations() {
                Err(RepoError::Backend(error)) if error.is_not_found() => {}
                other => return other,
            }
        }
        self.listed_registrations()
    }

    fn listed_registrations(&self) -> Result<(Vec<Registration>, usize), RepoError> {
        let authority = self.keys.authority_public()?;
        let (mut found, mut forged) = (Vec::new(), 0);
        for listed in self.list(Kind::Writers)? {
            let Key::Writer(id) = listed.key else { continue };
            match self.read_registration(id) {
                Ok(record)
                    if is_signed(
                        &authority,
                        &record.signature,
                        Subject::Writer,
                        &self.id,
                        &[&signed_bytes(&record)],
                    ) =>
                {
                    found.push(Registration { id, record });
                }
                Err(RepoError::Backend(error)) if error.is_not_found() => return Err(error.into()),
                Err(error) if !error.is_damage() => return Err(error),
                _ => forged += 1,
            }
        }
        found.sort_by_key(|one| (one.record.created, one.id));
        Ok((found, forged))
    }

    /// Opens the stored bytes of a registration. It must be what its name says, and signed by the authority.
    pub fn open_registration(&self, id: ObjectId, object: &[u8]) -> Result<WriterRecord, RepoError> {
        let key = Key::Writer(id);
        check_name(&key, object)?;
        let record: WriterRecord = open_record(&self.keys, SealedKind::Writer, &key, object)?;
        let authority = self.keys.authority_public()?;
        if is_signed(&authority, &record.signature, Subject::Writer, &self.id, &[&signed_bytes(&record)]) {
            return Ok(record);
        }
        let why = "the authority of this repository has not signed it";
        Err(RepoError::Forged { object: key.to_string(), why })
    }

    /// True if the gc log says that a writer was closed.
    pub fn is_closed(log: &GcLog, record: &WriterRecord) -> bool {
        log.is_dead(&mark_of_closed(&record.public))
    }

    fn read_registration(&self, id: ObjectId) -> Result<WriterRecord, RepoError> {
        let key = Key::Writer(id);
        let object = self.backend.get(&key, None)?;
        check_name(&key, &object)?;
        open_record(&self.keys, SealedKind::Writer, &key, &object)
    }

    /// The writer with this public key, if a snapshot of its counts. Writers are listed once for each listing of
    /// snapshots, and again for a signer that was not among them.
    pub(super) fn counted(&self, signer: &[u8; 32], id: &ObjectId) -> Result<Option<Maker>, RepoError> {
        let mut known = locked(&self.writers);
        let is_known = known.as_ref().is_some_and(|known| known.iter().any(|writer| writer.public == *signer));
        if !is_known {
            let (found, _) = self.registrations()?;
            *known = Some(found.into_iter().map(|one| one.record).collect());
        }
        let known = known.as_deref().unwrap_or_default();
        let one = known.iter().find(|writer| writer.public == *signer).filter(|_| counts(known, signer, id));
        Ok(one.map(|writer| Maker { public: *signer, label: writer.label.clone() }))
    }

    /// Forgets which writers there are: they are listed again.
    pub(super) fn forget_writers(&self) {
        *locked(&self.writers) = None;
    }

    /// Lets the signature of a writer count no more, but for the snapshots of its that are there now.
    pub fn close_writer(&self, prefix: &str) -> Result<ObjectId, RepoError> {
        self.require_reader()?;
        let (found, _) = self.registrations()?;
        let mut matching = found.into_iter().filter(|one| one.writer().to_string().starts_with(prefix));
        let (Some(one), None) = (matching.next(), matching.next()) else {
            let why = format!("`{prefix}` is not the beginning of exactly one writer; see `sfarc key list`");
            return Err(RepoError::KeySlot(why));
        };
        if one.record.closed.is_some() {
            return Err(RepoError::KeySlot(format!("writer {} is closed already", one.writer().short())));
        }
        let mut closed = Vec::new();
        for id in self.snapshot_ids()? {
            // What is not right, or gone meanwhile, does not count in any case.
            match self.snapshot_signature(id) {
                Ok(signature) if signature.signer == one.record.public => closed.push(*id.as_bytes()),
                Err(error) if !error.is_damage() => return Err(error),
                _ => {}
            }
        }
        if closed.len() > MOST_CLOSED {
            let why = format!("a closed writer has at most {MOST_CLOSED} snapshots: forget some of its before");
            return Err(RepoError::KeySlot(why));
        }
        let mut log = self.gc_log()?;
        self.append_to_gc_log(&mut log, &[], &[tombstone(&mark_of_closed(&one.record.public))])?;
        let (id, writer) = (one.id, one.writer());
        self.register(WriterRecord { closed: Some(closed), ..one.record })?;
        self.backend.delete(&Key::Writer(id))?;
        Ok(writer)
    }
}

/// What a gc record calls dead so that a closed writer, which sees no registrations, learns of it: no snapshot has such a
/// name.
pub(crate) fn mark_of_closed(public: &[u8; 32]) -> ObjectId {
    ObjectId::of(public)
}

/// True if a snapshot with this signer counts: signed by a writer that is registered, and not closed before.
fn counts(writers: &[WriterRecord], signer: &[u8; 32], id: &ObjectId) -> bool {
    let mut of = writers.iter().filter(|writer| writer.public == *signer).peekable();
    of.peek().is_some() && of.all(|writer| writer.closed.as_ref().is_none_or(|ids| ids.contains(id.as_bytes())))
}

/// What shows that a key file was not damaged: some of its secrets are used only when it is too late to find out.
fn check_of(record: &[u8]) -> [u8; 4] {
    *blake3::hash(record).as_bytes().first_chunk().expect("hashes have 32 bytes")
}

/// The text of a key file of a role.
pub fn role_key_text(key: &RoleKey) -> String {
    use std::fmt::Write;
    let role = Role::LIMITED.get(usize::from(key.role)).map_or("unknown", |role| role.name());
    let mut text = format!("sfarc-{role}-1 ");
    let record = record::encode(key);
    record.iter().chain(&check_of(&record)).for_each(|byte| {
        let _ = write!(text, "{byte:02x}");
    });
    text.push('\n');
    text
}

/// Reads the text of a key file of a role; nothing if it is none, or not whole.
pub fn parse_role_key(text: &str) -> Option<RoleKey> {
    let (magic, digits) = text.trim_end().split_once(' ')?;
    let number = Role::LIMITED.iter().position(|role| magic == format!("sfarc-{role}-1"))?;
    let byte = |pair: &[u8]| match pair {
        [high, low] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
            u8::try_from(digit(high)? << 4 | digit(low)?).ok()
        }
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    let bytes = zeroize::Zeroizing::new(bytes?);
    let (record, check) = bytes.split_last_chunk()?;
    if *check != check_of(record) {
        return None;
    }
    let key: RoleKey = record::decode(record).ok()?;
    Some(key).filter(|key| usize::from(key.role) == number)
}
