//! What the targets share: bytes go in through the library's public doors, and what comes of them must be a result or an error
//! that says what is wrong.

/// Makes a program of what is done with the bytes.
#[macro_export]
macro_rules! target {
    (|$bytes:ident| $work:expr) => {
        #[cfg(feature = "run")]
        libfuzzer_sys::fuzz_target!(|$bytes: &[u8]| $work);
        #[cfg(not(feature = "run"))]
        pub fn target($bytes: &[u8]) {
            $work
        }
    };
}

pub mod engine;
pub mod package;
pub mod wire;

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use fleming::{
    Error, FrameCount, Look, Modality, Preprocessing, ReadOptions, Source, StudyInput, Watch, measure, read,
};

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much more of the processors it may use, with what watches the code. The clock on the wall would find other work that
/// the machine does, and pauses.
const GRACE: Duration = Duration::from_secs(20);

/// Bytes of a study. They are made to begin with `head`, so that they stay with one reader.
pub fn study(bytes: &[u8], head: &[u8]) {
    study_at(bytes, 0, head);
}

/// The same with `head` somewhere else.
pub fn study_at(bytes: &[u8], at: usize, head: &[u8]) {
    let mut bytes = bytes.to_vec();
    if let Some(place) = bytes.get_mut(at..at + head.len()) {
        place.copy_from_slice(head);
    }
    for preprocessing in [Preprocessing::Clinical, Preprocessing::Reference] {
        look_at(&bytes, preprocessing);
    }
}

/// A PNG. The checksums of its chunks are mended, so that what they protect is read.
pub fn png(bytes: &[u8]) {
    const HEAD: &[u8] = b"\x89PNG\r\n\x1a\n";
    let mut bytes = bytes.to_vec();
    let mut at = HEAD.len();
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(sum) = bytes.get(at + 4..at + 8 + length).map(crc32fast::hash) else { break };
        let Some(place) = bytes.get_mut(at + 8 + length..at + 12 + length) else { break };
        place.copy_from_slice(&sum.to_be_bytes());
        at += 12 + length;
    }
    study(&bytes, HEAD);
}

fn look_at(bytes: &[u8], preprocessing: Preprocessing) {
    let started = ProcessTime::now();
    let watch = Watch::default().deadline(Instant::now() + PATIENCE);
    let options = ReadOptions::default().preprocessing(preprocessing).watch(watch);
    let look = Look::default().slices(3).frames(FrameCount::Exactly(3)).shared();
    let source = Source::Bytes { name: "input".into(), bytes: bytes.into() };
    let study = StudyInput::file(source).look(look);
    let measured = measure(&study, &options);
    let found = read(&study, &options);
    assert!(started.elapsed() < PATIENCE + GRACE, "it took {:?} of the processors", started.elapsed());
    match (measured, found) {
        (Ok(measured), Ok(found)) if measured.modality != Modality::Video => {
            let sizes: Vec<_> = found.frames.iter().map(|frame| [frame.width(), frame.height()]).collect();
            assert_eq!(measured.sizes, sizes, "what was counted is what is read");
        }
        (Ok(_), Ok(_)) => {}
        (Err(error), Ok(_)) => panic!("counted: {error}; read: fine"),
        (measured, Err(error)) => {
            explained(&error);
            measured.err().iter().for_each(explained);
        }
    }
}

/// An error says what it is about, what was wanted and what was got, in a line of a length that somebody reads.
pub fn explained(error: &Error) {
    let (facts, line) = (error.facts(), error.to_string());
    let told = [&facts.thing, &facts.wanted, &facts.got].iter().all(|fact| !fact.is_empty());
    assert!(told && line.len() < 4096, "{} bytes: {facts:?}", line.len());
}
