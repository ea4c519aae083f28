//! A product, shared out among threads.

use super::activations::Activations;
use super::blockwise::Blockwise;
use super::few::{Few, ROWS};
use super::instructions::Instructions;
use super::output::Output;
use super::panel::Work;
use super::threads::Threads;

/// Tasks for each thread: so many that one which is late holds up little.
const SHARES: usize = 4;
/// Outputs of which a kernel for few rows takes whole groups.
const LANES: usize = 16;
/// Rows of activations for which it is still worth unpacking a part of the weight once more.
const LEAST_ROWS: usize = 48;

/// `rows @ weight.T + bias`: `[rows, inputs]` to `[rows, outputs]`. Activations are rounded to 8 bits by row and block; with AMX, for
/// more than [`ROWS`] rows, both sides are rounded to bfloat16.
///
/// A value that is infinite or no number makes all results of its row none.
///
/// # Panics
/// If the machine lacks the instructions or the lengths do not fit together: see [`Blockwise::is_sound`].
pub(crate) fn product(
    instructions: Instructions,
    (rows, bias): (&[f32], Option<&[f32]>),
    weight: &Blockwise<'_>,
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let count = rows.len() / weight.inputs;
    assert!(weight.is_sound() && instructions.are_here(), "a weight and instructions that can be used");
    assert!(rows.len() == count * weight.inputs && results.len() == count * weight.outputs, "whole rows");
    #[cfg(target_arch = "x86_64")]
    if count > ROWS && instructions == Instructions::Amx {
        // SAFETY: the machine has the instructions, and the lengths were checked.
        return unsafe { super::amx::many((rows, bias), weight, results, threads) };
    }
    if count > ROWS {
        return many(instructions, (rows, bias), weight, results, threads);
    }
    if count > 0 {
        let left = Few::round(rows, weight, threads);
        let work = Work { left: &left, weight, bias, out: Output::new(results, weight.outputs) };
        let step = weight.outputs.div_ceil(threads.count() * SHARES).next_multiple_of(LANES);
        threads.each(weight.outputs.div_ceil(step), &|task| {
            let outputs = task * step..weight.outputs.min((task + 1) * step);
            // SAFETY: the machine has the instructions, and each task has outputs of its own.
            unsafe { instructions.few(work, &outputs) };
        });
    }
}

fn many(
    instructions: Instructions,
    (rows, bias): (&[f32], Option<&[f32]>),
    weight: &Blockwise<'_>,
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let left = Activations::round(rows, weight, instructions.form(), threads);
    let work = Work { left: &left, weight, bias, out: Output::new(results, weight.outputs) };
    let width = instructions.columns();
    let panels = weight.outputs.div_ceil(width);
    // with few panels and many threads, rows are shared out too
    let parts = (threads.count() * SHARES).div_ceil(panels).min(left.rows().div_ceil(LEAST_ROWS)).max(1);
    let step = left.rows().div_ceil(parts);
    threads.each(panels * parts, &|task| {
        let (panel, part) = (task / parts, task % parts);
        let outputs = panel * width..weight.outputs.min((panel + 1) * width);
        let rows = (part * step).min(left.rows())..left.rows().min((part + 1) * step);
        // SAFETY: the machine has the instructions, and each task has outputs or rows of its own.
        unsafe { instructions.many(work, &outputs, rows) };
    });
}
