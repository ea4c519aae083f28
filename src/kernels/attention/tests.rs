//! Against sums in float64.

use super::attend::{Attention, Sight, attend};
use super::cached::{Cached, Rotation, attend_cached};
use super::heads::Heads;
use crate::kernels::instructions::Instructions;
use crate::kernels::threads::Backwards;

/// Numbers between -1 and 1, the same each time.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// What it should be.
fn wanted(attention: &Attention<'_>) -> Vec<f64> {
    let (size, group) = (attention.size, attention.heads[0] / attention.heads[1]);
    let mut all = Vec::new();
    for (member, keys) in attention.lengths.iter().enumerate() {
        for (position, head) in (0..attention.positions)
            .flat_map(|position| (0..attention.heads[0]).map(move |head| (position, head)))
        {
            let query = &attention.queries.from(member, position, head)[..size];
            let visible = match attention.sight {
                Sight::All => *keys,
                Sight::Before => keys - attention.positions + position + 1,
            };
            let product = |key: usize| -> f64 {
                let key = attention.keys.from(member, key, head / group);
                query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>()
                    / (size as f64).sqrt()
            };
            let scores: Vec<f64> = (0..visible).map(product).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            all.extend((0..size).map(|number| {
                let value = |key: usize| f64::from(attention.values.from(member, key, head / group)[number]);
                powers.iter().enumerate().map(|(key, power)| power * value(key)).sum::<f64>() / sum
            }));
        }
    }
    all
}

fn compare(found: &[f32], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len());
    for (one, other) in found.iter().zip(wanted) {
        assert!((f64::from(*one) - other).abs() < 3e-6, "{what}: {one} {other}");
    }
}

#[test]
fn attention_is_what_it_should_be() {
    let shapes = [
        ([1, 1], 32, 1, vec![1], Sight::All),
        ([4, 2], 64, 3, vec![70, 5], Sight::Before),
        ([7, 1], 64, 1, vec![1300], Sight::Before),
        ([14, 2], 64, 1, vec![600, 1, 64], Sight::Before),
        ([2, 2], 96, 65, vec![65], Sight::All),
        ([3, 1], 128, 40, vec![200], Sight::Before),
        ([2, 1], 8, 9, vec![50], Sight::Before),
        ([3, 3], 20, 30, vec![30], Sight::All),
        ([2, 2], 80, 1, vec![77], Sight::Before),
        // many queries: strips, blocks and tasks that are not whole
        ([2, 2], 64, 400, vec![400], Sight::All),
        ([7, 1], 64, 70, vec![300, 129], Sight::Before),
        ([1, 1], 80, 161, vec![161], Sight::Before),
        ([1, 1], 33, 32, vec![290], Sight::All),
    ];
    for (heads, size, positions, lengths, sight) in shapes {
        let (batch, longest) = (lengths.len(), lengths.iter().copied().max().unwrap());
        let widths = heads.map(|heads| heads * size);
        let mut queries = numbers(1, batch * positions * widths[0]);
        // some scores far apart
        queries.iter_mut().for_each(|number| *number *= 8.0);
        let (keys, values) =
            (numbers(2, batch * longest * widths[1]), numbers(3, batch * longest * widths[1]));
        let by_position = |numbers, width: usize, positions: usize| Heads {
            numbers,
            batch: positions * width,
            stride: width,
            between: size,
        };
        let attention = Attention {
            queries: by_position(&queries, widths[0], positions),
            keys: by_position(&keys, widths[1], longest),
            values: by_position(&values, widths[1], longest),
            heads,
            size,
            positions,
            lengths: &lengths,
            sight,
        };
        let wanted = wanted(&attention);
        for instructions in Instructions::ALL.into_iter().filter(|instructions| instructions.are_here()) {
            for threads in [1, 2, 9] {
                let mut found = vec![f32::NAN; wanted.len()];
                attend(instructions, attention, &mut found, &Backwards(threads));
                compare(
                    &found,
                    &wanted,
                    &format!("{instructions:?} {heads:?} {size} {positions} {lengths:?} {threads}"),
                );
            }
        }
    }
}

