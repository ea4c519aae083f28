//! Many queries of a head in AMX: the products of blocks with numbers in parts, the softmax in AVX-512.

use std::arch::x86_64::*;
use std::mem;
use std::ops::Range;

use super::block::{Memory, Queries};
use crate::kernels::amx::{DEPTH, Parts, SIDE, Sums, Tiles, split};
use crate::kernels::avx512::transpose;
use crate::kernels::vector::Vector;

/// Queries of a strip, and columns of a product: two tiles.
const STRIP: usize = 2 * SIDE;
/// Keys of a block: so many that it is worth loading and scaling sums, so few that the block stays in the second cache.
const KEYS: usize = 128;
/// The most queries of a task: each packs its keys and values, which are often in a page of memory each and waited for.
pub(super) const QUERIES: usize = 33 * STRIP;
/// Queries for which tiles are worth it.
pub(super) const LEAST_QUERIES: usize = 24;

/// Numbers as tiles read and write them.
#[repr(align(64))]
struct Aligned<T>(T);

/// What a block is computed in.
struct Room {
    /// `[strips, steps of size]`
    queries: Vec<Parts>,
    /// `[KEYS / STRIP, steps of size]`
    keys: Vec<Parts>,
    /// `[width / STRIP, KEYS / DEPTH]`
    values: Vec<Parts>,
    /// Of two strips.
    scores: [Aligned<[[f32; KEYS]; STRIP]>; 2],
    powers: [[Parts; KEYS / DEPTH]; 2],
}

/// Rows of numbers that are packed.
#[derive(Clone, Copy)]
struct Rows<'a> {
    numbers: &'a [f32],
    stride: usize,
    /// Rows, and numbers of each.
    count: usize,
    size: usize,
}

impl Rows<'_> {
    /// 16 numbers of a row, zeros where there are none.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn vector(&self, row: usize, first: usize) -> __m512 {
        if row >= self.count || first >= self.size {
            return _mm512_setzero_ps();
        }
        let numbers = &self.numbers[row * self.stride + first..][..SIDE.min(self.size - first)];
        let mask = ((1_u32 << numbers.len()) - 1) as u16;
        // SAFETY: only the numbers that are there are read.
        unsafe { _mm512_maskz_loadu_ps(mask, numbers.as_ptr()) }
    }

    /// Packs rows of the left side: `[count / STRIP, steps of size]`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn pack_left(&self, parts: &mut [Parts]) -> Magnitude {
        let (steps, mut magnitude) = (self.size.div_ceil(DEPTH), Magnitude::new());
        for row in 0..self.count {
            let (strip, tile, line) = (row / STRIP, row % STRIP / SIDE, row % SIDE);
            for step in 0..steps {
                let numbers = [self.vector(row, step * DEPTH), self.vector(row, step * DEPTH + SIDE)];
                magnitude.see(numbers);
                let split = split(numbers);
                for part in 0..3 {
                    parts[strip * steps + step][part][tile][line] = split[part];
                }
            }
        }
        magnitude
    }

    /// Packs rows that become columns of the right side: `[count / STRIP, steps of size]`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn pack_columns(&self, parts: &mut [Parts]) -> Magnitude {
        let (steps, mut magnitude) = (self.size.div_ceil(DEPTH), Magnitude::new());
        for first in (0..self.count.next_multiple_of(STRIP)).step_by(SIDE) {
            let (strip, tile) = (first / STRIP, first % STRIP / SIDE);
            for step in 0..steps {
                let mut halves = [[_mm512_setzero_si512(); SIDE]; 2];
                for row in 0..SIDE {
                    for half in 0..2 {
                        let numbers = self.vector(first + row, step * DEPTH + half * SIDE);
                        halves[half][row] = _mm512_castps_si512(numbers);
                    }
                }
                transpose(&mut halves[0]);
                transpose(&mut halves[1]);
                let place = &mut parts[strip * steps + step];
                for line in 0..SIDE {
                    let numbers =
                        [_mm512_castsi512_ps(halves[0][line]), _mm512_castsi512_ps(halves[1][line])];
                    magnitude.see(numbers);
                    let split = split(numbers);
                    for part in 0..3 {
                        place[part][tile][line] = split[part];
                    }
                }
            }
        }
        magnitude
    }

    /// Packs rows of the right side: `[size / STRIP, KEYS / DEPTH]`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn pack_right(&self, parts: &mut [Parts]) -> Magnitude {
        let mut magnitude = Magnitude::new();
        for step in 0..self.count.div_ceil(DEPTH) {
            for line in 0..SIDE {
                let row = step * DEPTH + line;
                for first in (0..self.size.next_multiple_of(STRIP)).step_by(SIDE) {
                    let (strip, tile) = (first / STRIP, first % STRIP / SIDE);
                    let numbers = [self.vector(row, first), self.vector(row + SIDE, first)];
                    magnitude.see(numbers);
                    let split = split(numbers);
                    for part in 0..3 {
                        parts[strip * (KEYS / DEPTH) + step][part][tile][line] = split[part];
                    }
                }
            }
        }
        magnitude
    }
}

