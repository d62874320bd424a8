//! Sealing to a public key: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.

use aws_lc_rs::agreement::{PrivateKey, X25519};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

use super::CryptoError;
use super::keys::Secret;

/// What the key schedule is for.
const INFO: &[u8] = b"sfarc 2026-11-28 envelope";

/// A public key, to seal to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

/// A private key, to open with.
pub struct RecipientKey(HpkePrivateKey);

impl std::fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecipientKey(secret)")
    }
}

impl Recipient {
    /// The public key with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key that belongs to a private one.
    pub fn of(private: &Secret) -> Self {
        let key = PrivateKey::from_private_key(&X25519, &private[..]).expect("any 32 bytes are a private key");
        let public = key.compute_public_key().expect("every private key has a public one");
        Self(public.as_ref().try_into().expect("a public key has 32 bytes"))
    }

    /// Seals a key: the encapsulated key, and the sealed one. Fails if the public key is none.
    pub fn seal(&self, aad: &[u8], key: &[u8; 32]) -> Result<([u8; 32], [u8; 48]), CryptoError> {
        let (encapsulated, sealed) =
            SUITE.seal(INFO, aad, key, &HpkePublicKey(self.0.to_vec())).map_err(|_| CryptoError::Recipient)?;
        match (encapsulated.0.try_into(), sealed.try_into()) {
            (Ok(encapsulated), Ok(sealed)) => Ok((encapsulated, sealed)),
            _ => Err(CryptoError::Recipient),
        }
    }
}

impl RecipientKey {
    /// The private key with these bytes.
    pub fn new(private: &Secret) -> Self {
        Self(HpkePrivateKey::from(private.to_vec()))
    }

    /// Opens what was sealed to its public key.
    pub fn open(&self, aad: &[u8], encapsulated: &[u8; 32], sealed: &[u8; 48]) -> Result<Secret, CryptoError> {
        let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
        let opened = SUITE.open(&encapsulated, INFO, aad, sealed, &self.0).map_err(|_| CryptoError::ForeignKey)?;
        let opened = Zeroizing::new(opened);
        <[u8; 32]>::try_from(&opened[..]).map(Zeroizing::new).map_err(|_| CryptoError::ForeignKey)
    }
}
