//! Sums of the residual stream and a branch, brought to one scale.

use super::instructions::Instructions;
use super::output::Output;
use super::threads::Threads;
use super::vector::Vector;
use super::vectorised::OfVectors;

/// Numbers of a task: enough to be worth a thread's while.
const TASK: usize = 1 << 14;
/// The most numbers of a vector.
const LANES: usize = 16;

/// How rows are brought to one scale.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    /// Whether the mean of a row is taken away first.
    pub(crate) centred: bool,
    /// What is added to the mean of squares.
    pub(crate) epsilon: f32,
    /// What a row is multiplied by.
    pub(crate) weight: &'a [f32],
    /// What is added to it then.
    pub(crate) bias: Option<&'a [f32]>,
}

/// What is added up. Without one of them, it stands where the result goes.
#[derive(Clone, Copy)]
pub(crate) struct Streams<'a> {
    /// Stands in the norms.
    pub(crate) branch: Option<&'a [f32]>,
    /// Stands in the sums.
    pub(crate) residual: Option<&'a [f32]>,
    /// Added to each row too.
    pub(crate) bias: Option<&'a [f32]>,
}

/// `sums = branch + residual`, and `norms = sums / sqrt(mean(sums^2) + epsilon) * weight + bias` row by row, of `sums` less their mean
/// where the norm is centred. Rows are as long as the weight. Means are those of float64, for a few large values among many small
/// ones do not cost the small ones their places.
///
/// # Panics
/// If lengths do not fit together, or the machine lacks the instructions.
pub(crate) fn add_and_norm(
    instructions: Instructions,
    streams: Streams<'_>,
    norm: Norm<'_>,
    (sums, norms): (&mut [f32], &mut [f32]),
    threads: &dyn Threads,
) {
    let (width, count) = (norm.weight.len(), norms.len());
    let of_rows = [streams.bias, norm.bias].into_iter().flatten().all(|bias| bias.len() == width);
    let of_all = [streams.branch, streams.residual].into_iter().flatten().all(|one| one.len() == count);
    assert!(of_rows && of_all && sums.len() == count, "as many of each");
    assert!(width > 0 && count.is_multiple_of(width) && instructions.are_here(), "whole rows");
    let rows = count / width;
    let step = (TASK / width).max(1);
    let (sums, norms) = (Output::new(sums, width), Output::new(norms, width));
    threads.each(rows.div_ceil(step), &|task| {
        for row in task * step..rows.min((task + 1) * step) {
            // SAFETY: each task has rows of its own.
            let (sums, norms) = unsafe { (sums.rows(row..row + 1), norms.rows(row..row + 1)) };
            for (there, given) in [(&mut *norms, streams.branch), (&mut *sums, streams.residual)] {
                if let Some(given) = given {
                    there.copy_from_slice(&given[row * width..][..width]);
                }
            }
            // SAFETY: the machine has the instructions, and each is as long as a row.
            unsafe { instructions.run(Row { bias: streams.bias, norm, sums, norms }) };
        }
    });
}

/// A row of both streams and of both results.
struct Row<'a> {
    bias: Option<&'a [f32]>,
    norm: Norm<'a>,
    sums: &'a mut [f32],
    norms: &'a mut [f32],
}

impl OfVectors for Row<'_> {
    #[inline(always)]
    unsafe fn with<V: Vector>(self) {
        let Self { bias, norm, sums, norms } = self;
        let width = sums.len();
        let whole = width / V::LANES * V::LANES;
        let count = width as f64;
        // SAFETY: by this function's contract; places are below `whole`, so that a vector is within each slice.
        unsafe {
            let mut total = V::splat(0.0);
            for place in (0..whole).step_by(V::LANES) {
                let mut sum = V::load(norms.as_ptr().add(place)).add(V::load(sums.as_ptr().add(place)));
                if let Some(bias) = bias {
                    sum = sum.add(V::load(bias.as_ptr().add(place)));
                }
                sum.store(sums.as_mut_ptr().add(place));
                total = total.add(sum);
            }
            for place in whole..width {
                sums[place] += norms[place] + bias.map_or(0.0, |bias| bias[place]);
            }
            let rest = &sums[whole..];
            let centre = match norm.centred {
                true => ((folded(total) + rest.iter().copied().map(f64::from).sum::<f64>()) / count) as f32,
                false => 0.0,
            };
            let mut squares = V::splat(0.0);
            for place in (0..whole).step_by(V::LANES) {
                let apart = V::load(sums.as_ptr().add(place)).add(V::splat(-centre));
                squares = apart.fused(apart, squares);
            }
            let rest: f64 = rest.iter().map(|sum| f64::from(sum - centre).powi(2)).sum();
            let scale = (((folded(squares) + rest) / count + f64::from(norm.epsilon)).sqrt().recip()) as f32;
            for place in (0..whole).step_by(V::LANES) {
                let apart = V::load(sums.as_ptr().add(place)).add(V::splat(-centre));
                let scaled = apart.multiply(V::splat(scale));
                let bias = norm.bias.map_or(V::splat(0.0), |bias| V::load(bias.as_ptr().add(place)));
                let weight = V::load(norm.weight.as_ptr().add(place));
                scaled.fused(weight, bias).store(norms.as_mut_ptr().add(place));
            }
            for place in whole..width {
                let bias = norm.bias.map_or(0.0, |bias| bias[place]);
                norms[place] = ((sums[place] - centre) * scale).mul_add(norm.weight[place], bias);
            }
        }
    }
}

