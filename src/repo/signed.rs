//! Snapshots and gc records of repositories with roles: divided, and signed.

use super::objects::{check_name, crypto_error, format_error, open_header, open_record};
use super::roles::Maker;
use super::{RepoError, Repository};
use crate::backend::Key;
use crate::crypto::CryptoError;
use crate::crypto::role::Role;
use crate::crypto::seal::Opener;
use crate::crypto::signature::{Subject, is_signed};
use crate::format::divided;
use crate::format::manifest::{GcRecord, Manifest};
use crate::format::record;
use crate::format::sealed::{SealedKind, Section};
use crate::format::signature::{LENS, LogSignature, Roots, SnapshotParts, SnapshotSignature};
use crate::ids::ObjectId;
use crate::sync::locked;

fn forged(key: &Key, why: &'static str) -> RepoError {
    RepoError::Forged { object: key.to_string(), why }
}

/// Who has made a section of a snapshot, and the rest of it.
fn split_signer<'a>(key: &Key, plain: &'a [u8]) -> Result<([u8; 32], &'a [u8]), RepoError> {
    let short = || RepoError::Damaged { object: key.to_string(), why: "a section is too short".to_owned() };
    plain.split_first_chunk().map(|(signer, rest)| (*signer, rest)).ok_or_else(short)
}

impl Repository {
    /// The stored bytes of a manifest.
    pub fn seal_manifest(&self, manifest: &Manifest) -> Result<Vec<u8>, RepoError> {
        if !self.keys.has_roles() {
            return self.seal_record(SealedKind::Snapshot, manifest);
        }
        let sealer = self.keys.sealer(SealedKind::Snapshot, &*self.env.entropy)?;
        let mut object = sealer.header().to_vec();
        object.extend([0; LENS]);
        let mut append = |section, plain: Vec<u8>, at: usize| {
            let from = object.len();
            sealer.append(section, &plain, &mut object);
            let len = u32::try_from(object.len() - from).map_err(|_| RepoError::ManifestTooLarge)?;
            object[at..at + 4].copy_from_slice(&len.to_le_bytes());
            Ok::<_, RepoError>(())
        };
        // Who signs it stands in each section: nobody else can take one for his own.
        let signer = self.keys.signer()?;
        let own = |plain: Vec<u8>| [&signer.public()[..], &plain].concat();
        append(Section::Record, own(self.encode(SealedKind::Snapshot, manifest)), divided::HEADER_LEN)?;
        let roots = self.encode(SealedKind::Snapshot, &Roots::from(manifest));
        append(Section::Roots, own(roots), divided::HEADER_LEN + 4)?;
        let previous = *locked(&self.made_last);
        let (public, previous) = (signer.public(), previous.map_or([0; 32], |id| *id.as_bytes()));
        let hash = blake3::hash(&object);
        let signature = signer.sign(Subject::Snapshot, &self.id, &[&public, &previous, hash.as_bytes()]);
        let signature = SnapshotSignature { signer: public, previous, signature };
        sealer.append(Section::Signature, &record::encode(&signature), &mut object);
        Ok(object)
    }

    /// Notes the snapshot that this process made last: the next one names it.
    pub(super) fn has_made(&self, id: ObjectId) {
        *locked(&self.made_last) = Some(id);
    }

    /// Opens the stored bytes of a snapshot. It must be signed by who may have made it: what somebody has sealed who
    /// cannot read it by a writer, everything else by the authority. Says which writer that was.
    pub(super) fn open_manifest(
        &self,
        id: ObjectId,
        key: &Key,
        object: &[u8],
    ) -> Result<(Manifest, Option<Maker>), RepoError> {
        if !self.keys.has_roles() {
            return Ok((open_record(&self.keys, SealedKind::Snapshot, key, object)?, None));
        }
        let opener = open_header(&self.keys, SealedKind::Snapshot, key, object)?;
        let parts = SnapshotParts::of(object).map_err(format_error(key))?;
        let plain = opener.open_vec(Section::Record, 0, parts.record.to_vec()).map_err(crypto_error(key))?;
        let (signer, plain) = split_signer(key, &plain)?;
        let manifest: Manifest = record::decode(plain).map_err(format_error(key))?;
        if self.signature_in(key, &opener, &parts)?.signer != signer {
            return Err(forged(key, "another has signed it than has made it"));
        }
        if !opener.is_by_stranger(Section::Record) {
            return if signer == self.keys.authority_public()? {
                Ok((manifest, None))
            } else {
                Err(forged(key, "who has signed it is no reader of this repository"))
            };
        }
        let maker = self.counted(&signer, &id)?;
        let maker = maker.ok_or_else(|| forged(key, "who has signed it is no writer of this repository"))?;
        if manifest.is_own() {
            return Err(forged(key, "it is a record of the program, and a writer makes none"));
        }
        Ok((manifest, Some(maker)))
    }

    /// What a collector needs to know of a snapshot, committed or pending.
    pub fn read_roots(&self, key: &Key) -> Result<Roots, RepoError> {
        let object = self.backend.get(key, None)?;
        check_name(key, &object)?;
        self.open_roots(key, &object)
    }

