//! What is asked of all values of a volume. What is no measurement is NaN, and is left out.

/// The lowest and the highest value; padding is left out. `None` if nothing is left.
pub(super) fn extent(values: &[f32], padding: Option<f32>) -> Option<[f32; 2]> {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for &value in values {
        if Some(value) != padding {
            low = low.min(value);
            high = high.max(value);
        }
    }
    (low <= high).then_some([low, high])
}

/// Which part of the values, from 0 to 1, is at least `from` and below `to`.
pub(super) fn share(values: &[f32], from: f64, to: f64) -> f64 {
    let within = values.iter().filter(|value| (from..to).contains(&f64::from(**value))).count();
    within as f64 / values.len().max(1) as f64
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
    fn extent_and_share() {
        assert_eq!(extent(&[1.0, -3.0, 7.0], None), Some([-3.0, 7.0]));
        assert_eq!(extent(&[1.0, -3.0, 7.0], Some(-3.0)), Some([1.0, 7.0]));
        assert_eq!(extent(&[f32::NAN, 1.0, 2.0], None), Some([1.0, 2.0]));
        assert_eq!(extent(&[], None), None);
        assert_eq!(share(&[0.0, 1.0, 2.0, 3.0], 1.0, 3.0), 0.5);
    }
}
