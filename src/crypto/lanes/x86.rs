//! The BLAKE3 compression function in the lanes of AVX-512 and AVX2 registers.
//!
//! Written out with intrinsics because the compiler, given loops over arrays, spreads them over registers of
//! three widths (measured: half as fast).

use std::arch::x86_64::*;

use super::{Blocks, IV, Lanes, SCHEDULE};

macro_rules! kernel {
    ($feature:literal, $lanes:literal, $register:ty, $add:path, $xor:path, $set1:path) => {
        /// Compresses one block in each lane.
        #[target_feature(enable = $feature)]
        pub(in crate::crypto::lanes) fn compress(
            cv: &mut [Lanes<$lanes>; 8],
            blocks: &Blocks<'_, $lanes>,
            counter: &Lanes<$lanes>,
            len: &Lanes<$lanes>,
            flags: &Lanes<$lanes>,
        ) {
            let words = transpose(blocks);
            let zero = $set1(0);
            let mut v = [zero; 16];
            for i in 0..8 {
                v[i] = register(cv[i]);
            }
            for i in 0..4 {
                v[8 + i] = $set1(IV[i] as i32);
            }
            (v[12], v[14], v[15]) = (register(*counter), register(*len), register(*flags));
            macro_rules! mix {
                ($a:literal, $b:literal, $c:literal, $d:literal, $x:expr, $y:expr) => {
                    v[$a] = $add($add(v[$a], v[$b]), $x);
                    v[$d] = rotate::<16, 16>($xor(v[$d], v[$a]));
                    v[$c] = $add(v[$c], v[$d]);
                    v[$b] = rotate::<12, 20>($xor(v[$b], v[$c]));
                    v[$a] = $add($add(v[$a], v[$b]), $y);
                    v[$d] = rotate::<8, 24>($xor(v[$d], v[$a]));
                    v[$c] = $add(v[$c], v[$d]);
                    v[$b] = rotate::<7, 25>($xor(v[$b], v[$c]));
                };
            }
            for order in &SCHEDULE {
                let m = |i: usize| words[order[i]];
                mix!(0, 4, 8, 12, m(0), m(1));
                mix!(1, 5, 9, 13, m(2), m(3));
                mix!(2, 6, 10, 14, m(4), m(5));
                mix!(3, 7, 11, 15, m(6), m(7));
                mix!(0, 5, 10, 15, m(8), m(9));
                mix!(1, 6, 11, 12, m(10), m(11));
                mix!(2, 7, 8, 13, m(12), m(13));
                mix!(3, 4, 9, 14, m(14), m(15));
            }
            for i in 0..8 {
                cv[i] = lanes($xor(v[i], v[i + 8]));
            }
        }

        fn register(lanes: Lanes<$lanes>) -> $register {
            // SAFETY: both types are plain integers of the same total size; every bit pattern is valid for both.
            unsafe { std::mem::transmute::<Lanes<$lanes>, $register>(lanes) }
        }

        fn lanes(register: $register) -> Lanes<$lanes> {
            // SAFETY: as in `register`, the other way round.
            unsafe { std::mem::transmute::<$register, Lanes<$lanes>>(register) }
        }
    };
}

#[allow(unsafe_code, reason = "two transmutes between arrays of integers and registers, proven where they stand")]
pub(super) mod avx512 {
    use super::*;

    kernel!("avx512f", 16, __m512i, _mm512_add_epi32, _mm512_xor_si512, _mm512_set1_epi32);

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rotate<const RIGHT: i32, const LEFT: i32>(x: __m512i) -> __m512i {
        _mm512_ror_epi32::<RIGHT>(x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn block(bytes: &[u8; 64]) -> __m512i {
        // SAFETY: both types are 64 bytes of plain integers; every bit pattern is valid for both.
        unsafe { std::mem::transmute::<[u8; 64], __m512i>(*bytes) }
    }

    /// The sixteen words of all blocks: word `i` of each block in register `i`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn transpose(blocks: &Blocks<'_, 16>) -> [__m512i; 16] {
        let mut rows = [_mm512_setzero_si512(); 16];
        for (row, bytes) in rows.iter_mut().zip(blocks) {
            *row = block(bytes);
        }
        let mut pairs = rows;
        for i in (0..16).step_by(2) {
            pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        let mut quads = pairs;
        for i in (0..16).step_by(4) {
            quads[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
            quads[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
            quads[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            quads[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        // Register `4 * g + w` now has words w, w+4, w+8, w+12 of blocks 4g to 4g+3, in its four quarters.
        let mut words = quads;
        for w in 0..4 {
            let (a, b, c, d) = (quads[w], quads[4 + w], quads[8 + w], quads[12 + w]);
            let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
            let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
            words[w] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
            words[8 + w] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
            words[4 + w] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
            words[12 + w] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
        }
        words
    }
}

#[allow(unsafe_code, reason = "two transmutes between arrays of integers and registers, proven where they stand")]
pub(super) mod avx2 {
    use super::*;

    kernel!("avx2", 8, __m256i, _mm256_add_epi32, _mm256_xor_si256, _mm256_set1_epi32);

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate<const RIGHT: i32, const LEFT: i32>(x: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(x), _mm256_slli_epi32::<LEFT>(x))
    }

    /// The sixteen words of all blocks: word `i` of each block in register `i`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose(blocks: &Blocks<'_, 8>) -> [__m256i; 16] {
        let half = |from: usize| -> Lanes8 {
            blocks.map(|block| {
                let (words, _) = block[from..from + 32].as_chunks::<4>();
                register(std::array::from_fn(|i| u32::from_le_bytes(words[i])))
            })
        };
        let (low, high) = (transpose8(half(0)), transpose8(half(32)));
        std::array::from_fn(|i| if i < 8 { low[i] } else { high[i - 8] })
    }

    type Lanes8 = [__m256i; 8];

    #[inline]
    #[target_feature(enable = "avx2")]
    fn transpose8(rows: Lanes8) -> Lanes8 {
        let mut pairs = rows;
        for i in (0..8).step_by(2) {
            pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        let mut quads = pairs;
        for i in (0..8).step_by(4) {
            quads[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
            quads[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
            quads[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            quads[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        let mut words = quads;
        for w in 0..4 {
            words[w] = _mm256_permute2x128_si256::<0x20>(quads[w], quads[4 + w]);
            words[4 + w] = _mm256_permute2x128_si256::<0x31>(quads[w], quads[4 + w]);
        }
        words
    }
}
