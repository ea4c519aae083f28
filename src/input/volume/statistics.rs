//! What is asked of all values of a volume. What is no measurement is NaN, and is left out.

/// Numbers that are kept side by side, so that the compiler makes vectors of them.
const LANES: usize = 16;

/// The lowest and the highest value; padding is left out. `None` if nothing is left.
pub(super) fn extent(values: &[f32], padding: Option<f32>) -> Option<[f32; 2]> {
    // No value equals NaN: all are known then.
    let padding = padding.unwrap_or(f32::NAN);
    let mut found = [[f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]];
    let (chunks, rest) = values.as_chunks::<LANES>();
    chunks.iter().for_each(|chunk| widen(&mut found, chunk, padding));
    widen(&mut found, rest, padding);
    let [low, high] = found;
    let (low, high) =
        (low.into_iter().fold(f32::INFINITY, f32::min), high.into_iter().fold(f32::NEG_INFINITY, f32::max));
    (low <= high).then_some([low, high])
}

/// The lowest and the highest of values from 0 to 1: what comes behind both of these is not looked at.
pub(super) fn extent_of_shares(values: &[f32]) -> Option<[f32; 2]> {
    let mut found: Option<[f32; 2]> = None;
    for chunk in values.chunks(1 << 14) {
        found = [found, extent(chunk, None)]
            .into_iter()
            .flatten()
            .reduce(|[low, high], [lower, higher]| [low.min(lower), high.max(higher)]);
        if found == Some([0.0, 1.0]) {
            break;
        }
    }
    found
}

/// Takes values into the lowest and the highest of each lane. Comparisons with NaN are false.
#[inline]
fn widen([low, high]: &mut [[f32; LANES]; 2], values: &[f32], padding: f32) {
    // The usual case is an instruction each.
    if padding.is_nan() {
        for ((low, high), &value) in low.iter_mut().zip(high).zip(values) {
            *low = if value < *low { value } else { *low };
            *high = if value > *high { value } else { *high };
        }
        return;
    }
    for ((low, high), &value) in low.iter_mut().zip(high).zip(values) {
        let known = value != padding;
        *low = if known & (value < *low) { value } else { *low };
        *high = if known & (value > *high) { value } else { *high };
    }
}

/// How many of the values are at least `from` and below `to`.
pub(super) fn count(values: &[f32], from: f64, to: f64) -> usize {
    let [from, to] = [from, to].map(at_least);
    // A chunk's number of values fits 32 bits, which take half the room of a vector.
    let within = |chunk: &[f32]| {
        chunk.iter().map(|value| u32::from((*value >= from) & (*value < to))).sum::<u32>() as usize
    };
    values.chunks(1 << 16).map(within).sum()
}

/// The lowest number of single precision that is not below `bound`.
fn at_least(bound: f64) -> f32 {
    let near = bound as f32;
    if f64::from(near) < bound { near.next_up() } else { near }
}

/// Percentiles as `numpy.percentile` computes them, between two neighbours by their distance; padding is left out.
/// Nothing is copied or sorted: values are counted, by the upper half of their bits first. `None` if nothing is left.
pub(super) fn percentiles(values: &[f32], padding: Option<f32>, percent: [f64; 2]) -> Option<[f64; 2]> {
    let known = |value: &f32| !value.is_nan() && Some(*value) != padding;
    let counted = || values.iter().copied().filter(known).map(key);
    let mut coarse = vec![0_usize; 1 << 16];
    counted().for_each(|key| coarse[(key >> 16) as usize] += 1);
    let count: usize = coarse.iter().sum();
    let last = count.checked_sub(1)?;
    let ranked = |rank: usize| {
        let (upper, before) = bucket(&coarse, rank);
        let mut fine = vec![0_usize; 1 << 16];
        counted()
            .filter(|key| (key >> 16) as usize == upper)
            .for_each(|key| fine[(key & 0xffff) as usize] += 1);
        let (lower, _) = bucket(&fine, rank - before);
        f64::from(value((upper << 16 | lower) as u32))
    };
    Some(percent.map(|percent| {
        let place = percent / 100.0 * last as f64;
        let (below, share) = (place.floor() as usize, place.fract());
        let low = ranked(below);
        let high = if share > 0.0 { ranked((below + 1).min(last)) } else { low };
        // NumPy starts from the nearer end.
        match share < 0.5 {
            true => low + (high - low) * share,
            false => high - (high - low) * (1.0 - share),
        }
    }))
}

