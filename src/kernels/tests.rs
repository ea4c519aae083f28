//! Every set of instructions against the plain arithmetic, bit for bit; that one against whole numbers. AMX, which rounds
//! otherwise, against float64.

use super::blockwise::{BLOCK, Blockwise, Zeros};
use super::few::ROWS;
use super::instructions::Instructions;
use super::plain::level;
use super::product::product;
use super::threads::Backwards;

/// Numbers without an end, the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }

    fn reals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }
}

/// A weight that owns what it consists of.
struct Weight {
    bits: usize,
    block: usize,
    outputs: usize,
    inputs: usize,
    levels: Vec<u8>,
    scales: Vec<f32>,
    zeros: Option<Vec<u8>>,
}

impl Weight {
    fn any(numbers: &mut Numbers, [bits, block, outputs, inputs]: [usize; 4], zeros: Zeros) -> Self {
        let blocks = inputs.div_ceil(block);
        let levels = numbers.bytes(outputs * blocks * block * bits / 8);
        let scales = numbers.reals(outputs * blocks);
        let zeros =
            (zeros == Zeros::Stored && bits == 4).then(|| numbers.bytes(outputs * blocks.div_ceil(2)));
        Self { bits, block, outputs, inputs, levels, scales, zeros }
    }

    fn view(&self) -> Blockwise<'_> {
        let Self { bits, block, outputs, inputs, .. } = *self;
        let (levels, scales, zeros) = (&self.levels[..], &self.scales[..], self.zeros.as_deref());
        Blockwise { bits, block, outputs, inputs, levels, scales, zeros }
    }

    /// The value of an input.
    fn value(&self, output: usize, input: usize) -> f32 {
        let weight = self.view();
        let block = input / self.block;
        let level = level(&weight, output, input) - i32::from(weight.zero(output, block));
        level as f32 * weight.row_scales(output)[block]
    }
}

fn results(instructions: Instructions, rows: &[f32], weight: &Weight, bias: Option<&[f32]>) -> Vec<f32> {
    let mut results = vec![f32::NAN; rows.len() / weight.inputs * weight.outputs];
    product(instructions, (rows, bias), &weight.view(), &mut results, &Backwards(3));
    results
}

fn here() -> impl Iterator<Item = Instructions> {
    Instructions::ALL.into_iter().filter(|instructions| instructions.are_here())
}

