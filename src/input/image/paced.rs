//! Bytes in memory for a decoder that must be stopped on its way.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use crate::watch::Watch;

/// Bytes that are handed out at a time.
const PIECE: usize = 64 << 10;

/// Looks at the watch before each piece.
pub(super) struct Paced<'a> {
    bytes: Cursor<&'a [u8]>,
    watch: &'a Watch,
}

impl<'a> Paced<'a> {
    pub(super) fn new(bytes: &'a [u8], watch: &'a Watch) -> Self {
        Self { bytes: Cursor::new(bytes), watch }
    }
}

impl BufRead for Paced<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.watch.check().map_err(io::Error::other)?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE)])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl Seek for Paced<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}
