//! Some queries of a head and a block of its keys: A. Rabe, C. Staats, "Self-attention does not need O(n²) memory", and T. Dao
//! et al., "FlashAttention", for how parts of a softmax are put together.

use crate::kernels::vector::Vector;

/// Keys that are looked at at a time: their scores and the block of keys stay in the first cache.
pub(super) const KEYS: usize = 64;
/// Queries of a tile: with two vectors of sums each they leave registers for what is multiplied.
const ROWS: usize = 6;
/// The most numbers of a vector.
pub(super) const LANES: usize = 16;
/// Numbers that tiles take at a time, whatever the instructions.
pub(super) const WIDTH: usize = 32;
/// The most queries of a task: their scores stay in the caches.
pub(super) const QUERIES: usize = 192;

/// Keys and values of a head.
#[derive(Clone, Copy)]
pub(super) struct Memory<'a> {
    /// From the first key on, `key_stride` numbers apart.
    pub(super) keys: &'a [f32],
    pub(super) key_stride: usize,
    pub(super) values: &'a [f32],
    pub(super) value_stride: usize,
}

impl Memory<'_> {
    /// From a later key on.
    pub(super) fn from(self, key: usize) -> Self {
        Self {
            keys: &self.keys[key * self.key_stride..],
            values: &self.values[key * self.value_stride..],
            ..self
        }
    }
}

/// Queries with what was found so far, and room to compute in.
pub(super) struct Queries {
    /// Numbers of a head.
    pub(super) size: usize,
    /// The same, filled up to what tiles take at a time.
    pub(super) width: usize,
    /// `[count, size]`, times the scale.
    pub(super) queries: Vec<f32>,
    /// How many of all keys each query sees: a later one at least as many.
    pub(super) visible: Vec<usize>,
    /// The largest score of each query so far.
    pub(super) largest: Vec<f32>,
    /// The sums of the powers of each query so far: `[count, LANES]`
    pub(super) sums: Vec<f32>,
    /// `[count, width]`: values so far, each times its power. What is in front of them makes them begin with a line of the cache.
    pub(super) results: Vec<f32>,
    pub(super) first_result: usize,
    /// `[count, KEYS]`
    scores: Vec<f32>,
    /// A block of keys, turned: `[size, KEYS]`
    turned: Vec<f32>,
    /// A block of values, where they do not stand together: `[KEYS, width]`
    gathered: Vec<f32>,
}

impl Queries {
    /// Room for so many queries.
    pub(super) fn new(size: usize, count: usize) -> Self {
        let (queries, visible) = (Vec::with_capacity(count * size), Vec::with_capacity(count));
        Self {
            size,
            width: size.next_multiple_of(WIDTH),
            queries,
            visible,
            largest: Vec::new(),
            sums: Vec::new(),
            results: Vec::new(),
            first_result: 0,
            scores: Vec::new(),
            turned: vec![0.0; size * KEYS],
            gathered: Vec::new(),
        }
    }

    /// Adds a query that sees the first `visible` keys, at least as many as the one before.
    pub(super) fn push(&mut self, query: &[f32], scale: f32, visible: usize) {
        self.queries.extend(query[..self.size].iter().map(|number| number * scale));
        self.visible.push(visible);
    }

    /// What was found for a query: its largest score, the sum of its powers, and its values, not yet divided by that.
    pub(super) fn found(&self, query: usize) -> (f32, f32, &[f32]) {
        let sum = self.sums[query * LANES..][..LANES].iter().sum();
        (self.largest[query], sum, &self.results[self.first_result + query * self.width..][..self.size])
    }

    /// Attends to the keys from `first` to `end`.
    ///
    /// # Safety
    /// The machine has the instructions of `V`.
    #[inline(always)]
    pub(super) unsafe fn attend<V: Vector>(&mut self, memory: Memory<'_>, first: usize, end: usize) {
        self.reset(self.visible.len());
        let end = end.min(self.visible.iter().copied().max().unwrap_or(0));
        // SAFETY: by this function's contract.
        unsafe { self.blocks::<V>(memory, first, end) };
    }

    /// Forgets what was found, and makes room for results of so many queries.
    pub(super) fn reset(&mut self, count: usize) {
        self.largest = vec![f32::NEG_INFINITY; count];
        self.sums = vec![0.0; count * LANES];
        self.results = vec![0.0; count * self.width + LANES];
        self.first_result = self.results.as_ptr().align_offset(LANES * size_of::<f32>()).min(LANES);
    }