/// The largest magnitudes so far, as bits, whose order is the same.
struct Magnitude(__m512i);

impl Magnitude {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new() -> Self {
        Self(_mm512_setzero_si512())
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn see(&mut self, numbers: [__m512; 2]) {
        for half in 0..2 {
            self.0 = _mm512_max_epu32(self.0, _mm512_castps_si512(_mm512_abs_ps(numbers[half])));
        }
    }

    /// Whether sums of products of such numbers are finite.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn is_tame(&self) -> bool {
        const LIMIT: f32 = (1_u64 << 56) as f32;
        _mm512_reduce_max_epu32(self.0) < LIMIT.to_bits()
    }
}

impl Queries {
    /// Attends to the keys from `first` to `end`.
    ///
    /// # Safety
    /// The machine has AMX, and AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    pub(super) unsafe fn attend_in_tiles(&mut self, memory: Memory<'_>, first: usize, end: usize) {
        let (count, size) = (self.visible.len(), self.size);
        let (strips, steps) = (count.div_ceil(STRIP), size.div_ceil(DEPTH));
        self.reset(strips * STRIP);
        // SAFETY: zeros are numbers.
        let nothing = unsafe { mem::zeroed::<Parts>() };
        let mut room = Room {
            queries: vec![nothing; strips * steps],
            keys: vec![nothing; KEYS / STRIP * steps],
            values: vec![nothing; self.width / STRIP * KEYS / DEPTH],
            scores: [const { Aligned([[0.0; KEYS]; STRIP]) }; 2],
            powers: [[nothing; KEYS / DEPTH]; 2],
        };
        let queries = Rows { numbers: &self.queries, stride: size, count, size };
        let are_tame = queries.pack_left(&mut room.queries).is_tame();
        // SAFETY: by this function's contract.
        let tiles = unsafe { Tiles::new() };
        let end = end.min(self.visible.iter().copied().max().unwrap_or(0));
        for start in (first..end).step_by(KEYS) {
            let keys = KEYS.min(end - start);
            let part = memory.from(start);
            let key_rows = Rows { numbers: part.keys, stride: part.key_stride, count: keys, size };
            let value_rows = Rows { numbers: part.values, stride: part.value_stride, count: keys, size };
            let key_magnitude = key_rows.pack_columns(&mut room.keys);
            let value_magnitude = value_rows.pack_right(&mut room.values);
            // SAFETY: by this function's contract.
            unsafe {
                if are_tame && key_magnitude.is_tame() && value_magnitude.is_tame() {
                    self.block(&tiles, &mut room, &(start..start + keys));
                } else {
                    // parts of what is infinite would be none
                    self.blocks::<__m512>(memory, start, start + keys);
                }
            }
        }
    }

    /// Keys of a block that some query of a strip sees.
    fn seen(&self, strip: usize, keys: &Range<usize>) -> usize {
        let visible = self.visible.chunks(STRIP).nth(strip).unwrap_or(&[]);
        visible.iter().copied().max().unwrap_or(0).saturating_sub(keys.start).min(keys.len())
    }

    /// Attends to a block of keys: scores of a strip, powers of the one before and values of the one before that in turns, so
    /// that tiles wait less for vectors, and vectors for tiles.
    ///
    /// # Safety
    /// As of [`Self::attend_in_tiles`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn block(&mut self, tiles: &Tiles, room: &mut Room, keys: &Range<usize>) {
        let strips = self.visible.len().div_ceil(STRIP);
        let mut seen = [0; 3];
        for time in 0..strips + 2 {
            seen = [self.seen(time, keys), seen[0], seen[1]];
            let columns = seen[0].div_ceil(DEPTH);
            let products = columns + if seen[2] > 0 { self.width / STRIP } else { 0 };
            let rows = if seen[1] > 0 { STRIP.min(self.visible.len() - (time - 1) * STRIP) } else { 0 };
            let mut done = 0;
            for product in 0..products.max(1) {
                // SAFETY: by this function's contract.
                unsafe {
                    if product < columns {
                        self.score_in_tiles(tiles, room, time, product);
                    } else if product < products {
                        self.gather_in_tiles(tiles, room, time - 2, (product - columns, seen[2]));
                    }
                    let end = rows * (product + 1) / products.max(1);
                    for row in done..end {
                        let query = (time - 1) * STRIP + row;
                        let visible = self.visible[query].saturating_sub(keys.start).min(keys.len());
                        self.weigh_in_parts(query, (visible, seen[1]), room);
                    }
                    done = end;
                }
            }
        }
    }

    /// The products of a strip and 32 keys.
    ///
    /// # Safety
    /// As of [`Self::attend_in_tiles`].
    #[inline]
    unsafe fn score_in_tiles(&self, tiles: &Tiles, room: &mut Room, strip: usize, column: usize) {
        let steps = self.size.div_ceil(DEPTH);
        let (left, right) = (&room.queries[strip * steps..][..steps], &room.keys[column * steps..][..steps]);
        let scores = &mut room.scores[strip % 2].0.as_flattened_mut()[column * STRIP..];
        let sums = Sums { first: scores.as_mut_ptr(), stride: KEYS };
        // SAFETY: by this function's contract; the scores have room for so many rows and columns.
        unsafe { tiles.multiply_parts(left, right, None, sums) };
    }

    /// Adds 32 numbers of the values, each times its power, to the results of a strip.
    ///
    /// # Safety
    /// As of [`Self::attend_in_tiles`].
    #[inline]
    unsafe fn gather_in_tiles(
        &mut self,
        tiles: &Tiles,
        room: &Room,
        strip: usize,
        (column, seen): (usize, usize),
    ) {
        let (steps, width) = (seen.div_ceil(DEPTH), self.width);
        let left = &room.powers[strip % 2][..steps];
        let right = &room.values[column * (KEYS / DEPTH)..][..steps];
        let results =
            &mut self.results[self.first_result + strip * STRIP * width..][..STRIP * width][column * STRIP..];
        let sums = Sums { first: results.as_mut_ptr(), stride: width };
        // SAFETY: by this function's contract; the results have room for whole strips.
        unsafe { tiles.multiply_parts(left, right, Some(sums), sums) };
    }

    /// As [`Self::weigh`]: makes parts of powers.
    ///
    /// # Safety
    /// As of [`Self::attend_in_tiles`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn weigh_in_parts(&mut self, query: usize, (visible, seen): (usize, usize), room: &mut Room) {
        let (strip, row) = (query / STRIP % 2, query % STRIP);
        let scores = &mut room.scores[strip].0[row][..seen.next_multiple_of(DEPTH)];
        if visible == 0 {
            for parts in room.powers[strip].iter_mut().take(seen.div_ceil(DEPTH)) {
                for part in 0..3 {
                    parts[part][row / SIDE][row % SIDE] = _mm512_setzero_si512();
                }
            }
            return;
        }
        scores[visible..].fill(f32::NEG_INFINITY);
        // SAFETY: by this function's contract.
        unsafe {
            let mut block = _mm512_set1_ps(f32::NEG_INFINITY);
            for part in scores.chunks_exact(SIDE) {
                block = _mm512_max_ps(block, _mm512_loadu_ps(part.as_ptr()));
            }
            self.raise::<__m512>(query, block);
            let less = _mm512_set1_ps(-self.largest[query]);
            let sums = self.sums[query * SIDE..][..SIDE].as_mut_ptr();
            let mut sum = _mm512_loadu_ps(sums);
            for (numbers, parts) in scores.chunks_exact(DEPTH).zip(&mut room.powers[strip]) {
                let mut halves = [_mm512_setzero_ps(); 2];
                for half in 0..2 {
                    let score = _mm512_loadu_ps(numbers[half * SIDE..].as_ptr());
                    halves[half] = _mm512_add_ps(score, less).exponential();
                    sum = _mm512_add_ps(sum, halves[half]);
                }
                let split = split(halves);
                for part in 0..3 {
                    parts[part][row / SIDE][row % SIDE] = split[part];
                }
            }
            _mm512_storeu_ps(sums, sum);
        }
    }
}
