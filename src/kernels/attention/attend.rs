//! Attention, shared out among threads.

use super::block::{Memory, Queries};
use super::heads::Heads;
use crate::kernels::instructions::Instructions;
use crate::kernels::output::Output;
use crate::kernels::threads::Threads;

/// Keys for which it is worth sharing out the keys of a query.
const LEAST_KEYS: usize = 256;

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    All,
    /// Those up to its own: the last query sees them all.
    Before,
}

/// What attends to what.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    pub(crate) queries: Heads<'a>,
    pub(crate) keys: Heads<'a>,
    pub(crate) values: Heads<'a>,
    /// Heads of the queries, and of the keys: as many of the former share one of the latter.
    pub(crate) heads: [usize; 2],
    /// Numbers of a head.
    pub(crate) size: usize,
    /// New positions of each member of the batch.
    pub(crate) positions: usize,
    /// Keys of each member of the batch: at least as many as positions, where these see what is before them.
    pub(crate) lengths: &'a [usize],
    pub(crate) sight: Sight,
}

impl Attention<'_> {
    /// Whether heads of queries can share those of keys.
    pub(crate) fn takes(heads: [usize; 2]) -> bool {
        heads[1] > 0 && heads[0].is_multiple_of(heads[1])
    }

    /// Query heads that share a head of keys.
    fn group(&self) -> usize {
        self.heads[0] / self.heads[1]
    }
}

/// A part of the work: queries of one member and one head of keys, and a part of their keys.
#[derive(Clone, Copy)]
struct Task {
    member: usize,
    head: usize,
    /// The first query: positions by heads of the group.
    query: usize,
    /// How many there are.
    count: usize,
    part: usize,
}

/// Softmax of scaled products of queries and keys, times values: `[batch, positions, heads * size]`.
///
/// # Panics
/// If the machine lacks the instructions, or numbers are not where they are said to be.
pub(crate) fn attend(
    instructions: Instructions,
    attention: Attention<'_>,
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let (size, batch) = (attention.size, attention.lengths.len());
    let rows = attention.positions * attention.group();
    assert!(instructions.are_here() && Attention::takes(attention.heads), "what can be computed");
    assert!(size > 0, "heads of some numbers");
    assert_eq!(results.len(), batch * rows * attention.heads[1] * size, "room for all results");
    let most = instructions.queries(batch * attention.heads[1] * rows / (2 * threads.count().max(1)));
    let blocks = rows.div_ceil(most);
    let tasks = batch * attention.heads[1] * blocks;
    let longest = attention.lengths.iter().copied().max().unwrap_or(0);
    if tasks == 0 || longest == 0 {
        return;
    }
    // with few tasks and many threads, keys are shared out too
    let parts = (2 * threads.count()).div_ceil(tasks).min(longest.div_ceil(LEAST_KEYS)).max(1);
    let task = |index: usize| {
        let (index, part) = (index / parts, index % parts);
        let (index, block) = (index / blocks, index % blocks);
        Task {
            member: index / attention.heads[1],
            head: index % attention.heads[1],
            query: block * most,
            count: most.min(rows - block * most),
            part,
        }
    };
    if parts == 1 {
        let out = Output::new(results, size);
        threads.each(tasks, &|index| {
            let task = task(index);
            let queries = found(instructions, &attention, task, parts);
            for query in 0..task.count {
                let (_, sum, values) = queries.found(query);
                // SAFETY: each task has results of its own.
                let place = unsafe { out.rows(attention.row(task, query)) };
                place.iter_mut().zip(values).for_each(|(place, value)| *place = value / sum);
            }
        });
        return;
    }
    let mut all: Vec<Option<Queries>> = (0..tasks * parts).map(|_| None).collect();
    let places = Output::new(&mut all, 1);
    threads.each(tasks * parts, &|index| {
        // SAFETY: each task has a place of its own.
        let place = unsafe { places.at(index, 0, 1) };
        place[0] = Some(found(instructions, &attention, task(index), parts));
    });
    for (index, parts_of) in all.chunks(parts).enumerate() {
        let task = task(index * parts);
        for query in 0..task.count {
            let place = attention.row(task, query).start * size;
            join(parts_of.iter().flatten().map(|part| part.found(query)), &mut results[place..place + size]);
        }
    }
}

impl Attention<'_> {
    /// Which of the results, in rows of a head each, is that of a query.
    fn row(&self, task: Task, query: usize) -> std::ops::Range<usize> {
        let (position, member) = ((task.query + query) / self.group(), task.member);
        let head = task.head * self.group() + (task.query + query) % self.group();
        let row = (member * self.positions + position) * self.heads[0] + head;
        row..row + 1
    }
}

/// Does a task.
fn found(instructions: Instructions, attention: &Attention<'_>, task: Task, parts: usize) -> Queries {
    let (group, keys) = (attention.group(), attention.lengths[task.member]);
    let mut queries = Queries::new(attention.size, task.count);
    let scale = (attention.size as f32).sqrt().recip();
    for query in task.query..task.query + task.count {
        let (position, head) = (query / group, task.head * group + query % group);
        let visible = match attention.sight {
            Sight::All => keys,
            Sight::Before => (keys + position + 1).saturating_sub(attention.positions),
        };
        queries.push(attention.queries.from(task.member, position, head), scale, visible);
    }
    let memory = Memory {
        keys: attention.keys.from(task.member, 0, task.head),
        key_stride: attention.keys.stride,
        values: attention.values.from(task.member, 0, task.head),
        value_stride: attention.values.stride,
    };
    let step = keys.div_ceil(parts);
    let (first, end) = (task.part * step, keys.min((task.part + 1) * step));
    // SAFETY: the machine has the instructions.
    unsafe { instructions.attend(&mut queries, memory, first, end) };
    queries
}

/// Puts the results for parts of the keys together.
fn join<'a>(parts: impl Iterator<Item = (f32, f32, &'a [f32])> + Clone, results: &mut [f32]) {
    let largest = parts.clone().map(|(largest, ..)| largest).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    results.fill(0.0);
    for (own, own_sum, values) in parts.filter(|(_, sum, _)| *sum != 0.0) {
        let factor = (own - largest).exp();
        sum += own_sum * factor;
        results.iter_mut().zip(values).for_each(|(place, value)| *place += value * factor);
    }
    results.iter_mut().for_each(|result| *result /= sum);
}
