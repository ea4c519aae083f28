//! Frames as PNG.

use std::borrow::Cow;

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgb};

use crate::error::{Error, Result};
use crate::preview::Picture;

/// A picture as a PNG of at most this width, in grey where it has no colours.
///
/// # Errors
/// [`Error::Runtime`] if it cannot be encoded.
pub(super) fn png(picture: &Picture, widest: Option<u32>) -> Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    match widest.filter(|widest| *widest < width) {
        None => encode((width, height), Cow::Borrowed(picture.rgb())),
        Some(widest) => {
            let rows = (u64::from(height) * u64::from(widest)).div_ceil(u64::from(width)).max(1);
            let size = (widest, u32::try_from(rows).unwrap_or(height));
            let whole = ImageBuffer::<Rgb<u8>, &[u8]>::from_raw(width, height, picture.rgb());
            let small = whole.map(|whole| resize(&whole, size.0, size.1, FilterType::Triangle));
            encode(size, Cow::Owned(small.map(ImageBuffer::into_raw).unwrap_or_default()))
        }
    }
}

fn encode((width, height): (u32, u32), rgb: Cow<'_, [u8]>) -> Result<Vec<u8>> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let is_grey = pixels.iter().all(|[red, green, blue]| red == green && green == blue);
    let (colour, samples) = match is_grey {
        true => {
            (png::ColorType::Grayscale, Cow::Owned(pixels.iter().map(|[grey, ..]| *grey).collect::<Vec<_>>()))
        }
        false => (png::ColorType::Rgb, rgb),
    };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&samples));
    written.map_err(|error| Error::runtime("picture", "a picture that PNG can hold", error).report())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    fn decoded(file: &[u8]) -> (image::ColorType, image::RgbImage) {
        let picture = image::load_from_memory(file).unwrap();
        (picture.color(), picture.to_rgb8())
    }

    #[test]
    fn pictures_keep_their_pixels_and_grey_ones_take_a_third() {
        let colours: Vec<u8> = (0..60).collect();
        let greys: Vec<u8> = (0..20).flat_map(|grey| [grey; 3]).collect();
        for (samples, colour) in [(colours, image::ColorType::Rgb8), (greys, image::ColorType::L8)] {
            let frame = Picture::of_frame(&Frame::rgb(5, 4, samples.clone()).unwrap());
            let (found, picture) = decoded(&png(&frame, None).unwrap());
            assert_eq!((found, picture.as_raw()), (colour, &samples));
            assert_eq!(png(&frame, Some(5)).unwrap(), png(&frame, None).unwrap());
            let (_, small) = decoded(&png(&frame, Some(2)).unwrap());
            assert_eq!(small.dimensions(), (2, 2));
            assert_eq!(decoded(&png(&frame, Some(1)).unwrap()).1.dimensions(), (1, 1));
        }
        let tall = Picture::of_frame(&Frame::rgb(1, 300, vec![7; 900]).unwrap());
        assert_eq!(decoded(&png(&tall, Some(4000)).unwrap()).1.dimensions(), (1, 300));
    }
}
