//! Attention over a KV cache, which the new keys and values are put into first.

use super::attend::{Attention, Sight, attend};
use super::heads::Heads;
use crate::kernels::instructions::Instructions;
use crate::kernels::output::Output;
use crate::kernels::threads::Threads;

/// Tables that turn heads by their positions: `[positions, size / 2]` each.
#[derive(Clone, Copy)]
pub(crate) struct Rotation<'a> {
    pub(crate) cosines: &'a [f32],
    pub(crate) sines: &'a [f32],
}

/// New positions of some conversations.
pub(crate) struct Cached<'a> {
    /// `[batch, positions, queries | keys | values]`
    pub(crate) new: &'a [f32],
    /// `[batch, heads, capacity, size]`
    pub(crate) keys: &'a mut [f32],
    pub(crate) values: &'a mut [f32],
    pub(crate) rotation: Rotation<'a>,
    pub(crate) heads: [usize; 2],
    pub(crate) size: usize,
    pub(crate) positions: usize,
    /// Positions of a slot of the cache.
    pub(crate) capacity: usize,
    /// Tokens of each conversation, the new ones among them.
    pub(crate) lengths: &'a [usize],
}

/// Turns queries and keys, puts keys and values into the cache, and attends to all that is in it:
/// `[batch, positions, heads * size]`.
///
/// # Panics
/// If a length is beyond the capacity or the tables, or below the number of positions.
pub(crate) fn attend_cached(
    instructions: Instructions,
    cached: Cached<'_>,
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let Cached { new, keys, values, rotation, heads, size, positions, capacity, lengths } = cached;
    let (batch, width) = (lengths.len(), (heads[0] + 2 * heads[1]) * size);
    assert!(
        lengths.iter().all(|length| (positions..=capacity).contains(length)),
        "new tokens that have room"
    );
    assert!(
        new.len() == batch * positions * width
            && keys.len() == batch * heads[1] * capacity * size
            && values.len() == keys.len()
    );
    let mut turned = vec![0.0; batch * positions * heads[0] * size];
    let (queries, key_rows, value_rows) =
        (Output::new(&mut turned, size), Output::new(keys, size), Output::new(values, size));
    threads.each(batch * positions, &|token| {
        let (member, position) = (token / positions, token % positions);
        let place = lengths[member] - positions + position;
        let table = Table { rotation: &rotation, place, half: size / 2 };
        let mut parts = new[token * width..][..width].chunks_exact(size);
        for (head, part) in parts.by_ref().take(heads[0]).enumerate() {
            // SAFETY: each token has queries of its own, and a place of its own in the cache.
            table.turn(part, unsafe { queries.at(token * heads[0] + head, 0, size) });
        }
        let row = |head: usize| (member * heads[1] + head) * capacity + place;
        for (head, part) in parts.by_ref().take(heads[1]).enumerate() {
            // SAFETY: as above.
            table.turn(part, unsafe { key_rows.at(row(head), 0, size) });
        }
        for (head, part) in parts.enumerate() {
            // SAFETY: as above.
            unsafe { value_rows.at(row(head), 0, size) }.copy_from_slice(part);
        }
    });
    let width = heads[0] * size;
    let cache = |numbers| Heads {
        numbers,
        batch: heads[1] * capacity * size,
        stride: size,
        between: capacity * size,
    };
    let attention = Attention {
        queries: Heads { numbers: &turned, batch: positions * width, stride: width, between: size },
        keys: cache(&*keys),
        values: cache(&*values),
        heads,
        size,
        positions,
        lengths,
        sight: Sight::Before,
    };
    attend(instructions, attention, results, threads);
}

/// The row of the tables for a position.
struct Table<'a> {
    rotation: &'a Rotation<'a>,
    place: usize,
    half: usize,
}

impl Table<'_> {
    /// Turns the pairs of a head's first half and its second.
    fn turn(&self, head: &[f32], turned: &mut [f32]) {
        let row = self.place * self.half..(self.place + 1) * self.half;
        let (cosines, sines) = (&self.rotation.cosines[row.clone()], &self.rotation.sines[row]);
        let (first, second) = head.split_at(self.half);
        let (turned_first, turned_second) = turned.split_at_mut(self.half);
        for pair in 0..self.half {
            turned_first[pair] = first[pair] * cosines[pair] - second[pair] * sines[pair];
            turned_second[pair] = second[pair] * cosines[pair] + first[pair] * sines[pair];
        }
    }
}
