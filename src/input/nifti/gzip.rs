//! A gzip stream, unpacked from front to back: any number of members, and anything behind them.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::{GzDecoder, MultiGzDecoder};

use super::super::source::Opened;

/// Whether a file that begins with these bytes is packed.
pub(super) fn is_packed(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// The first bytes of what is packed in a file that begins with these bytes, as many as there are of them.
pub(super) fn peek(head: &[u8], most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    let (mut decoder, mut read) = (MultiGzDecoder::new(head), 0);
    while let Ok(more @ 1..) = decoder.read(&mut bytes[read..]) {
        read += more;
    }
    bytes.truncate(read);
    bytes
}

/// What is packed in all members, one after the other. Each member's check sum is compared at its end.
pub(super) struct Members(Option<GzDecoder<BufReader<Opened>>>);

impl Members {
    pub(super) fn new(opened: Opened) -> Self {
        Self(Some(GzDecoder::new(BufReader::with_capacity(1 << 16, opened))))
    }
}

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.0 {
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(mut packed) = self.0.take().map(GzDecoder::into_inner) else { break };
            // What is no further member is nothing of it.
            if is_packed(two(&mut packed)?) {
                self.0 = Some(GzDecoder::new(packed));
            }
        }
        Ok(0)
    }
}

/// The next bytes, without passing them: two, or one where the buffer ends.
fn two(packed: &mut BufReader<Opened>) -> io::Result<&[u8]> {
    let bytes = packed.fill_buf()?;
    // The last byte of a buffer alone must show whether a member begins with it.
    Ok(if bytes == [0x1f] { &[0x1f, 0x8b] } else { bytes })
}

/// Whether a failed read means that the stream itself is damaged.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)
}
