//! What FFmpeg knows of a packet and its bindings leave out.

use ffmpeg_next as ffmpeg;

use ffmpeg::Packet;
use ffmpeg::ffi::AV_PKT_FLAG_DISCARD;
use ffmpeg::packet::Ref;

/// Whether the frame of a packet is decoded for the sake of others and never shown, because an edit list cuts it away.
pub(super) fn is_hidden(packet: &Packet) -> bool {
    // SAFETY: the pointer leads to the packet that is borrowed here.
    unsafe { (*packet.as_ptr()).flags & AV_PKT_FLAG_DISCARD != 0 }
}
