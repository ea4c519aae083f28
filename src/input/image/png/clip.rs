//! The pictures of an animated PNG, one after another.

use png::{BitDepth, BlendOp, ColorType, Decoder, DisposeOp, FrameControl, OutputInfo, Transformations};

use super::super::super::limits::collected;
use super::super::super::reading::ReadOptions;
use super::super::canvas::{Dispose, Piece, Rect, over, replace};
use super::super::paced::Paced;
use super::super::picture::{Fault, samples};
use super::super::reel::{Outline, Reel, shown};
use super::chunks::{announced, delays};
use super::decode::{LIMITS, check_palette, damaged, stored_size};

/// All pictures, before their pixels.
pub(in crate::input::image) fn outline(bytes: &[u8], options: &ReadOptions) -> Result<Outline, Fault> {
    let size = stored_size(bytes, options)?;
    let Some(announced) = announced(bytes) else { return Ok(Outline { size, durations: vec![0.0] }) };
    options.budget.check_frames("", announced.into())?;
    let durations = delays(bytes).take(announced as usize).map(shown).collect();
    Ok(Outline { size, durations })
}

/// Shows pictures until the last that is kept.
pub(in crate::input::image) fn play(
    bytes: &[u8],
    options: &ReadOptions,
    reel: &mut Reel,
) -> Result<(), Fault> {
    let mut decoder = Decoder::new_with_limits(Paced::new(bytes, &options.watch), LIMITS);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.ignore_checksums(false);
    decoder.set_transformations(Transformations::EXPAND | Transformations::ALPHA);
    let mut reader = decoder.read_info().map_err(damaged)?;
    check_palette(reader.info())?;
    if reader.output_color_type().1 == BitDepth::Sixteen {
        return Err(Fault::unsupported("an animated PNG of 16 bits a channel"));
    }
    let length = reader.output_buffer_size().ok_or_else(|| Fault::damaged("PNG", "an impossible size"))?;
    let mut buffer = samples(length)?;
    // The picture for programs that show no animation may stand outside of it.
    let mut is_next = reader.info().frame_control.is_none();
    while !reel.is_done() {
        if is_next {
            reader.next_frame_info().map_err(damaged)?;
        }
        is_next = true;
        let Some(control) = reader.info().frame_control else {
            return Err(Fault::damaged("PNG", "a picture of an animation without its place"));
        };
        let piece = piece(control);
        reel.check(piece.rect)?;
        let frame = reader.next_frame(&mut buffer).map_err(damaged)?;
        // The decoder leaves room for whole rows of the canvas in an interlaced picture.
        let stride = match reader.info().interlaced {
            true => reader.output_line_size(reader.info().width),
            false => Some(frame.line_size),
        };
        let stride = stride.ok_or_else(|| Fault::damaged("PNG", "an impossible size"))?;
        reel.show(piece, &rgba(&buffer, &frame, stride)?)?;
    }
    Ok(())
}

fn piece(control: FrameControl) -> Piece {
    let rect = Rect {
        left: control.x_offset as usize,
        top: control.y_offset as usize,
        width: control.width as usize,
        height: control.height as usize,
    };
    let dispose = match control.dispose_op {
        DisposeOp::None => Dispose::Keep,
        DisposeOp::Background => Dispose::Clear,
        DisposeOp::Previous => Dispose::Restore,
    };
    let blend = match control.blend_op {
        BlendOp::Source => replace,
        BlendOp::Over => over,
    };
    Piece { rect, dispose, blend }
}

/// Rows of `stride` bytes, of grey and alpha or of colours and alpha, as colours and alpha without padding.
fn rgba(buffer: &[u8], frame: &OutputInfo, stride: usize) -> Result<Vec<u8>, Fault> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let rows = buffer.chunks(stride.max(1)).take(height);
    let count = 4 * width * height;
    match frame.color_type {
        ColorType::GrayscaleAlpha => {
            let pixels = rows.flat_map(|row| row.as_chunks::<2>().0.iter().take(width));
            Ok(collected("", count, pixels.flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]))?)
        }
        ColorType::Rgba => {
            Ok(collected("", count, rows.flat_map(|row| row.iter().take(4 * width)).copied())?)
        }
        _ => Err(Fault::unsupported("an animated PNG of pixels without alpha")),
    }
}
