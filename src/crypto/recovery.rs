//! Keys of key slots in files of `age` (<https://age-encryption.org/v1>), for keys that lie in a safe.

use age::x25519::{Identity, Recipient};

use super::keys::Secret;

/// Seals the key of a slot to a recipient (`age1...`). Fails with what is wrong with the recipient.
pub fn seal(recipient: &str, key: &Secret) -> Result<Vec<u8>, String> {
    let recipient: Recipient =
        recipient.trim().parse().map_err(|why| format!("what is given is no recipient of age: {why}"))?;
    age::encrypt(&recipient, &key[..]).map_err(|error| format!("the key cannot be sealed to the recipient: {error}"))
}

/// Opens what is sealed to the recipient of an identity (`AGE-SECRET-KEY-1...`); nothing if it is sealed to others.
pub fn open(file: &[u8], identity: &str) -> Option<Secret> {
    let identity: Identity = identity.trim().parse().ok()?;
    let opened = zeroize::Zeroizing::new(age::decrypt(&identity, file).ok()?);
    <[u8; 32]>::try_from(&opened[..]).ok().map(Secret::new)
}
