//! Hashing many pieces at once names each as hashing it alone does; segment hashes merge to the hash of the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sfarc::crypto::lanes::KeyedHasher;
use sfarc::ids::ChunkId;
use sfarc_fuzz::{Choices, expand, sow};

const MAX_TOTAL: usize = 512 << 10;

fuzz_target!(
    init: sow([
        b"\x01\0\x04\0\x04\x01\x08\0\x10\0\0\0\0\x01".to_vec(),
        b"\x02\x80\0\x40\0\x04\0\x03\xff\x04\0\x04\0\x04\0\x04\0\x04\0\x04\0\x04\0\x04\0".to_vec(),
        [3; 200].to_vec(),
    ]),
    |input: &[u8]| {
        // The other unsafe code of the crate; under a sanitizer it does little, and must do no harm.
        sfarc::allocator::keep_small();
        sfarc::allocator::give_back();
        let mut choices = Choices(input);
        let key = [choices.byte(); 32];
        // What the pieces hold: a pattern without a period of 1024, or what the input says.
        let bytes = if key[0] & 1 == 0 {
            (0..MAX_TOTAL).map(|at| (at % 251) as u8).collect()
        } else {
            let mut bytes = expand(choices.0, MAX_TOTAL);
            bytes.resize(MAX_TOTAL, key[0]);
            bytes
        };
        let (mut rest, mut pieces) = (&bytes[..], Vec::new());
        while !choices.is_at_end() && pieces.len() < 400 {
            let len = choices.short().min(rest.len());
            let (piece, others) = rest.split_at(len);
            pieces.push(piece);
            rest = others;
        }
        let hasher = KeyedHasher::new(&key);
        let expected: Vec<ChunkId> = pieces.iter().map(|piece| hasher.id(piece)).collect();
        assert!(hasher.ids(&pieces) == expected, "lengths {:?}", pieces.iter().map(|p| p.len()).collect::<Vec<_>>());
        let first = pieces.first().copied().unwrap_or_default();
        assert_eq!(hasher.id(first).as_bytes()[..], blake3::keyed_hash(&key, first).as_bytes()[..16]);
    }
);
