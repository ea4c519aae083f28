//! Bytes that are read from front to back, with their place among all.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

use super::super::source::{Opened, unreadable};
use crate::error::{Error, Result};

/// Bytes that unpacking may give beyond [`MOST_EXPANSION`] times what it took.
const FREE_BYTES: u64 = 64 << 20;
/// Headers and pictures shrink less; a bomb shrinks a thousand times.
const MOST_EXPANSION: u64 = 64;
/// Bytes that are passed over at a time where there is no other way than to read them.
const PIECE: usize = 64 << 10;

/// Bytes that can be passed over.
pub(super) trait Forward: Read {
    /// Goes on by so many bytes. What lies behind the end is found out by the next read.
    fn pass(&mut self, bytes: u64) -> io::Result<()>;
}

/// Bytes, and how many of them were read or passed over.
pub(super) struct Stream<'a> {
    /// For messages.
    name: String,
    inner: Box<dyn Forward + 'a>,
    /// Bytes that were read too early, last one first.
    again: Vec<u8>,
    position: u64,
    /// Bytes in all, where they can be known.
    length: Option<u64>,
}

impl<'a> Stream<'a> {
    /// A source from its beginning.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be read.
    pub(super) fn of_opened(name: &str, opened: &'a mut Opened) -> Result<Self> {
        opened.rewind().map_err(|error| opened.unreadable(error))?;
        let length = Some(opened.length());
        let inner = Box::new(Seeking(BufReader::new(opened)));
        Ok(Self { name: name.into(), inner, again: Vec::new(), position: 0, length })
    }

    /// What an archive unpacks from `packed` bytes.
    pub(super) fn of_unpacked(name: &str, unpacked: impl Read + 'a, packed: u64) -> Self {
        let inner =
            Box::new(Unpacking { name: name.into(), inner: BufReader::new(unpacked), packed, given: 0 });
        Self { name: name.into(), inner, again: Vec::new(), position: 0, length: None }
    }

    /// The rest of the stream, unpacked: positions begin anew.
    pub(super) fn inflated(self) -> Stream<'a> {
        let packed = self.length.map_or(0, |length| length.saturating_sub(self.position));
        let name = self.name.clone();
        Stream::of_unpacked(&name, DeflateDecoder::new(self), packed)
    }

    /// For messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that were read or passed over.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that are left, where that can be known.
    pub(super) fn left(&self) -> Option<u64> {
        self.length.map(|length| length.saturating_sub(self.position))
    }

    /// The next bytes, fewer than asked for where the stream ends.
    ///
    /// # Errors
    /// [`Error::Input`] if the source cannot be read.
    pub(super) fn next(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        let read = self.by_ref().take(bytes as u64).read_to_end(&mut taken);
        read.map_err(|error| unreadable(&self.name, error))?;
        Ok(taken)
    }

    /// The next bytes, exactly as many.
    ///
    /// # Errors
    /// [`Error::Input`] if the stream ends before, or cannot be read.
    pub(super) fn exactly(&mut self, bytes: usize, what: &str) -> Result<Vec<u8>> {
        let taken = self.next(bytes)?;
        match taken.len() == bytes {
            true => Ok(taken),
            false => Err(ended(&self.name, what, bytes as u64, taken.len() as u64)),
        }
    }

    /// Gives bytes back that were read last.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.again.extend(bytes.iter().rev());
        self.position -= bytes.len() as u64;
    }

    /// Goes on by so many bytes.
    ///
    /// # Errors
    /// [`Error::Input`] if the stream cannot be read, or is known to end before.
    pub(super) fn pass(&mut self, bytes: u64, what: &str) -> Result<()> {
        if let Some(left) = self.left().filter(|left| *left < bytes) {
            return Err(ended(&self.name, what, bytes, left));
        }
        let given_back = self.again.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.again.truncate(self.again.len() - given_back);
        let passed = self.inner.pass(bytes - given_back as u64);
        passed.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ended(&self.name, what, bytes, 0),
            _ => unreadable(&self.name, error),
        })?;
        self.position += bytes;
        Ok(())
    }

    /// All bytes that are left, at most so many.
    ///
    /// # Errors
    /// [`Error::Input`] if there is not enough memory for them, or the stream cannot be read.
    pub(super) fn rest(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while (all.len() as u64) < most {
            let piece = self.next(PIECE.min((most - all.len() as u64) as usize))?;
            if piece.is_empty() {
                break;
            }
            if all.try_reserve(piece.len()).is_err() {
                return Err(Error::input(&self.name, format!("memory for {} bytes", all.len()), "less")
                    .hint("close other programs, or unpack the file first"));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (false, Some(first)) = (buffer.is_empty(), self.again.pop()) {
            buffer[0] = first;
            self.position += 1;
            return Ok(1);
        }
        let read = self.inner.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// What is said of a stream that ends within something.
pub(super) fn ended(name: &str, what: &str, wanted: u64, left: u64) -> Error {
    Error::input(name, format!("{wanted} bytes of {what}"), format!("a file that ends after {left} of them"))
        .hint("the file is cut off: copy it again")
}

/// A source in which one can go anywhere.
struct Seeking<'a>(BufReader<&'a mut Opened>);

impl Read for Seeking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Forward for Seeking<'_> {
    fn pass(&mut self, bytes: u64) -> io::Result<()> {
        match i64::try_from(bytes) {
            Ok(bytes) => self.0.seek_relative(bytes),
            Err(_) => self.0.seek(SeekFrom::End(0)).map(drop),
        }
    }
}

/// What comes out of a decompressor, held against what went in.
struct Unpacking<R> {
    name: String,
    inner: BufReader<R>,
    packed: u64,
    given: u64,
}

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.given += read as u64;
        let most = self.packed.saturating_mul(MOST_EXPANSION).saturating_add(FREE_BYTES);
        if self.given > most {
            let wanted =
                format!("at most {most} bytes, the limit of what {} bytes may unpack to", self.packed);
            return Err(io::Error::other(
                Error::input(&self.name, wanted, "more").hint("unpack the file first, if you trust it"),
            ));
        }
        Ok(read)
    }
}

