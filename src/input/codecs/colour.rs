//! Y, Cb, Cr to red, green, blue.

/// Changes 8-bit Y, Cb, Cr in full range to red, green, blue, pixel by pixel, with libjpeg's rounding (`jdcolor.c`): what it gives
/// for a JPEG stream is what this makes of the stream's own samples.
pub(in crate::input) fn rgb_of_ycbcr(samples: &mut [u8]) {
    /// Parts of 65536.
    const HALF: i32 = 1 << 15;
    for pixel in samples.as_chunks_mut::<3>().0 {
        let [y, cb, cr] = pixel.map(i32::from);
        let (cb, cr) = (cb - 128, cr - 128);
        let red = y + ((91881 * cr + HALF) >> 16);
        let green = y + ((-22554 * cb - 46802 * cr + HALF) >> 16);
        let blue = y + ((116_130 * cb + HALF) >> 16);
        *pixel = [red, green, blue].map(|value| value.clamp(0, 255) as u8);
    }
}