/// Whatever the instructions, what is not finite is seen by the same queries, and what is large gives the same.
#[test]
fn what_is_not_finite_is_seen_alike() {
    let (size, positions) = (64, 200);
    let plain = [numbers(1, positions * size), numbers(2, positions * size), numbers(3, positions * size)];
    for (side, place) in
        [0, 1, 2].into_iter().flat_map(|side| [(side, 3), (side, 70 * size + 5), (side, 199 * size)])
    {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e25, 1e-40] {
            let mut sides = plain.clone();
            sides[side][place] = number;
            let [queries, keys, values] =
                [0, 1, 2].map(|side| Heads { numbers: &sides[side], batch: 0, stride: size, between: size });
            let attention = Attention {
                queries,
                keys,
                values,
                heads: [1, 1],
                size,
                positions,
                lengths: &[positions],
                sight: Sight::Before,
            };
            let run = |instructions| {
                let mut found = vec![0.0; positions * size];
                attend(instructions, attention, &mut found, &Backwards(1));
                found
            };
            let wanted = run(Instructions::Plain);
            for instructions in Instructions::ALL.into_iter().filter(|instructions| instructions.are_here()) {
                for (place, (one, other)) in run(instructions).iter().zip(&wanted).enumerate() {
                    let is_near = (one - other).abs() <= 3e-6 * other.abs().max(1.0);
                    assert!(
                        one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan() || is_near,
                        "{instructions:?} {side} {number}: {one} {other} at {place}"
                    );
                }
            }
        }
    }
}

/// A prompt in one go, and in pieces: the cache holds the same, and the results are the same.
#[test]
fn what_is_cached_is_what_was_seen() {
    let (heads, size, capacity, length) = ([6, 2], 64, 150, 140);
    let width = (heads[0] + 2 * heads[1]) * size;
    let angles: Vec<f64> = (0..capacity * size / 2)
        .map(|place| (place / (size / 2)) as f64 / f64::from(1 + (place % (size / 2)) as u32))
        .collect();
    let cosines: Vec<f32> = angles.iter().map(|angle| angle.cos() as f32).collect();
    let sines: Vec<f32> = angles.iter().map(|angle| angle.sin() as f32).collect();
    let new = numbers(5, length * width);
    let run = |pieces: &[usize]| {
        // what nobody wrote is never looked at
        let mut keys = vec![f32::NAN; heads[1] * capacity * size];
        let (mut values, mut results, mut done) = (keys.clone(), Vec::new(), 0);
        for piece in pieces {
            let mut found = vec![f32::NAN; piece * heads[0] * size];
            let cached = Cached {
                new: &new[done * width..(done + piece) * width],
                keys: &mut keys,
                values: &mut values,
                rotation: Rotation { cosines: &cosines, sines: &sines },
                heads,
                size,
                positions: *piece,
                capacity,
                lengths: &[done + piece],
            };
            attend_cached(Instructions::here(), cached, &mut found, &Backwards(2));
            results.extend(found);
            done += piece;
        }
        (keys, values, results)
    };
    let (keys, values, results) = run(&[length]);
    assert!(results.iter().all(|number| number.is_finite()));
    let pieces = run(&[70, 1, 1, 68]);
    let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!([bits(&keys), bits(&values)], [bits(&pieces.0), bits(&pieces.1)]);
    for (one, other) in results.iter().zip(&pieces.2) {
        assert!((one - other).abs() < 2e-6, "{one} {other}");
    }
    // a key is turned by its place: the first half with the second
    let (token, head) = (100, 1);
    let before = &new[token * width + (heads[0] + head) * size..][..size];
    let after = &keys[(head * capacity + token) * size..][..size];
    for pair in 0..size / 2 {
        let (cosine, sine) = (cosines[token * size / 2 + pair], sines[token * size / 2 + pair]);
        assert!((after[pair] - (before[pair] * cosine - before[pair + size / 2] * sine)).abs() < 1e-6);
        assert!(
            (after[pair + size / 2] - (before[pair + size / 2] * cosine + before[pair] * sine)).abs() < 1e-6
        );
    }
}
