//! Headers of divided objects: packs and snapshots whose sections are not all for the same eyes.
//!
//! Each compartment has a key of its own, in an envelope: sealed under a key that both sides have, or to the public key of
//! those who may open it, by somebody who may not.

use super::FormatError;
use super::codec::Fields;
use super::sealed::{Cipher, Compartment, PREFIX_LEN, SealedKind, TAG_LEN, WHAT, Wrapping, decode_prefix, prefix};

/// Length of an envelope in bytes.
pub const ENVELOPE_LEN: usize = 116;

/// Length of the header of a divided object in bytes.
pub const HEADER_LEN: usize = PREFIX_LEN + Compartment::ALL.len() * ENVELOPE_LEN;

/// Length of what an envelope authenticates beside its key.
const AAD_LEN: usize = PREFIX_LEN + 1;

/// How the key in an envelope is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// Under a key that is derived from the root key; with this random nonce.
    Shared([u8; 12]),
    /// To a public key, by HPKE (RFC 9180); with this encapsulated key.
    Recipient([u8; 32]),
}

/// The key of a compartment, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Whose key it is.
    pub compartment: Compartment,
    /// How it is sealed.
    pub seal: Seal,
    /// The key, sealed.
    pub sealed_key: [u8; 32 + TAG_LEN],
    /// Commits to the key, so that a ciphertext opens under one key only.
    pub commitment: [u8; 32],
}

/// What the seal of an envelope authenticates: the object's first bytes, and whose key it is.
pub fn envelope_aad(object: &[u8; PREFIX_LEN], compartment: Compartment) -> [u8; AAD_LEN] {
    let mut bytes = [0; AAD_LEN];
    bytes[..PREFIX_LEN].copy_from_slice(object);
    bytes[PREFIX_LEN] = compartment as u8;
    bytes
}

impl Envelope {
    /// The stored bytes.
    pub fn encode(&self) -> [u8; ENVELOPE_LEN] {
        let mut bytes = [0; ENVELOPE_LEN];
        bytes[1] = self.compartment as u8;
        match &self.seal {
            Seal::Shared(nonce) => {
                bytes[0] = 1;
                bytes[4..16].copy_from_slice(nonce);
            }
            Seal::Recipient(encapsulated) => {
                bytes[0] = 2;
                bytes[4..36].copy_from_slice(encapsulated);
            }
        }
        bytes[36..84].copy_from_slice(&self.sealed_key);
        bytes[84..].copy_from_slice(&self.commitment);
        bytes
    }

    /// Reads an envelope.
    pub fn decode(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let (seal, compartment) = (fields.u8()?, fields.u8()?);
        let compartment = Compartment::ALL.into_iter().find(|known| *known as u8 == compartment);
        let compartment =
            compartment.ok_or(FormatError::malformed(WHAT, "an envelope is of an unknown compartment"))?;
        if fields.u16()? != 0 {
            return Err(FormatError::malformed(WHAT, "reserved bytes of an envelope are not zero"));
        }
        let bytes: [u8; 32] = fields.array()?;
        let seal = match (seal, bytes.split_first_chunk()) {
            (1, Some((nonce, [0, rest @ ..]))) if rest.iter().all(|byte| *byte == 0) => Seal::Shared(*nonce),
            (2, _) => Seal::Recipient(bytes),
            _ => return Err(FormatError::malformed(WHAT, "an envelope is sealed in an unknown way")),
        };
        Ok(Self { compartment, seal, sealed_key: fields.array()?, commitment: fields.array()? })
    }
}

/// The header of a divided object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DividedHeader {
    /// What the object is.
    pub kind: SealedKind,
    /// The cipher of shared envelopes and of all sections.
    pub cipher: Cipher,
    /// The keys, in the order of [`Compartment::ALL`].
    pub envelopes: [Envelope; Compartment::ALL.len()],
}

impl DividedHeader {
    /// The stored bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let (front, envelopes) = bytes.split_at_mut(PREFIX_LEN);
        front.copy_from_slice(&prefix(self.kind, Wrapping::Divided, self.cipher));
        for (place, envelope) in envelopes.chunks_mut(ENVELOPE_LEN).zip(&self.envelopes) {
            place.copy_from_slice(&envelope.encode());
        }
        bytes
    }

    /// Reads a header that must announce a divided object of this kind.
    pub fn decode(bytes: &[u8], kind: SealedKind) -> Result<Self, FormatError> {
        let mut fields = Fields::new(WHAT, bytes);
        let cipher = decode_prefix(&mut fields, kind, Wrapping::Divided)?;
        let mut next = || Envelope::decode(&mut fields);
        let envelopes = [next()?, next()?, next()?];
        if envelopes.iter().map(|envelope| envelope.compartment).ne(Compartment::ALL) {
            return Err(FormatError::malformed(WHAT, "its envelopes are not in their order"));
        }
        if matches!(envelopes[0].seal, Seal::Recipient(_)) {
            return Err(FormatError::malformed(WHAT, "its names are sealed to a recipient"));
        }
        Ok(Self { kind, cipher, envelopes })
    }
}

/// An envelope out of another pack, with the blocks of it that were moved into this one as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignEnvelope {
    /// The cipher of that pack.
    pub cipher: Cipher,
    /// The envelope.
    pub envelope: Envelope,
}

impl ForeignEnvelope {
    /// Length of the stored bytes.
    pub const LEN: usize = PREFIX_LEN + ENVELOPE_LEN;

    /// The stored bytes: the first bytes of that pack's header, then the envelope.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..PREFIX_LEN].copy_from_slice(&prefix(SealedKind::Pack, Wrapping::Divided, self.cipher));
        bytes[PREFIX_LEN..].copy_from_slice(&self.envelope.encode());
        bytes
    }

    /// Reads what `encode` writes.
    pub fn decode(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let cipher = decode_prefix(fields, SealedKind::Pack, Wrapping::Divided)?;
        Ok(Self { cipher, envelope: Envelope::decode(fields)? })
    }
}