impl<R: Read> Forward for Unpacking<R> {
    fn pass(&mut self, bytes: u64) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let mut left = bytes;
        while left > 0 {
            let most = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
            match self.read(&mut piece[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => left -= read as u64,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;
    use crate::study::Source;
    use crate::watch::Watch;

    fn opened(bytes: &[u8]) -> Opened {
        let source = Source::Bytes { name: "file".into(), bytes: bytes.into() };
        Opened::new(&source, &Watch::default()).unwrap()
    }

    #[test]
    fn bytes_that_were_given_back_come_again() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut opened = opened(&bytes);
        let mut stream = Stream::of_opened("file", &mut opened).unwrap();
        assert_eq!(stream.exactly(8, "it").unwrap(), bytes[..8]);
        stream.unread(&bytes[2..8]);
        assert_eq!((stream.position(), stream.left()), (2, Some(198)));
        assert_eq!(stream.exactly(10, "it").unwrap(), bytes[2..12]);
        stream.unread(&bytes[8..12]);
        stream.pass(92, "it").unwrap();
        assert_eq!(stream.exactly(2, "it").unwrap(), [100, 101]);
        let error = stream.pass(99, "the rest").unwrap_err();
        assert!(error.to_string().contains("ends after 98"), "{error}");
        assert_eq!(stream.next(1000).unwrap().len(), 98);
        assert!(stream.exactly(1, "it").is_err());
    }

    #[test]
    fn what_unpacks_without_end_is_refused_by_a_limit() {
        let pack = |zeros: usize| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            for _ in 0..zeros >> 20 {
                encoder.write_all(&vec![0; 1 << 20]).unwrap();
            }
            encoder.finish().unwrap()
        };
        let packed = pack(200 << 20);
        let mut source = opened(&packed);
        let mut stream = Stream::of_opened("file", &mut source).unwrap().inflated();
        let error = stream.pass(200 << 20, "zeros").unwrap_err();
        assert!(error.to_string().contains("limit"), "{error}");
        let packed = pack(32 << 20);
        let mut source = opened(&packed);
        let mut stream = Stream::of_opened("file", &mut source).unwrap().inflated();
        stream.pass(32 << 20, "zeros").unwrap();
        assert!(stream.pass(1, "more").unwrap_err().to_string().contains("ends"));
    }
}
