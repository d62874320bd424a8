//! Bytes that look random and are the same in every run.

use std::sync::{Mutex, PoisonError};

use crate::env::Entropy;

/// The endless output of BLAKE3 for a seed. Equal seeds give equal bytes.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<blake3::OutputReader>);

impl SeededEntropy {
    /// The bytes that belong to this seed.
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("sfarc testing entropy");
        Self(Mutex::new(hasher.update(&seed.to_le_bytes()).finalize_xof()))
    }

    /// The next number below `bound`, which must not be 0.
    pub fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    }

    /// The next `len` bytes.
    pub fn bytes(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}
