//! The gate of a feed-forward layer.

use super::instructions::Instructions;
use super::output::Output;
use super::threads::Threads;
use super::vector::Vector;

/// Numbers of a task: enough to be worth a thread's while.
const TASK: usize = 1 << 14;

/// `silu(gates) * values`, number by number, with `silu(x) = x / (1 + exp(-x))` to 4 units of the last place.
///
/// # Panics
/// If there are not as many of each, or the machine lacks the instructions.
pub(crate) fn gate(
    instructions: Instructions,
    (gates, values): (&[f32], &[f32]),
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let count = results.len();
    assert!(gates.len() == count && values.len() == count && instructions.are_here(), "as many of each");
    let results = Output::new(results, 1);
    threads.each(count.div_ceil(TASK), &|task| {
        let part = task * TASK..count.min((task + 1) * TASK);
        // SAFETY: each task has numbers of its own.
        let results = unsafe { results.rows(part.clone()) };
        // SAFETY: the machine has the instructions.
        unsafe { instructions.gate((&gates[part.clone()], &values[part]), results) };
    });
}

impl Instructions {
    /// # Safety
    /// The machine has the instructions.
    unsafe fn gate(self, from: (&[f32], &[f32]), results: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2(from: (&[f32], &[f32]), results: &mut [f32]) {
            // SAFETY: this function has the instructions.
            unsafe { all::<std::arch::x86_64::__m256>(from, results) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        fn avx512(from: (&[f32], &[f32]), results: &mut [f32]) {
            // SAFETY: this function has the instructions.
            unsafe { all::<std::arch::x86_64::__m512>(from, results) }
        }
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2(from, results),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 | Self::Amx => avx512(from, results),
                _ => all::<[f32; 8]>(from, results),
            }
        }
    }
}

/// # Safety
/// The machine has the vector's instructions, and there are as many of each.
#[inline(always)]
unsafe fn all<V: Vector>((gates, values): (&[f32], &[f32]), results: &mut [f32]) {
    let whole = results.len() / V::LANES * V::LANES;
    // SAFETY: by this function's contract; what is left over is copied to where whole vectors are.
    unsafe {
        for place in (0..whole).step_by(V::LANES) {
            let (gate, value) = (gates.as_ptr().add(place), values.as_ptr().add(place));
            silu(V::load(gate)).multiply(V::load(value)).store(results.as_mut_ptr().add(place));
        }
        let rest = results.len() - whole;
        let mut padded = [[0.0; 16]; 2];
        padded[0][..rest].copy_from_slice(&gates[whole..]);
        padded[1][..rest].copy_from_slice(&values[whole..]);
        let mut last = [0.0; 16];
        silu(V::load(padded[0].as_ptr())).multiply(V::load(padded[1].as_ptr())).store(last.as_mut_ptr());
        results[whole..].copy_from_slice(&last[..rest]);
    }
}

/// # Safety
/// The machine has the vector's instructions.
#[inline(always)]
unsafe fn silu<V: Vector>(number: V) -> V {
    // SAFETY: by this function's contract.
    unsafe {
        let (one, minus) = (V::splat(1.0), V::splat(-1.0));
        // e to the power of -|number|, which cannot overflow
        let power = number.larger(number.multiply(minus)).multiply(minus).exponential();
        let sum = one.add(power);
        // 1 where the number is not below zero, else the power
        let share = one.add(power.multiply(minus)).zero_below(number, 0.0).add(power);
        number.multiply(share.divided(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::Backwards;
    use super::*;

    #[test]
    fn gates_are_what_float64_says() {
        let spread = (0..40_000).map(|number| (number - 20_000) as f32 * 5e-3);
        let gates: Vec<f32> = spread.chain([0.0, -0.0, 1e-40, 1e38, -1e38, f32::MIN_POSITIVE]).collect();
        let values: Vec<f32> = (0..gates.len()).map(|number| (number % 7) as f32 - 3.0).collect();
        for instructions in Instructions::ALL.into_iter().filter(|instructions| instructions.are_here()) {
            let mut results = vec![f32::NAN; gates.len()];
            gate(instructions, (&gates, &values), &mut results, &Backwards(3));
            for ((gate, value), found) in gates.iter().zip(&values).zip(results) {
                let exact = f64::from(*gate) / (1.0 + (-f64::from(*gate)).exp()) * f64::from(*value);
                // e to the power of less than -87 is taken for nothing
                let close =
                    (f64::from(found) - exact).abs() <= exact.abs() * 4.0 * f64::from(f32::EPSILON) + 1e-35;
                assert!(close, "{instructions:?}: {gate} {value}: {found} {exact}");
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for instructions in Instructions::ALL.into_iter().filter(|instructions| instructions.are_here()) {
            let mut results = [0.0; 3];
            gate(
                instructions,
                (&[f32::NAN, 1.0, f32::INFINITY], &[1.0, f32::NAN, 1.0]),
                &mut results,
                &Backwards(3),
            );
            assert!(results[0].is_nan() && results[1].is_nan() && results[2] == f32::INFINITY, "{results:?}");
        }
    }
}
