//! A file whose pixels are not read.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::source::Opened;

/// A file that yields zeros from the moment its switch is thrown, at the cost of no read. What follows the header of
/// an MP4 file without fragments is nothing but the content of packets.
pub(super) struct Hollow {
    pub(super) opened: Opened,
    pub(super) is_hollow: Arc<AtomicBool>,
}

impl Read for Hollow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_hollow.load(Ordering::Relaxed) {
            return self.opened.read(buffer);
        }
        let left = self.opened.length().saturating_sub(self.opened.stream_position()?);
        let bytes = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        buffer[..bytes].fill(0);
        self.opened.seek(SeekFrom::Current(bytes as i64))?;
        Ok(bytes)
    }
}

impl Seek for Hollow {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.opened.seek(to)
    }
}
