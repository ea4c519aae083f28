//! The inverse transform of a block: libjpeg's `jidctint.c` for 8 and 12 bits, to the last bit.

/// Bits of a constant's fraction.
const CONSTANT_BITS: u32 = 13;

/// Coefficients to samples, both in rows. `quantisation` is in rows too.
pub(super) fn inverse(block: &mut [i16; 64], quantisation: &[u16; 64], precision: u32) {
    let first_bits = if precision == 8 { 2 } else { 1 };
    let mut work = [0_i64; 64];
    for x in 0..8 {
        let column: [i64; 8] =
            std::array::from_fn(|y| i64::from(block[8 * y + x]) * i64::from(quantisation[8 * y + x]));
        let values = if column[1..] == [0; 7] {
            [column[0] << first_bits; 8]
        } else {
            transform(column).map(|value| rounded(value, CONSTANT_BITS - first_bits))
        };
        for (y, value) in values.into_iter().enumerate() {
            work[8 * y + x] = value;
        }
    }
    let (most, centre) = ((1 << precision) - 1, 1 << (precision - 1));
    for (row, samples) in work.as_chunks::<8>().0.iter().zip(block.as_chunks_mut::<8>().0) {
        let values = transform(*row).map(|value| rounded(value, CONSTANT_BITS + first_bits + 3));
        // libjpeg's table of limits knows two bits more than a sample has.
        let unused = 64 - (precision + 2);
        *samples = values.map(|value| ((value << unused >> unused) + centre).clamp(0, most) as i16);
    }
}

fn rounded(value: i64, bits: u32) -> i64 {
    (value + (1 << (bits - 1))) >> bits
}

/// One dimension, scaled by 2^13 and the square root of 8.
fn transform(input: [i64; 8]) -> [i64; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    let z1 = (i2 + i6) * 4433;
    let (even2, even3) = (z1 - i6 * 15137, z1 + i2 * 6270);
    let (even0, even1) = ((i0 + i4) << CONSTANT_BITS, (i0 - i4) << CONSTANT_BITS);
    let even = [even0 + even3, even1 + even2, even1 - even2, even0 - even3];
    let (z3, z4) = (i7 + i3, i5 + i1);
    let z5 = (z3 + z4) * 9633;
    let (z1, z2) = ((i7 + i1) * -7373, (i5 + i3) * -20995);
    let (z3, z4) = (z5 - z3 * 16069, z5 - z4 * 3196);
    let odd = [i1 * 12299 + z1 + z4, i3 * 25172 + z2 + z3, i5 * 16819 + z2 + z4, i7 * 2446 + z1 + z3];
    std::array::from_fn(|at| if at < 4 { even[at] + odd[at] } else { even[7 - at] - odd[7 - at] })
}