    /// Attends to keys that some query sees, in addition to what was found so far.
    ///
    /// # Safety
    /// As of [`Self::attend`].
    #[inline(always)]
    pub(super) unsafe fn blocks<V: Vector>(&mut self, memory: Memory<'_>, first: usize, end: usize) {
        let count = self.visible.len();
        self.scores.resize(count * KEYS, 0.0);
        for start in (first..end).step_by(KEYS) {
            let keys = KEYS.min(end - start);
            let part = memory.from(start);
            // later queries see more
            let unseeing = self.visible.partition_point(|visible| *visible <= start);
            // SAFETY: by this function's contract.
            unsafe {
                self.turn::<V>(part, keys);
                self.score::<V>(unseeing, keys);
                for query in unseeing..count {
                    self.weigh::<V>(query, self.visible[query].saturating_sub(start).min(keys));
                }
                self.gather::<V>(part, unseeing, keys);
            }
        }
    }

    /// Makes columns of the keys.
    #[inline(always)]
    unsafe fn turn<V: Vector>(&mut self, memory: Memory<'_>, keys: usize) {
        let stride = memory.key_stride;
        let [whole_keys, whole_numbers] = [keys, self.size].map(|count| count / V::LANES * V::LANES);
        for key in (0..whole_keys).step_by(V::LANES) {
            for number in (0..whole_numbers).step_by(V::LANES) {
                let source = &memory.keys[key * stride + number..][..(V::LANES - 1) * stride + V::LANES];
                let target = &mut self.turned[number * KEYS + key..][..(V::LANES - 1) * KEYS + V::LANES];
                // SAFETY: `LANES` rows of `LANES` numbers on both sides, as the slices' bounds say.
                unsafe { V::transpose(source.as_ptr(), stride, target.as_mut_ptr(), KEYS) };
            }
        }
        // the rest, and zeros up to the end of a tile
        for key in 0..keys.next_multiple_of(WIDTH).min(KEYS) {
            let first = if key < whole_keys { whole_numbers } else { 0 };
            let source = (key < keys).then(|| &memory.keys[key * stride..][..self.size]);
            for (number, place) in self.turned[key..].iter_mut().step_by(KEYS).enumerate().skip(first) {
                *place = source.map_or(0.0, |source| source[number]);
            }
        }
    }

    /// The products of keys and the queries from one on.
    #[inline(always)]
    unsafe fn score<V: Vector>(&mut self, query: usize, keys: usize) {
        let (count, size) = (self.visible.len(), self.size);
        for key in (0..keys).step_by(2 * V::LANES) {
            let right = Side { numbers: &self.turned[key..], stride: KEYS };
            let left = Side { numbers: &self.queries[query * size..], stride: size };
            let product = Product { left, right, depth: size, start: Start::Nothing };
            // SAFETY: by this function's contract.
            unsafe { product.tiles::<V>(count - query, &mut self.scores[query * KEYS + key..], KEYS) };
        }
    }

    /// Makes powers of a query's scores, those beyond what it sees zero, and adds them up.
    #[inline(always)]
    unsafe fn weigh<V: Vector>(&mut self, query: usize, visible: usize) {
        let scores = &mut self.scores[query * KEYS..][..KEYS];
        scores[visible..].fill(f32::NEG_INFINITY);
        if visible == 0 {
            return scores.fill(0.0);
        }
        // SAFETY: by this function's contract; the lanes of a vector divide all of these lengths.
        unsafe {
            let mut block = V::splat(f32::NEG_INFINITY);
            for part in scores.chunks_exact(V::LANES) {
                block = block.larger(V::load(part.as_ptr()));
            }
            self.raise::<V>(query, block);
            let less = V::splat(-self.largest[query]);
            let sums = &mut self.sums[query * LANES..][..LANES];
            let mut sum = V::load(sums.as_ptr());
            for part in self.scores[query * KEYS..][..KEYS].chunks_exact_mut(V::LANES) {
                let power = V::load(part.as_ptr()).add(less).exponential();
                power.store(part.as_mut_ptr());
                sum = sum.add(power);
            }
            sum.store(sums.as_mut_ptr());
        }
    }

    /// Where there are larger scores than before, scales what was found for a query to the largest.
    ///
    /// # Safety
    /// As of [`Self::attend`].
    #[inline(always)]
    pub(super) unsafe fn raise<V: Vector>(&mut self, query: usize, scores: V) {
        let before = self.largest[query];
        // SAFETY: by this function's contract; the lanes of a vector divide the lengths.
        unsafe {
            if !scores.any_above(V::splat(before)) {
                return;
            }
            let largest = before.max(largest::<V>(scores));
            let factor = V::splat((before - largest).exp());
            let results = &mut self.results[self.first_result + query * self.width..][..self.width];
            let sums = &mut self.sums[query * LANES..][..LANES];
            for part in results.chunks_exact_mut(V::LANES).chain(sums.chunks_exact_mut(V::LANES)) {
                V::load(part.as_ptr()).multiply(factor).store(part.as_mut_ptr());
            }
            self.largest[query] = largest;
        }
    }

