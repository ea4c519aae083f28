//! The enums of the header, and what their numbers stand for. Structs hold them as `int32_t`, so that any number can come in.

use tracing::level_filters::LevelFilter;

use super::arguments::one_of;
use super::status::CallResult;
use crate::{Finish, Modality, Preprocessing, ReplyPart, Role};

/// The severity of a line of the log, and the least that a `fleming_log_callback` receives.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_log_level {
    /// A failure that no status reports.
    Error = 1,
    /// What the user should know.
    Warn = 2,
    /// What was loaded, and how much memory it takes.
    Info = 3,
    /// Counts of each request, and what ONNX Runtime logs.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// How faithfully the authors' script is followed where it is broken. docs/input.md lists the cases.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_preprocessing {
    /// Its defects are corrected, each with a warning.
    Clinical = 0,
    /// Bit for bit the script, defects included.
    Reference = 1,
}

/// The kind of an event.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_event_kind {
    /// done of total tiles went through the vision tower.
    Encoding = 1,
    /// done of total prompt tokens are in memory.
    Prefilling = 2,
    /// The next piece of the thought.
    Thought = 3,
    /// The next piece of the answer.
    Answer = 4,
    /// done of total was read in a pass over a file: bytes, packets or slices. Each pass starts anew. Only where reading takes
    /// longer than half a second.
    Reading = 5,
}

/// Why generation ended.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_finish {
    /// The model ended its turn, or a stop string came.
    Stop = 1,
    /// The limit on new tokens or the end of the context was reached.
    Length = 2,
    /// The caller stopped it.
    Cancelled = 3,
    /// The time for it was up.
    TimedOut = 4,
}

/// A part of a reply.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_part {
    /// None.
    None = 0,
    /// The reasoning before the answer.
    Thought = 1,
    /// The answer.
    Answer = 2,
}

/// What kind of thing a study is.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_modality {
    /// A single picture.
    Image = 1,
    /// Frames of a clip in order of time.
    Video = 2,
    /// Slices of a volume, in order.
    Volume = 3,
    /// Of a file, of bytes or of a series that are handed in: whatever their content is. No frame has it.
    Any = 100,
}

/// A type of numbers.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_voxel {
    /// int16_t, as of most CT.
    Int16 = 1,
    /// uint16_t, as of most MR and radiographs; 12 bits in 16 too, see fleming_volume.bits.
    Uint16 = 2,
    /// int8_t
    Int8 = 3,
    /// uint8_t
    Uint8 = 4,
    /// int32_t
    Int32 = 5,
    /// uint32_t
    Uint32 = 6,
    /// float
    Float32 = 7,
    /// double
    Float64 = 8,
}

/// A side of a conversation.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_role {
    /// Who asks.
    User = 1,
    /// The model.
    Assistant = 2,
}

/// What is logged at a level, whose default 0 is that of warnings.
pub(super) fn log_level(number: i32) -> CallResult<LevelFilter> {
    let all = [
        (0, LevelFilter::WARN),
        (fleming_log_level::Error as i32, LevelFilter::ERROR),
        (fleming_log_level::Warn as i32, LevelFilter::WARN),
        (fleming_log_level::Info as i32, LevelFilter::INFO),
        (fleming_log_level::Debug as i32, LevelFilter::DEBUG),
        (fleming_log_level::Trace as i32, LevelFilter::TRACE),
    ];
    one_of("fleming_log_level", &all, number)
}

pub(super) fn preprocessing(number: i32) -> CallResult<Preprocessing> {
    let all = [
        (fleming_preprocessing::Clinical as i32, Preprocessing::Clinical),
        (fleming_preprocessing::Reference as i32, Preprocessing::Reference),
    ];
    one_of("fleming_preprocessing", &all, number)
}

/// What kind of thing a file must be; none if it may be any.
pub(super) fn kind_of_file(number: i32) -> CallResult<Option<Modality>> {
    match number == fleming_modality::Any as i32 {
        true => Ok(None),
        false => modality(number).map(Some),
    }
}

pub(super) fn modality(number: i32) -> CallResult<Modality> {
    let all = [
        (fleming_modality::Image as i32, Modality::Image),
        (fleming_modality::Video as i32, Modality::Video),
        (fleming_modality::Volume as i32, Modality::Volume),
    ];
    one_of("fleming_modality", &all, number)
}

pub(super) fn voxel(number: i32) -> CallResult<fleming_voxel> {
    let all = [
        fleming_voxel::Int16,
        fleming_voxel::Uint16,
        fleming_voxel::Int8,
        fleming_voxel::Uint8,
        fleming_voxel::Int32,
        fleming_voxel::Uint32,
        fleming_voxel::Float32,
        fleming_voxel::Float64,
    ];
    one_of("fleming_voxel", &all.map(|kind| (kind as i32, kind)), number)
}

pub(super) fn role(number: i32) -> CallResult<Role> {
    let all = [(fleming_role::User as i32, Role::User), (fleming_role::Assistant as i32, Role::Assistant)];
    one_of("fleming_role", &all, number)
}

impl From<Modality> for fleming_modality {
    fn from(modality: Modality) -> Self {
        match modality {
            Modality::Image => Self::Image,
            Modality::Video => Self::Video,
            Modality::Volume => Self::Volume,
        }
    }
}

impl From<Finish> for fleming_finish {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Stop => Self::Stop,
            Finish::Length => Self::Length,
            Finish::Cancelled => Self::Cancelled,
            Finish::TimedOut => Self::TimedOut,
        }
    }
}

impl From<Option<ReplyPart>> for fleming_part {
    fn from(part: Option<ReplyPart>) -> Self {
        match part {
            None => Self::None,
            Some(ReplyPart::Thought) => Self::Thought,
            Some(ReplyPart::Answer) => Self::Answer,
        }
    }
}