/// The sum of a vector's numbers.
///
/// # Safety
/// The machine has the vector's instructions.
#[inline(always)]
unsafe fn folded<V: Vector>(numbers: V) -> f64 {
    let mut lanes = [0.0; LANES];
    // SAFETY: by this function's contract; there are at least as many places as lanes.
    unsafe { numbers.store(lanes.as_mut_ptr()) };
    lanes.into_iter().map(f64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::super::threads::Backwards;
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|place| ((place * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0).collect()
    }

    /// What float64 says: sums and norms.
    fn exact(streams: Streams<'_>, norm: Norm<'_>, row: usize) -> (Vec<f64>, Vec<f64>) {
        let width = norm.weight.len();
        let of = |numbers: Option<&[f32]>, place: usize| numbers.map_or(0.0, |all| f64::from(all[place]));
        let sum = |place: usize| {
            let at = row * width + place;
            of(streams.branch, at) + of(streams.residual, at) + of(streams.bias, place)
        };
        let sums: Vec<f64> = (0..width).map(sum).collect();
        let centre = if norm.centred { sums.iter().sum::<f64>() / width as f64 } else { 0.0 };
        let squares: f64 = sums.iter().map(|sum| (sum - centre).powi(2)).sum();
        let scale = (squares / width as f64 + f64::from(norm.epsilon)).sqrt().recip();
        let normed = |(place, sum): (usize, &f64)| {
            (sum - centre) * scale * f64::from(norm.weight[place]) + of(norm.bias, place)
        };
        let norms = sums.iter().enumerate().map(normed).collect();
        (sums, norms)
    }

    #[test]
    fn norms_are_what_float64_says_in_place_or_not() {
        for (width, rows, centred) in [(1024, 37, true), (896, 20, false), (37, 3, true), (5, 1, false)] {
            let (branch, mut residual) = (numbers(width * rows, 1), numbers(width * rows, 2));
            // an outlier as residual streams have them
            residual[width / 2] = 3000.0;
            let (weight, bias) = (numbers(width, 3), numbers(width, 4));
            for bias in [None, Some(&bias[..])] {
                let streams = Streams { branch: Some(&branch), residual: Some(&residual), bias };
                let norm = Norm { centred, epsilon: 1e-6, weight: &weight, bias };
                let sets = Instructions::ALL.into_iter().filter(|instructions| instructions.are_here());
                for instructions in sets {
                    let (mut sums, mut norms) = (vec![f32::NAN; width * rows], vec![f32::NAN; width * rows]);
                    let results = (&mut sums[..], &mut norms[..]);
                    add_and_norm(instructions, streams, norm, results, &Backwards(3));
                    for row in 0..rows {
                        let (exact_sums, exact_norms) = exact(streams, norm, row);
                        for place in 0..width {
                            let at = row * width + place;
                            let far = (f64::from(norms[at]) - exact_norms[place]).abs();
                            assert!((f64::from(sums[at]) - exact_sums[place]).abs() < 4e-4, "{at}");
                            assert!(
                                far < 4e-6 * exact_norms[place].abs().max(1.0),
                                "{instructions:?} {at}: {far}"
                            );
                        }
                    }
                    let (mut same_sums, mut same_norms) = (residual.clone(), branch.clone());
                    let in_place = Streams { branch: None, residual: None, bias };
                    let results = (&mut same_sums[..], &mut same_norms[..]);
                    add_and_norm(instructions, in_place, norm, results, &Backwards(2));
                    assert!(same_sums == sums && same_norms == norms);
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_spoils_its_row_alone() {
        let mut branch = numbers(64, 1);
        branch[3] = f32::NAN;
        let residual = numbers(64, 2);
        let streams = Streams { branch: Some(&branch), residual: Some(&residual), bias: None };
        let norm = Norm { centred: true, epsilon: 1e-6, weight: &[1.0; 32], bias: None };
        let (mut sums, mut norms) = (vec![0.0; 64], vec![0.0; 64]);
        add_and_norm(Instructions::here(), streams, norm, (&mut sums, &mut norms), &Backwards(2));
        assert!(norms[..32].iter().all(|number| number.is_nan()));
        assert!(norms[32..].iter().all(|number| number.is_finite()));
    }
}
