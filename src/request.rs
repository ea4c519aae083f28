//! What is asked and what comes back.

mod turns;
mod constraint;
mod sampling;
mod options;
mod reply;

pub use crate::study::{Preprocessing, StudyInput};
pub use crate::watch::Cancel;
pub use constraint::Constraint;
pub use options::{AskOptions, StopRule, Tracing};
pub use reply::{ConversationId, Event, Finish, FrameUsed, Reply, ReplyPart, Timings, Trace, Usage};
pub use sampling::{Sampling, TokenLogprob, TokenLogprobs};
pub use turns::{Exchange, Instruction, Part, Request, Role, Turn};