/// Those whose products of so many rows are of whole numbers.
fn exact(rows: usize) -> impl Iterator<Item = Instructions> {
    here().filter(move |instructions| rows <= ROWS || *instructions != Instructions::Amx)
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn all_instructions_give_the_same_bits() {
    let mut numbers = Numbers(7);
    let shapes = [[1, 32], [5, 96], [33, 200], [64, 64], [67, 4100], [17, 8200]];
    for (bits_of, block, zeros) in [4, 8]
        .into_iter()
        .flat_map(|bits| [32, 64, 128, BLOCK].map(|block| (bits, block)))
        .flat_map(|(bits, block)| [Zeros::Middle, Zeros::Stored].map(|zeros| (bits, block, zeros)))
    {
        for (index, [outputs, inputs]) in shapes.into_iter().enumerate() {
            let weight = Weight::any(&mut numbers, [bits_of, block, outputs, inputs], zeros);
            let bias = numbers.reals(outputs);
            let bias = index.is_multiple_of(2).then_some(&bias[..]);
            for count in [1, 2, 4, 5, 13, 16, 17, 60] {
                if count * outputs * inputs > 1 << 20 {
                    continue;
                }
                let rows = numbers.reals(count * inputs);
                let plain = results(Instructions::Plain, &rows, &weight, bias);
                for instructions in exact(count) {
                    let found = results(instructions, &rows, &weight, bias);
                    let what = (instructions, bits_of, block, outputs, inputs, count);
                    assert_eq!(bits(&found), bits(&plain), "{what:?}");
                }
            }
        }
    }
}

/// The largest levels with the largest activations, which saturate where pairs are added up in 16 bits.
#[test]
fn extreme_values_are_exact() {
    for (bits, level) in [(8, 0), (8, 255), (4, 0), (4, 255)] {
        let (block, outputs, inputs) = (64, 40, 256);
        let size = outputs * inputs * bits / 8;
        let weight = Weight {
            bits,
            block,
            outputs,
            inputs,
            levels: vec![level; size],
            scales: vec![1.0; outputs * inputs / block],
            zeros: None,
        };
        let digit = if bits == 8 { f64::from(level) - 128.0 } else { f64::from(level & 15) - 8.0 };
        for sign in [1.0, -1.0] {
            for count in [1, 20] {
                let rows = vec![127.0 * sign as f32; count * inputs];
                let wanted = digit * 127.0 * sign * inputs as f64;
                for instructions in here() {
                    let found = results(instructions, &rows, &weight, None);
                    assert!(
                        found.iter().all(|number| f64::from(*number) == wanted),
                        "{instructions:?} {bits} {level}"
                    );
                }
            }
        }
    }
}

/// A row's results are the same bits, alone and among many.
#[test]
fn few_rows_and_many_agree() {
    let mut numbers = Numbers(11);
    for bits_of in [4, 8] {
        let weight = Weight::any(&mut numbers, [bits_of, 32, 48, 4640], Zeros::Stored);
        let rows = numbers.reals(24 * 4640);
        for instructions in exact(24) {
            let many = results(instructions, &rows, &weight, None);
            for count in [1, 3, ROWS] {
                let few: Vec<f32> = rows
                    .chunks(count * 4640)
                    .flat_map(|rows| results(instructions, rows, &weight, None))
                    .collect();
                assert_eq!(bits(&few), bits(&many), "{instructions:?} {bits_of} {count}");
            }
        }
    }
}

/// Rounding loses less than half a level of the largest value of a block.
#[test]
fn activations_lose_half_a_level_at_most() {
    let mut numbers = Numbers(13);
    let (inputs, outputs) = (128, 128);
    // ones on the diagonal
    let levels =
        (0..outputs * inputs).map(|place| if place / inputs == place % inputs { 129 } else { 128 }).collect();
    let scales = vec![1.0; outputs * inputs / 32];
    let weight = Weight { bits: 8, block: 32, outputs, inputs, levels, scales, zeros: None };
    for count in [1, 30] {
        let rows = numbers.reals(count * inputs);
        for instructions in here() {
            for (block, found) in rows.chunks(32).zip(results(instructions, &rows, &weight, None).chunks(32))
            {
                let largest = block.iter().fold(0.0_f32, |size, number| size.max(number.abs()));
                for (wanted, found) in block.iter().zip(found) {
                    assert!((wanted - found).abs() <= largest / 127.0 * 0.500_01, "{wanted} {found}");
                }
            }
        }
    }
}

/// The nearest number of bfloat16, the even one of two.
fn bfloat16(number: f32) -> f64 {
    let bits = number.to_bits();
    f32::from_bits((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000).into()
}

/// Products in bfloat16 lose what rounding both sides loses, and next to nothing when they are added up.
#[test]
fn products_in_bfloat16_are_of_what_was_rounded() {
    if !Instructions::Amx.are_here() {
        return;
    }
    let mut numbers = Numbers(23);
    let shapes = [[1, 32], [16, 64], [33, 200], [70, 2500], [300, 40]];
    for (bits, block, zeros) in [4, 8]
        .into_iter()
        .flat_map(|bits| [32, 64, 128, BLOCK].map(|block| (bits, block)))
        .flat_map(|(bits, block)| [Zeros::Middle, Zeros::Stored].map(|zeros| (bits, block, zeros)))
    {
        for (index, [outputs, inputs]) in shapes.into_iter().enumerate() {
            let weight = Weight::any(&mut numbers, [bits, block, outputs, inputs], zeros);
            let bias = numbers.reals(outputs);
            let bias = index.is_multiple_of(2).then_some(&bias[..]);
            let columns: Vec<f64> = (0..outputs * inputs)
                .map(|place| bfloat16(weight.value(place / inputs, place % inputs)))
                .collect();
            for count in [17, 33, 70] {
                if count * outputs * inputs > 1 << 20 {
                    continue;
                }
                let rows = numbers.reals(count * inputs);
                let found = results(Instructions::Amx, &rows, &weight, bias);
                let rows: Vec<f64> = rows.into_iter().map(bfloat16).collect();
                for (place, found) in found.into_iter().enumerate() {
                    let (row, output) = (place / outputs * inputs, place % outputs);
                    let start = bias.map_or(0.0, |bias| f64::from(bias[output]));
                    let products = rows[row..row + inputs].iter().zip(&columns[output * inputs..]);
                    let (sum, size) = products.fold((start, 1.0), |(sum, size), (value, weight)| {
                        (sum + value * weight, size + (value * weight).abs())
                    });
                    let what = (bits, block, outputs, inputs, count, place);
                    assert!((f64::from(found) - sum).abs() <= 1e-6 * size, "{what:?}: {found} {sum}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let mut numbers = Numbers(17);
    let weight = Weight::any(&mut numbers, [4, 32, 20, 100], Zeros::Stored);
    for (count, bad) in [(1, f32::NAN), (1, f32::INFINITY), (20, f32::NAN), (20, f32::NEG_INFINITY)] {
        let mut rows = numbers.reals(count * 100);
        rows[count * 100 - 50] = bad;
        for instructions in here() {
            let found = results(instructions, &rows, &weight, None);
            let (good, bad) = found.split_at((count - 1) * 20);
            assert!(good.iter().all(|number| number.is_finite()) && bad.iter().all(|number| number.is_nan()));
        }
    }
}

#[test]
fn zeros_and_the_smallest_numbers_are_nothing() {
    let mut numbers = Numbers(19);
    let weight = Weight::any(&mut numbers, [8, 64, 20, 128], Zeros::Middle);
    for count in [1, 20] {
        for value in [0.0, 1e-45, -1e-40] {
            for instructions in here() {
                let found = results(instructions, &vec![value; count * 128], &weight, None);
                assert!(found.iter().all(|number| *number == 0.0), "{instructions:?} {value}");
            }
        }
    }
}
