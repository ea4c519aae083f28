//! What an MP4 or QuickTime file states of itself, against its length.
//!
//! FFmpeg makes a list of all samples from a few numbers in the header, before it reads any of them. Here the numbers are
//! looked at first. Boxes: ISO/IEC 14496-12, and Apple's QuickTime File Format for `cmov` and for sound.

use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};

use flate2::read::ZlibDecoder;

use crate::error::{Error, Result};

/// Times that FFmpeg may go through as many samples as a file may have: for each edit it goes through all once at most.
const MOST_TIMES: u64 = 2;
/// Samples that a byte holds at most: old compressions of sound come near to it.
const MOST_SAMPLES_A_BYTE: u64 = 64;
/// Samples of plain sound that FFmpeg takes as one.
const SOUND_AT_ONCE: u64 = 1024;
/// Bytes of all headers that are unpacked. One holds no other, but a file may say so.
const MOST_HEADER: u64 = 64 << 20;
const MOST_DEPTH: usize = 16;

/// Boxes that hold other boxes.
const CONTAINERS: [&[u8; 4]; 15] = [
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"mvex", b"moof", b"traf", b"udta",
    b"wave", b"sinf", b"schi", b"mfra",
];

/// What the boxes of a file say.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Whether the last box ends with the file, not beyond it.
    pub(super) is_whole: bool,
    /// Whether all samples stand in the header. Else more of them follow, among the pixels.
    pub(super) in_header: bool,
    /// Whether there is a header.
    pub(super) has_header: bool,
    /// Bytes of the file.
    length: u64,
    /// Samples that it may have.
    most: u64,
    boxes: u64,
    /// Bytes of headers that were packed.
    unpacked: u64,
    samples: u64,
    steps: u64,
    track: Track,
}

/// What stands in the tables of one track.
#[derive(Debug, Default)]
struct Track {
    samples: u64,
    edits: u64,
    is_sound: bool,
    is_picture: bool,
    /// Whether every sample lasts one unit of time, as those of plain sound do.
    is_plain: bool,
    chunks: u64,
    /// Samples of the longest chunk.
    longest: u64,
}

impl Track {
    /// Samples as FFmpeg will list them.
    fn listed(&self) -> u64 {
        match self.is_sound && !self.is_picture && self.is_plain {
            true => self.chunks.saturating_mul(self.longest.div_ceil(SOUND_AT_ONCE)),
            false => self.samples,
        }
    }
}

impl Tables {
    /// Reads the sizes of all tables of a file of so many bytes, which may have so many samples.
    ///
    /// # Errors
    /// [`Error::Input`] if they state more than the file can hold, and what the source's watch says.
    pub(super) fn survey<R: Read + Seek>(file: &mut R, length: u64, most: u64) -> Result<Self> {
        let mut tables = Self { is_whole: true, in_header: true, length, most, ..Self::default() };
        let walked = tables.walk(file, 0, length, 0).and_then(|()| tables.settle());
        match walked.map_err(io::Error::downcast::<Error>) {
            Ok(()) => Ok(tables),
            Err(Ok(error)) => Err(error),
            Err(Err(error)) => Err(Error::input("", "a readable header", error)
                .hint("the file is damaged: copy it again, or convert it anew")),
        }
    }

    /// Looks at the boxes between two places.
    fn walk<R: Read + Seek>(&mut self, file: &mut R, mut at: u64, end: u64, depth: usize) -> io::Result<()> {
        while let Some((kind, start, stop)) = header(file, at, end)? {
            self.boxes += 1;
            self.check("boxes", self.boxes, self.most)?;
            self.is_whole &= depth > 0 || stop <= end;
            let stop = stop.min(end);
            match &kind {
                b"cmov" => self.unpack(file, start, stop, depth)?,
                kind if CONTAINERS.contains(&kind) && depth < MOST_DEPTH => {
                    if kind == b"trak" {
                        self.settle()?;
                    }
                    self.has_header |= kind == b"moov";
                    self.in_header &= kind != b"moof" && kind != b"mvex";
                    self.walk(file, start, stop, depth + 1)?;
                }
                _ => self.note(file, &kind, start, stop)?,
            }
            at = stop.max(at + 8);
        }
        Ok(())
    }

    /// Takes down what a table states of itself.
    fn note<R: Read + Seek>(
        &mut self,
        file: &mut R,
        kind: &[u8; 4],
        start: u64,
        stop: u64,
    ) -> io::Result<()> {
        let track = &mut self.track;
        match kind {
            b"hdlr" => match &number(file, start + 8)?.to_be_bytes() {
                b"soun" => track.is_sound = true,
                b"vide" => track.is_picture = true,
                _ => {}
            },
            b"stts" => track.is_plain = number(file, start + 4)? == 1 && number(file, start + 12)? == 1,
            b"stsz" | b"stz2" => track.samples += u64::from(number(file, start + 8)?),
            b"trun" => track.samples += u64::from(number(file, start + 4)?),
            b"elst" => track.edits += u64::from(number(file, start + 4)?),
            b"stco" | b"co64" => track.chunks += u64::from(number(file, start + 4)?),
            b"stsc" => {
                file.seek(SeekFrom::Start(start + 8))?;
                let mut runs = BufReader::new(file.by_ref().take(stop.saturating_sub(start + 8)));
                let mut run = [0; 12];
                while filled(&mut runs, &mut run)? {
                    let [_, _, _, _, a, b, c, d, ..] = run;
                    track.longest = track.longest.max(u64::from(u32::from_be_bytes([a, b, c, d])));
                }
            }
            _ => {}
        }
        self.check("samples", self.track.samples, self.length.saturating_mul(MOST_SAMPLES_A_BYTE))
    }