    /// Adds the values, each times its power, for the queries from one on.
    #[inline(always)]
    unsafe fn gather<V: Vector>(&mut self, memory: Memory<'_>, query: usize, keys: usize) {
        let (count, size, width) = (self.visible.len(), self.size, self.width);
        let mut values = Side { numbers: memory.values, stride: memory.value_stride };
        if width != size || memory.value_stride > size && count > ROWS {
            // rows that are a multiple of a page apart would take the same few places of the first cache
            self.gathered.resize(KEYS * width, 0.0);
            let rows = memory.values.chunks(memory.value_stride).take(keys);
            for (place, row) in self.gathered.chunks_exact_mut(width).zip(rows) {
                place[..size].copy_from_slice(&row[..size]);
            }
            values = Side { numbers: &self.gathered, stride: width };
        }
        for number in (0..width).step_by(2 * V::LANES) {
            let right = Side { numbers: &values.numbers[number..], stride: values.stride };
            let left = Side { numbers: &self.scores[query * KEYS..], stride: KEYS };
            let product = Product { left, right, depth: keys, start: Start::There };
            let out = &mut self.results[self.first_result + query * width + number..];
            // SAFETY: by this function's contract.
            unsafe { product.tiles::<V>(count - query, out, width) };
        }
    }
}

/// Rows of numbers.
#[derive(Clone, Copy)]
struct Side<'a> {
    numbers: &'a [f32],
    stride: usize,
}

/// `left [rows, depth]` times `right [depth, ..]`.
#[derive(Clone, Copy)]
struct Product<'a> {
    left: Side<'a>,
    right: Side<'a>,
    depth: usize,
    start: Start,
}

/// What a product is added to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Nothing,
    There,
}

impl Product<'_> {
    /// Two vectors of `count` rows of results, `stride` apart.
    #[inline(always)]
    unsafe fn tiles<V: Vector>(self, count: usize, out: &mut [f32], stride: usize) {
        for first in (0..count).step_by(ROWS) {
            let left = Side { numbers: &self.left.numbers[first * self.left.stride..], ..self.left };
            let (tile, out) = (Self { left, ..self }, &mut out[first * stride..]);
            // SAFETY: by this function's contract.
            unsafe {
                match count - first {
                    1 => tile.rows::<V, 1>(out, stride),
                    2 => tile.rows::<V, 2>(out, stride),
                    3 => tile.rows::<V, 3>(out, stride),
                    4 => tile.rows::<V, 4>(out, stride),
                    5 => tile.rows::<V, 5>(out, stride),
                    _ => tile.rows::<V, ROWS>(out, stride),
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<V: Vector, const COUNT: usize>(self, out: &mut [f32], stride: usize) {
        let Self { left, right, depth, start } = self;
        let width = 2 * V::LANES;
        let left_numbers = left.numbers[..(COUNT - 1) * left.stride + depth].as_ptr();
        let right_numbers = right.numbers[..(depth - 1) * right.stride + width].as_ptr();
        let out = out[..(COUNT - 1) * stride + width].as_mut_ptr();
        // SAFETY: the slices' bounds say that `depth` numbers of each row, as many rows of `width` numbers, and `COUNT` rows
        // of results are there.
        unsafe {
            let mut sums = [[V::splat(0.0); 2]; COUNT];
            if start == Start::There {
                for row in 0..COUNT {
                    sums[row] = [V::load(out.add(row * stride)), V::load(out.add(row * stride + V::LANES))];
                }
            }
            for step in 0..depth {
                let place = right_numbers.add(step * right.stride);
                let factors = [V::load(place), V::load(place.add(V::LANES))];
                for row in 0..COUNT {
                    let number = V::splat(*left_numbers.add(row * left.stride + step));
                    for half in 0..2 {
                        sums[row][half] = number.fused(factors[half], sums[row][half]);
                    }
                }
            }
            for row in 0..COUNT {
                sums[row][0].store(out.add(row * stride));
                sums[row][1].store(out.add(row * stride + V::LANES));
            }
        }
    }
}

/// The largest number.
#[inline(always)]
unsafe fn largest<V: Vector>(lanes: V) -> f32 {
    let mut numbers = [f32::NEG_INFINITY; LANES];
    // SAFETY: by this function's contract.
    unsafe { lanes.store(numbers.as_mut_ptr()) };
    numbers.into_iter().fold(f32::NEG_INFINITY, f32::max)
}
