//! Argon2id (RFC 9106): from a passphrase to a key.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::CryptoError;
use super::keys::{Secret, passphrase_key};
use crate::format::keyslot::PassphraseCost;
use crate::ids::RepoId;

/// The key that a passphrase gives in this repository. Takes a tenth of a second at the recommended cost, so it
/// is to be called once a process.
pub fn derive(passphrase: &[u8], salt: &RepoId, cost: &PassphraseCost) -> Result<Secret, CryptoError> {
    let failed = |error: argon2::Error| CryptoError::Passphrase(error.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(failed)?;
    let mut output = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt.as_bytes(), &mut output[..])
        .map_err(failed)?;
    Ok(passphrase_key(&output))
}