    /// Ends a track.
    fn settle(&mut self) -> io::Result<()> {
        let track = std::mem::take(&mut self.track);
        let listed = track.listed();
        self.samples = self.samples.saturating_add(listed);
        self.steps = self.steps.saturating_add(listed.saturating_mul(track.edits));
        self.check("samples", self.samples, self.most.min(self.length))?;
        self.check("edits of samples", self.steps, self.most.saturating_mul(MOST_TIMES))
    }

    /// A header that is packed by zlib.
    fn unpack<R: Read + Seek>(
        &mut self,
        file: &mut R,
        start: u64,
        stop: u64,
        depth: usize,
    ) -> io::Result<()> {
        let mut at = start;
        while let Some((kind, content, end)) = header(file, at, stop)? {
            if &kind == b"cmvd" && depth < MOST_DEPTH {
                // The length of the content comes first.
                file.seek(SeekFrom::Start(content + 4))?;
                let packed = file.by_ref().take(end.min(stop).saturating_sub(content + 4));
                let mut unpacked = Vec::new();
                let most = MOST_HEADER.saturating_sub(self.unpacked) + 1;
                ZlibDecoder::new(packed).take(most).read_to_end(&mut unpacked)?;
                let length = unpacked.len() as u64;
                self.unpacked += length;
                self.check("bytes of packed header", self.unpacked, MOST_HEADER)?;
                return self.walk(&mut Cursor::new(unpacked), 0, length, depth + 1);
            }
            at = end.max(at + 8);
        }
        Ok(())
    }

    fn check(&self, what: &str, stated: u64, most: u64) -> io::Result<()> {
        if stated <= most {
            return Ok(());
        }
        let wanted = format!("a header that states at most {most} {what} in {} bytes", self.length);
        Err(io::Error::other(
            Error::input("", wanted, stated).hint("the file is damaged: copy it again, or convert it anew"),
        ))
    }
}

/// The kind of the box at a place, where its content starts and where it ends; none where none stands.
fn header<R: Read + Seek>(file: &mut R, at: u64, end: u64) -> io::Result<Option<([u8; 4], u64, u64)>> {
    if at.saturating_add(8) > end {
        return Ok(None);
    }
    let (mut head, mut long) = ([0; 8], [0; 8]);
    file.seek(SeekFrom::Start(at))?;
    if !filled(file, &mut head)? {
        return Ok(None);
    }
    let [a, b, c, d, kind @ ..] = head;
    let (size, bytes) = match u32::from_be_bytes([a, b, c, d]) {
        // To the end of what it stands in.
        0 => (end - at, 8),
        1 if filled(file, &mut long)? => (u64::from_be_bytes(long), 16),
        size => (u64::from(size), 8),
    };
    Ok((size >= bytes).then(|| (kind, at + bytes, at.saturating_add(size))))
}

/// Four bytes as a number; 0 behind the end.
fn number<R: Read + Seek>(file: &mut R, at: u64) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.seek(SeekFrom::Start(at))?;
    Ok(if filled(file, &mut bytes)? { u32::from_be_bytes(bytes) } else { 0 })
}

/// Whether there were so many bytes.
fn filled<R: Read>(file: &mut R, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes(), kind.as_slice(), content].concat()
    }

    /// A header that is packed.
    fn packed(header: &[u8]) -> Vec<u8> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(header).unwrap();
        let content = [&(header.len() as u32).to_be_bytes(), &*zlib.finish().unwrap()].concat();
        boxed(b"cmov", &boxed(b"cmvd", &content))
    }

    fn survey(file: Vec<u8>) -> Result<Tables> {
        let length = file.len() as u64;
        Tables::survey(&mut Cursor::new(file), length, 1 << 20)
    }

    #[test]
    fn packed_headers_are_unpacked_up_to_a_limit_for_all_of_them() {
        let header = boxed(b"moov", &boxed(b"trak", &boxed(b"free", &[0; 1000])));
        assert!(survey(boxed(b"moov", &packed(&header))).unwrap().has_header);
        // 24 MiB each, and together more than the limit: as if each held the next, too.
        let zeros = packed(&vec![0; 24 << 20]);
        assert!(survey(boxed(b"moov", &zeros.repeat(2))).is_ok());
        for bomb in [zeros.repeat(3), packed(&zeros.repeat(3))] {
            let error = survey(boxed(b"moov", &bomb)).unwrap_err();
            assert!(error.facts().wanted.contains("bytes of packed header"), "{error}");
        }
    }
}