/// The bucket that the value of this rank is in, and how many are in those before it.
fn bucket(counts: &[usize], rank: usize) -> (usize, usize) {
    let mut before = 0;
    for (bucket, count) in counts.iter().enumerate() {
        if rank < before + count {
            return (bucket, before);
        }
        before += count;
    }
    (counts.len() - 1, before)
}

/// A number that rises with the value.
fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The value of a [`key`].
fn value(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numpys() {
        // numpy.percentile of the same numbers in double precision.
        let values: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32 - 500.0).collect();
        assert_eq!(percentiles(&values, None, [0.5, 99.5]), Some([-495.005, 494.005]));
        assert_eq!(percentiles(&values, None, [0.0, 100.0]), Some([-500.0, 499.0]));
        assert_eq!(percentiles(&[3.0], None, [0.5, 99.5]), Some([3.0, 3.0]));
        assert_eq!(percentiles(&[1.0, 2.0, -9.0, -9.0], Some(-9.0), [0.0, 50.0]), Some([1.0, 1.5]));
        assert_eq!(percentiles(&[1.0, f32::NAN, 2.0], None, [0.0, 50.0]), Some([1.0, 1.5]));
        assert_eq!(percentiles(&[-9.0], Some(-9.0), [0.0, 50.0]), None);
        assert_eq!(percentiles(&[], None, [0.0, 50.0]), None);
    }

    #[test]
    fn keys_rise_with_their_values() {
        let values = [f32::MIN, -2.5, -1e-40, -0.0, 0.0, 1e-40, 1.0, 1.0000001, f32::MAX];
        assert!(values.windows(2).all(|pair| key(pair[0]) <= key(pair[1])));
        values.iter().for_each(|expected| assert_eq!(value(key(*expected)), *expected));
    }

    #[test]
    fn extent_and_count() {
        assert_eq!(extent(&[1.0, -3.0, 7.0], None), Some([-3.0, 7.0]));
        assert_eq!(extent(&[1.0, -3.0, 7.0], Some(-3.0)), Some([1.0, 7.0]));
        assert_eq!(extent(&[f32::NAN, 1.0, 2.0], None), Some([1.0, 2.0]));
        assert_eq!(extent(&[], None), None);
        assert_eq!(count(&[0.0, 1.0, 2.0, 3.0], 1.0, 3.0), 2);
        // In single precision 0.1 is a little more than in double precision, 0.7 a little less.
        let values = [0.1, 0.7, f32::NAN, 0.5];
        assert_eq!(count(&values, 0.1, 0.7), 3);
        assert_eq!((count(&values, 0.0, 0.1), count(&values, 0.7, 1.0)), (0, 0));
        assert_eq!(count(&values, f64::NEG_INFINITY, f64::INFINITY), 3);
    }

    #[test]
    fn the_extent_of_shares_is_theirs_wherever_they_lie() {
        let length = 3 << 14;
        for [low, high] in [[0, 1], [1, length - 1], [length - 1, 1 << 14]] {
            let mut values = vec![0.5; length];
            assert_eq!(extent_of_shares(&values), Some([0.5, 0.5]));
            (values[low], values[high]) = (0.25, 0.75);
            assert_eq!(extent_of_shares(&values), Some([0.25, 0.75]));
            (values[low], values[high]) = (0.0, 1.0);
            assert_eq!(extent_of_shares(&values), Some([0.0, 1.0]));
        }
        assert_eq!(extent_of_shares(&[]), None);
    }

    #[test]
    fn no_value_of_a_long_row_is_passed_over() {
        for length in [1, 15, 16, 17, 40] {
            for place in 0..length {
                let mut values = vec![f32::NAN; length];
                values[place] = -2.0;
                assert_eq!(extent(&values, None), Some([-2.0; 2]), "{place} of {length}");
                assert_eq!(extent(&values, Some(-2.0)), None, "{place} of {length}");
                assert_eq!(count(&values, -2.0, 0.0), 1, "{place} of {length}");
            }
        }
    }
}
