//! What FFmpeg knows of packets and its bindings leave out.

use std::ptr::{NonNull, null_mut};
use std::slice;

use ffmpeg_next as ffmpeg;

use ffmpeg::Packet;
use ffmpeg::codec::{self, Parameters};
use ffmpeg::ffi::{
    AV_NOPTS_VALUE, AV_PKT_FLAG_DISCARD, AVCodecParserContext, AVFieldOrder, AVPictureStructure,
    PARSER_FLAG_COMPLETE_FRAMES, av_parser_close, av_parser_init, av_parser_parse2, avio_size,
};
use ffmpeg::format::context;
use ffmpeg::packet::Ref;

/// Whether the frame of a packet is decoded for the sake of others and never shown, because an edit list cuts it away.
pub(super) fn is_hidden(packet: &Packet) -> bool {
    // SAFETY: the pointer leads to the packet that is borrowed here.
    unsafe { (*packet.as_ptr()).flags & AV_PKT_FLAG_DISCARD != 0 }
}

/// Bytes of an open file; 0 if that is not known.
pub(super) fn length(input: &context::Input) -> usize {
    // SAFETY: the pointers lead to the file that is borrowed here, which reads through what `pb` leads to.
    usize::try_from(unsafe { avio_size((*input.as_ptr()).pb) }).unwrap_or(0)
}

/// What a container keeps of a stream's own headers.
pub(super) fn header_of(parameters: &Parameters) -> &[u8] {
    // SAFETY: as many bytes as are stated belong to the parameters that are borrowed here.
    unsafe {
        let raw = parameters.as_ptr();
        match usize::try_from((*raw).extradata_size) {
            Ok(length) if !(*raw).extradata.is_null() => slice::from_raw_parts((*raw).extradata, length),
            _ => &[],
        }
    }
}

/// The fields of an interlaced picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// The one with the uppermost line.
    Top,
    /// The other.
    Bottom,
}

/// The field of each picture of a stream that is decoded first, as far as FFmpeg has found that out.
pub(super) fn first_field(parameters: &Parameters) -> Option<Field> {
    // SAFETY: the pointer leads to the parameters that are borrowed here.
    match unsafe { (*parameters.as_ptr()).field_order } {
        AVFieldOrder::AV_FIELD_TT | AVFieldOrder::AV_FIELD_TB => Some(Field::Top),
        AVFieldOrder::AV_FIELD_BB | AVFieldOrder::AV_FIELD_BT => Some(Field::Bottom),
        _ => None,
    }
}

/// Tells packets with a single field from those with a whole picture.
pub(super) struct Parser {
    parser: NonNull<AVCodecParserContext>,
    /// What the headers outside the packets say.
    context: codec::Context,
}

impl Parser {
    /// For one stream, from its beginning; none if FFmpeg has no parser for its codec.
    pub(super) fn new(parameters: Parameters) -> Option<Self> {
        let id: ffmpeg::ffi::AVCodecID = parameters.id().into();
        let context = codec::Context::from_parameters(parameters).ok()?;
        // SAFETY: any number is looked up in a list.
        let mut parser = NonNull::new(unsafe { av_parser_init(id as i32) })?;
        // SAFETY: the parser was just made and nobody else has it.
        unsafe { parser.as_mut().flags |= PARSER_FLAG_COMPLETE_FRAMES };
        Some(Self { parser, context })
    }

    /// The field that the next packet holds alone or first; none if it holds a picture that is not cut into fields.
    pub(super) fn field(&mut self, packet: &Packet) -> Option<Field> {
        let (mut parsed, mut length) = (null_mut(), 0);
        let unknown = AV_NOPTS_VALUE;
        // SAFETY: parser and context are this value's own. The bytes of a packet are followed by zeros, as parsers want it,
        // and stand for the time of the call; what is returned points into them and is not used.
        let structure = unsafe {
            let (parser, context) = (self.parser.as_ptr(), self.context.as_mut_ptr());
            let raw = packet.as_ptr();
            let (data, size) = ((*raw).data, (*raw).size);
            av_parser_parse2(parser, context, &mut parsed, &mut length, data, size, unknown, unknown, -1);
            self.parser.as_ref().picture_structure
        };
        match structure {
            AVPictureStructure::AV_PICTURE_STRUCTURE_TOP_FIELD => Some(Field::Top),
            AVPictureStructure::AV_PICTURE_STRUCTURE_BOTTOM_FIELD => Some(Field::Bottom),
            _ => None,
        }
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // SAFETY: made by `av_parser_init`, and ended once.
        unsafe { av_parser_close(self.parser.as_ptr()) }
    }
}