    /// The same, of its stored bytes.
    pub fn open_roots(&self, key: &Key, object: &[u8]) -> Result<Roots, RepoError> {
        if !self.keys.has_roles() {
            let manifest: Manifest = open_record(&self.keys, SealedKind::Snapshot, key, object)?;
            return Ok(Roots::from(&manifest));
        }
        let opener = open_header(&self.keys, SealedKind::Snapshot, key, object)?;
        let parts = SnapshotParts::of(object).map_err(format_error(key))?;
        let plain = opener.open_vec(Section::Roots, 0, parts.roots.to_vec()).map_err(crypto_error(key))?;
        let (signer, plain) = split_signer(key, &plain)?;
        let signature = opener.open_vec(Section::Signature, 0, parts.signature.to_vec()).map_err(crypto_error(key))?;
        let signature: SnapshotSignature = record::decode(&signature).map_err(format_error(key))?;
        if signature.signer != signer {
            return Err(forged(key, "its roots are out of the snapshot of another"));
        }
        record::decode(plain).map_err(format_error(key))
    }

    /// Who has made a snapshot, in a repository with roles. Fails if the signature is not right.
    pub fn snapshot_signature(&self, id: ObjectId) -> Result<SnapshotSignature, RepoError> {
        self.open_signature(id, &self.stored_snapshot(id)?)
    }

    /// The same, of its stored bytes.
    pub fn open_signature(&self, id: ObjectId, object: &[u8]) -> Result<SnapshotSignature, RepoError> {
        let key = Key::Snapshot(id);
        let opener = open_header(&self.keys, SealedKind::Snapshot, &key, object)?;
        let parts = SnapshotParts::of(object).map_err(format_error(key))?;
        self.signature_in(&key, &opener, &parts)
    }

    /// The signature among the sections of a snapshot. Fails if it is not right.
    fn signature_in(
        &self,
        key: &Key,
        opener: &Opener,
        parts: &SnapshotParts<'_>,
    ) -> Result<SnapshotSignature, RepoError> {
        let plain = opener.open_vec(Section::Signature, 0, parts.signature.to_vec()).map_err(crypto_error(key))?;
        let found: SnapshotSignature = record::decode(&plain).map_err(format_error(key))?;
        let hash = blake3::hash(parts.signed);
        let message = [&found.signer[..], &found.previous, hash.as_bytes()];
        if is_signed(&found.signer, &found.signature, Subject::Snapshot, &self.id, &message) {
            Ok(found)
        } else {
            Err(forged(key, "its signature is not right"))
        }
    }

    /// True if somebody may make snapshots: a writer that counts, or the authority.
    pub fn may_make(&self, signer: &[u8; 32], id: &ObjectId) -> Result<bool, RepoError> {
        Ok(*signer == self.keys.authority_public()? || self.counted(signer, id)?.is_some())
    }

    /// The stored bytes of a gc record. Fails for roles that decide nothing.
    pub(super) fn seal_gc_record(&self, record: &GcRecord) -> Result<Vec<u8>, RepoError> {
        if !self.keys.has_roles() {
            return self.seal_record(SealedKind::Gc, record);
        }
        let signer = self.keys.log_signer()?;
        let sealer = self.keys.sealer(SealedKind::Gc, &*self.env.entropy)?;
        let mut object = sealer.seal_record(&self.encode(SealedKind::Gc, record));
        let signature = signer.sign(Subject::Log, &self.id, &[blake3::hash(&object).as_bytes()]);
        sealer.append(Section::Signature, &record::encode(&LogSignature { signature }), &mut object);
        Ok(object)
    }

    /// Opens the stored bytes of a gc record. Fails with `Forged` if nobody has signed it who may decide.
    pub fn open_gc_record(&self, key: &Key, object: &[u8]) -> Result<GcRecord, RepoError> {
        if !self.keys.has_roles() {
            return open_record(&self.keys, SealedKind::Gc, key, object);
        }
        let short =
            || RepoError::Damaged { object: key.to_string(), why: "it is shorter than its signature".to_owned() };
        let end = object.len().checked_sub(LogSignature::SEALED_LEN).ok_or_else(short)?;
        let (signed, sealed) = object.split_at(end);
        let opener = open_header(&self.keys, SealedKind::Gc, key, object)?;
        let plain = opener.open_vec(Section::Signature, 0, sealed.to_vec()).map_err(crypto_error(key))?;
        let found: LogSignature = record::decode(&plain).map_err(format_error(key))?;
        // What has rotted does not open: that is damage. What opens and is signed by nobody who may was made so.
        let record = open_record(&self.keys, SealedKind::Gc, key, signed)?;
        let hash = blake3::hash(signed);
        if !is_signed(&self.keys.log_public()?, &found.signature, Subject::Log, &self.id, &[hash.as_bytes()]) {
            return Err(forged(key, "who has signed it may not decide what is forgotten or collected"));
        }
        Ok(record)
    }

    /// Fails unless this credential decides what is forgotten and collected.
    pub fn require_decision(&self) -> Result<(), RepoError> {
        if self.decides() { Ok(()) } else { Err(CryptoError::CannotDo("forget snapshots or collect garbage").into()) }
    }

    /// True if this credential decides what is forgotten and collected.
    pub fn decides(&self) -> bool {
        matches!(self.keys.role(), Role::Reader | Role::Maintainer)
    }
}
