//! What a feed-forward layer does to its numbers, one by one.

use super::instructions::Instructions;
use super::output::Output;
use super::threads::Threads;
use super::vector::Vector;
use super::vectorised::OfVectors;

/// Numbers of a task: enough to be worth a thread's while, and few enough to stay in a core's cache.
const TASK: usize = 1 << 14;

/// A function of numbers.
#[derive(Clone, Copy)]
pub(crate) enum Function<'a> {
    /// `x / 2 * (1 + erf(x / sqrt(2)))`, to 4 units of the last place of `x`.
    Gelu,
    /// `x / (1 + exp(-x))`, to 4 units of the last place, times these numbers.
    SwiGlu(&'a [f32]),
}

/// The function of each of `numbers`; without them, of what stands in `results`.
///
/// # Panics
/// If there are not as many of each, or the machine lacks the instructions.
pub(crate) fn apply(
    instructions: Instructions,
    function: Function,
    numbers: Option<&[f32]>,
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let count = results.len();
    let others = if let Function::SwiGlu(others) = function { Some(others) } else { None };
    assert!([numbers, others].into_iter().flatten().all(|one| one.len() == count), "as many of each");
    assert!(instructions.are_here(), "instructions of the machine");
    let results = Output::new(results, 1);
    threads.each(count.div_ceil(TASK), &|task| {
        let part = task * TASK..count.min((task + 1) * TASK);
        // SAFETY: each task has numbers of its own.
        let results = unsafe { results.rows(part.clone()) };
        if let Some(numbers) = numbers {
            results.copy_from_slice(&numbers[part.clone()]);
        }
        // SAFETY: the machine has the instructions.
        unsafe {
            match function {
                Function::Gelu => instructions.run(Part { function: Gelu, others: None, numbers: results }),
                Function::SwiGlu(others) => {
                    let others = Some(&others[part]);
                    instructions.run(Part { function: SwiGlu, others, numbers: results })
                }
            }
        }
    });
}

/// Numbers of a task, and as many others beside them. Results take the place of the numbers.
struct Part<'a, F> {
    function: F,
    others: Option<&'a [f32]>,
    numbers: &'a mut [f32],
}

impl<F: OfNumbers> OfVectors for Part<'_, F> {
    #[inline(always)]
    unsafe fn with<V: Vector>(self) {
        let Self { function, others, numbers } = self;
        let whole = numbers.len() / V::LANES * V::LANES;
        // SAFETY: by this function's contract, and there are as many others; what is left over is copied to where whole vectors are.
        unsafe {
            for place in (0..whole).step_by(V::LANES) {
                let number = numbers.as_mut_ptr().add(place);
                let other = others.map_or(number.cast_const(), |others| others.as_ptr().add(place));
                function.of(V::load(number), V::load(other)).store(number);
            }
            let rest = numbers.len() - whole;
            let mut padded = [[0.0; 16]; 2];
            padded[0][..rest].copy_from_slice(&numbers[whole..]);
            if let Some(others) = others {
                padded[1][..rest].copy_from_slice(&others[whole..]);
            }
            let last = function.of(V::load(padded[0].as_ptr()), V::load(padded[1].as_ptr()));
            last.store(padded[0].as_mut_ptr());
            numbers[whole..].copy_from_slice(&padded[0][..rest]);
        }
    }
}

/// A function of numbers and others beside them.
trait OfNumbers {
    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn of<V: Vector>(&self, number: V, other: V) -> V;
}

struct SwiGlu;

impl OfNumbers for SwiGlu {
    #[inline(always)]
    unsafe fn of<V: Vector>(&self, number: V, other: V) -> V {
        // SAFETY: by this function's contract.
        unsafe {
            let (one, minus) = (V::splat(1.0), V::splat(-1.0));
            // e to the power of -|number|, which cannot overflow
            let power = number.larger(number.multiply(minus)).multiply(minus).exponential();
            let sum = one.add(power);
            // 1 where the number is not below zero, else the power
            let share = one.add(power.multiply(minus)).zero_below(number, 0.0).add(power);
            number.multiply(share.divided(sum)).multiply(other)
        }
    }
}

struct Gelu;

