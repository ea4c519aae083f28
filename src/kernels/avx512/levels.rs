//! Levels out of a row of a weight.

use std::arch::x86_64::*;

/// 64 levels of 8 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn eight(bytes: &[u8]) -> __m512i {
    if let Some(whole) = bytes.first_chunk::<64>() {
        // SAFETY: 64 bytes.
        return unsafe { _mm512_loadu_si512(whole.as_ptr().cast()) };
    }
    let mask = (1_u64 << bytes.len()) - 1;
    // SAFETY: only the bytes that are there are read.
    unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }
}

/// 64 levels of 4 bits, each in a byte: of 16 bytes the lower halves, then the upper ones, then those of the next 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn four(bytes: &[u8]) -> __m512i {
    let packed = match bytes.first_chunk::<32>() {
        // SAFETY: 32 bytes.
        Some(whole) => unsafe { _mm256_loadu_si256(whole.as_ptr().cast()) },
        // SAFETY: only the bytes that are there are read.
        None => unsafe { _mm256_maskz_loadu_epi8((1_u32 << bytes.len()) - 1, bytes.as_ptr().cast()) },
    };
    let twice =
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), _mm512_castsi256_si512(packed));
    let shifted = _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
    _mm512_and_si512(shifted, _mm512_set1_epi8(15))
}
