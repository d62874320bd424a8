//! Classic encrypted PEM (RFC 1421) as OpenSSL writes it: the key comes from the password by MD5, the cipher is AES-CBC.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use zeroize::{Zeroize, Zeroizing};

const BEGIN: &str = "-----BEGIN RSA PRIVATE KEY-----";
const END: &str = "-----END RSA PRIVATE KEY-----";
const BEGIN_OPEN: &str = "-----BEGIN PRIVATE KEY-----";

const IV_LEN: usize = 16;
const DIGEST_LEN: usize = 16;
/// Bytes of the IV that salt the password.
const SALT_LEN: usize = 8;
/// The longest key of a cipher, a whole number of digests.
const KEY_LEN: usize = 32;

/// Why a block does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PemFault {
    Malformed,
    NotEncrypted,
    Cipher,
    /// It stays closed: the password is wrong, or the bytes are.
    Closed,
}

/// An encrypted private key.
pub(super) struct Pem {
    cipher: &'static Algorithm,
    key_len: usize,
    iv: [u8; IV_LEN],
    encrypted: Zeroizing<Vec<u8>>,
}

impl Pem {
    /// Reads a text that is one block, and nothing else.
    pub(super) fn parse(text: &str) -> Result<Self, PemFault> {
        let mut lines = text.trim_ascii().lines().map(str::trim_ascii_end);
        match lines.next() {
            Some(BEGIN) => {}
            Some(BEGIN_OPEN) => return Err(PemFault::NotEncrypted),
            _ => return Err(PemFault::Malformed),
        }
        if lines.next() != Some("Proc-Type: 4,ENCRYPTED") {
            return Err(PemFault::NotEncrypted);
        }
        let info = lines.next().and_then(|line| line.strip_prefix("DEK-Info: ")).ok_or(PemFault::Malformed)?;
        let (cipher, iv) = info.split_once(',').ok_or(PemFault::Malformed)?;
        let (cipher, key_len) = match cipher {
            "AES-128-CBC" => (&AES_128, 16),
            "AES-192-CBC" => (&AES_192, 24),
            "AES-256-CBC" => (&AES_256, 32),
            _ => return Err(PemFault::Cipher),
        };
        let iv = parse_hex(iv).ok_or(PemFault::Malformed)?;
        if lines.next() != Some("") {
            return Err(PemFault::Malformed);
        }
        Ok(Self { cipher, key_len, iv, encrypted: parse_body(lines)? })
    }

    /// Decrypts the key. What comes out is one DER sequence, of whatever numbers.
    pub(super) fn open(mut self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemFault> {
        let key = derive(password, &self.iv[..SALT_LEN]);
        let key = UnboundCipherKey::new(self.cipher, &key[..self.key_len]).map_err(|_| PemFault::Cipher)?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| PemFault::Cipher)?;
        let iv = DecryptionContext::Iv128(FixedLength::from(self.iv));
        let len = key.decrypt(&mut self.encrypted, iv).map_err(|_| PemFault::Closed)?.len();
        self.encrypted[len..].zeroize();
        self.encrypted.truncate(len);
        // The padding of one wrong password in 256 looks right.
        if is_sequence(&self.encrypted) { Ok(self.encrypted) } else { Err(PemFault::Closed) }
    }
}

/// Reads base64 lines up to the last line.
fn parse_body<'a>(mut lines: impl Iterator<Item = &'a str>) -> Result<Zeroizing<Vec<u8>>, PemFault> {
    let mut body = String::new();
    loop {
        match lines.next() {
            Some(END) => break,
            Some(line) => body.push_str(line),
            None => return Err(PemFault::Malformed),
        }
    }
    if lines.next().is_some() {
        return Err(PemFault::Malformed);
    }
    STANDARD.decode(body).map(Zeroizing::new).map_err(|_| PemFault::Malformed)
}

fn parse_hex(hex: &str) -> Option<[u8; IV_LEN]> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect();
    bytes?.try_into().ok()
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round.
fn derive(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    for start in (0..KEY_LEN).step_by(DIGEST_LEN) {
        let (done, rest) = key.split_at_mut(start);
        let mut digest = Md5::new();
        digest.update(&done[start.saturating_sub(DIGEST_LEN)..]);
        digest.update(password);
        digest.update(salt);
        let mut digest = digest.finalize();
        rest[..DIGEST_LEN].copy_from_slice(&digest);
        digest.zeroize();
    }
    key
}

/// True if these bytes are one DER sequence: no key is so short that its length has fewer than two bytes.
fn is_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, 0x82, high, low, rest @ ..] => usize::from(u16::from_be_bytes([*high, *low])) == rest.len(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_encrypted_block_is_refused() {
        let iv = "00112233445566778899AABBCCDDEEFF";
        let block =
            |info: &str, body: &str| format!("{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: {info}\n\n{body}\n{END}\n");
        let aes = format!("AES-256-CBC,{iv}");
        assert!(Pem::parse(&block(&aes, "AAAA\nAAAA")).is_ok());
        assert!(Pem::parse(&block(&aes, "AAAA").replace('\n', "\r\n")).is_ok());
        for (text, fault) in [
            (String::new(), PemFault::Malformed),
            (format!("{BEGIN}\nAAAA\n{END}\n"), PemFault::NotEncrypted),
            (format!("{BEGIN_OPEN}\nAAAA\n-----END PRIVATE KEY-----\n"), PemFault::NotEncrypted),
            (block(&format!("DES-EDE3-CBC,{}", &iv[..16]), "AAAA"), PemFault::Cipher),
            (block("AES-256-CBC", "AAAA"), PemFault::Malformed),
            (block("AES-256-CBC,00", "AAAA"), PemFault::Malformed),
            (block(&aes.replace("00", "+0"), "AAAA"), PemFault::Malformed),
            (block(&aes, "AA*A"), PemFault::Malformed),
            (block(&aes, "AAA"), PemFault::Malformed),
            (block(&aes, "AAAA").replace("\n\n", "\n"), PemFault::Malformed),
            (block(&aes, "AAAA").replace(END, ""), PemFault::Malformed),
            (format!("{}x", block(&aes, "AAAA")), PemFault::Malformed),
        ] {
            assert_eq!(Pem::parse(&text).err(), Some(fault), "{text}");
        }
    }
}
