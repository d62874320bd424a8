//! One AEAD key, whichever cipher it is for.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::CryptoError;
use crate::format::sealed::{Cipher, TAG_LEN};

/// The cipher that new objects get: AES-256-GCM where the processor computes it, else ChaCha20-Poly1305.
pub fn preferred_cipher() -> Cipher {
    #[cfg(target_arch = "x86_64")]
    let fast = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let fast = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let fast = false;
    if fast { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 }
}

/// Reads a cipher's number.
pub fn cipher_from(number: u8) -> Option<Cipher> {
    [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305].into_iter().find(|cipher| *cipher as u8 == number)
}

/// A key that seals and opens. The caller sees to it that no nonce is used twice under a key.
pub struct AeadKey(LessSafeKey);

impl std::fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AeadKey(secret)")
    }
}

impl AeadKey {
    /// The key with these bytes.
    pub fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        let algorithm = match cipher {
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        Self(LessSafeKey::new(UnboundKey::new(algorithm, key).expect("both ciphers take 32 bytes of key")))
    }

    /// Encrypts `bytes[from..]` where they lie and appends the tag.
    pub fn seal(&self, nonce: [u8; 12], associated: &[u8], bytes: &mut Vec<u8>, from: usize) {
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut bytes[from..])
            .expect("a section is far below the cipher's length limit");
        bytes.extend_from_slice(tag.as_ref());
    }

    /// Decrypts `sealed` (ciphertext and tag) where it lies; the plaintext is its front.
    pub fn open<'a>(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], CryptoError> {
        if sealed.len() < TAG_LEN {
            return Err(CryptoError::Broken);
        }
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(associated), sealed)
            .map_err(|_| CryptoError::Broken)
    }
}