impl OfNumbers for Gelu {
    // With a = |x|: what the normal distribution has beyond a is exp(-a^2 / 2) times a function that a polynomial of
    // t = 1 / (1 + STRETCH * a) is near everywhere, to 2e-8 of it. The coefficients are those of least maximal error for a up to 13.
    #[inline(always)]
    unsafe fn of<V: Vector>(&self, number: V, _: V) -> V {
        const STRETCH: f32 = 0.26;
        const TERMS: [f32; 9] = [
            3.089_597_8e-2,
            -1.547_396_3e-1,
            2.554_653_3e-1,
            -1.555_343_3e-1,
            1.641_513e-1,
            4.964_300_2e-2,
            1.033_912e-1,
            1.029_649_5e-1,
            1.037_621_9e-1,
        ];
        // SAFETY: by this function's contract.
        unsafe {
            let (one, opposite) = (V::splat(1.0), number.multiply(V::splat(-1.0)));
            let size = number.larger(opposite);
            let near = one.divided(size.fused(V::splat(STRETCH), one));
            let mut sum = V::splat(TERMS[0]);
            for term in &TERMS[1..] {
                sum = sum.fused(near, V::splat(*term));
            }
            let power = size.multiply(size).multiply(V::splat(-0.5)).exponential();
            let beyond = sum.multiply(near).multiply(power);
            let below = one.add(beyond.multiply(V::splat(-1.0))).zero_below(number, 0.0);
            // at zero both parts count, and what they are multiplied by is zero
            number.multiply(below.add(beyond.zero_below(opposite, 0.0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::Backwards;
    use super::*;

    /// Gates and GELUs that float64 knows.
    fn exact(function: Function, number: f32, place: usize) -> f64 {
        let number = f64::from(number);
        match function {
            Function::SwiGlu(others) => number / (1.0 + (-number).exp()) * f64::from(others[place]),
            Function::Gelu => number * normal(number),
        }
    }

    /// The share of the normal distribution below a number: a series of positive terms for what lies between it and zero.
    fn normal(number: f64) -> f64 {
        let mut term = number;
        let mut sum = 0.0;
        for factor in 0..400 {
            sum += term;
            term *= number * number / f64::from(2 * factor + 3);
        }
        let density = (-number * number / 2.0).exp() / std::f64::consts::TAU.sqrt();
        if number.abs() > 15.0 { f64::from(u8::from(number > 0.0)) } else { 0.5 + density * sum }
    }

    fn here() -> impl Iterator<Item = Instructions> {
        Instructions::ALL.into_iter().filter(|instructions| instructions.are_here())
    }

    #[test]
    fn results_are_what_float64_says_in_place_or_not() {
        let spread = (0..40_000).map(|number| (number - 20_000) as f32 * 5e-3);
        let extreme = [0.0, -0.0, 1e-40, 1e38, -1e38, f32::MIN_POSITIVE];
        let numbers: Vec<f32> = spread.chain(extreme).collect();
        let others: Vec<f32> = (0..numbers.len()).map(|number| (number % 7) as f32 - 3.0).collect();
        for (instructions, function) in
            here().flat_map(|one| [(one, Function::Gelu), (one, Function::SwiGlu(&others))])
        {
            let mut results = vec![f32::NAN; numbers.len()];
            apply(instructions, function, Some(&numbers), &mut results, &Backwards(3));
            for (place, (number, found)) in numbers.iter().zip(&results).enumerate() {
                let exact = exact(function, *number, place);
                // GELU loses what erf is near -1; e to the power of less than -87 is taken for nothing
                let of = if let Function::Gelu = function { f64::from(*number) } else { exact };
                let close =
                    (f64::from(*found) - exact).abs() <= of.abs() * 4.0 * f64::from(f32::EPSILON) + 1e-35;
                assert!(close, "{instructions:?}: {number} at {place}: {found} {exact}");
            }
            let mut in_place = numbers.clone();
            apply(instructions, function, None, &mut in_place, &Backwards(2));
            assert!(in_place.iter().zip(&results).all(|(one, other)| one.to_bits() == other.to_bits()));
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for instructions in here() {
            let gates = [f32::NAN, 1.0, f32::INFINITY];
            for (function, wanted) in [
                (Function::SwiGlu(&[1.0, f32::NAN, 1.0]), [f32::NAN, f32::NAN, f32::INFINITY]),
                (Function::Gelu, [f32::NAN, 0.841_344_8, f32::INFINITY]),
            ] {
                let mut results = [0.0; 3];
                apply(instructions, function, Some(&gates), &mut results, &Backwards(3));
                let same = |(found, wanted): (&f32, f32)| {
                    (found.is_nan() && wanted.is_nan()) || *found == wanted || (found - wanted).abs() < 1e-6
                };
                assert!(results.iter().zip(wanted).all(same), "{results:?}");
            }
        }
    }
}
