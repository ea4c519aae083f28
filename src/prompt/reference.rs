//! The prompt as InternVL's `chat()` and the Fleming-VL script on top of it write it: as one text.

use super::pieces::{Piece, Written, misplaced, nothing_asked, start};
use crate::error::Result;
use crate::package::PromptTemplate;
use crate::request::{Part, Request, Turn};

/// The seed's rules: an instruction, then a tag for each picture, then the question; the first tag anywhere in the prompt
/// takes the next picture.
pub(super) fn write(template: &PromptTemplate, request: &Request, frames: &[usize]) -> Result<Written> {
    let (last, earlier) = request.turns.split_last().ok_or_else(nothing_asked)?;
    let question = flat(template, &last.parts);
    let (placement, question) = compose(template, request, frames, &question);
    let text = conversation(template, request, earlier, &question);
    place(template, &text, frames, placement)
}

/// Who put the tags into the prompt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placement {
    /// The caller: a tag may stand for a study or for a frame.
    Caller,
    /// [`compose`]: one for each frame.
    Ours,
}

/// The text of parts, with the placeholder for a study.
fn flat(template: &PromptTemplate, parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Study => template.placeholder.clone(),
    };
    parts.iter().map(text).collect()
}

/// The user's turn: instruction, tags, question.
fn compose(
    template: &PromptTemplate,
    request: &Request,
    frames: &[usize],
    question: &str,
) -> (Placement, String) {
    let instruction = template.instruction(&request.instruction);
    let (_, earlier) = request.turns.split_last().unzip();
    let earlier: &[Turn] = earlier.unwrap_or_default();
    let begins = earlier.is_empty();
    // `chat()` looks for a tag in the question only, whatever the system text holds.
    let tagged = match begins {
        true => question.contains(&template.placeholder),
        false => conversation(template, request, earlier, question).contains(&template.placeholder),
    };
    // The script's functions, which know one study and no history, write tags without looking at the question.
    let as_script = instruction.is_some() && begins && frames.len() == 1;
    // `chat()` writes a tag only into a conversation that begins.
    let may_lead = instruction.is_some() || begins;
    let mut turn = String::new();
    if let Some(instruction) = instruction {
        turn += instruction;
        turn.push('\n');
    }
    let mut placement = Placement::Caller;
    if as_script || (!tagged && may_lead) {
        placement = Placement::Ours;
        let tag = format!("{}\n", template.placeholder);
        turn += &tag.repeat(frames.iter().sum());
    }
    turn += question;
    (placement, turn)
}

/// System text, earlier turns and this one, up to where the assistant's reply begins. An empty message is a role
/// without text and without an end, as in the reference's template.
fn conversation(template: &PromptTemplate, request: &Request, earlier: &[Turn], question: &str) -> String {
    let own = request.system.as_deref().map(|parts| flat(template, parts));
    let system = own.as_deref().unwrap_or(&template.system);
    let mut text = format!("{}{system}{}", template.system_start, template.turn_end);
    let mut say = |role: &str, message: &str| {
        text += role;
        if !message.is_empty() {
            text += message;
            text += &template.turn_end;
        }
    };
    for turn in earlier {
        say(start(template, turn.role), &flat(template, &turn.parts));
    }
    say(&template.user_start, question);
    text + &template.assistant_start
}

/// Makes every tag stand for one frame.
fn place(template: &PromptTemplate, text: &str, frames: &[usize], placement: Placement) -> Result<Written> {
    let tag = template.placeholder.as_str();
    let tags = text.matches(tag).count();
    let total: usize = frames.iter().sum();
    if tags != total && placement == Placement::Caller && tags == frames.len() {
        return Ok(Written {
            pieces: cut(template, &spread(template, text, frames), total),
            warnings: Vec::new(),
        });
    }
    let mut warnings = Vec::new();
    if tags > total {
        warnings.push(format!(
            "{} of {tags} {tag} tags stand for no picture and stay in the prompt as text, as in the reference",
            tags - total
        ));
    } else if tags < total {
        return Err(misplaced(template, frames, tags));
    }
    Ok(Written { pieces: cut(template, text, total), warnings })
}

/// Replaces the n-th tag by a tag for each frame of the n-th study, a line each.
fn spread(template: &PromptTemplate, text: &str, frames: &[usize]) -> String {
    let mut parts = text.split(&template.placeholder);
    let mut spread = parts.next().unwrap_or_default().to_owned();
    for (part, &count) in parts.zip(frames) {
        spread += &vec![template.placeholder.as_str(); count].join("\n");
        spread += part;
    }
    spread
}

/// The text with its first `frames` tags as frames.
fn cut(template: &PromptTemplate, text: &str, frames: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (number, text) in text.splitn(frames + 1, &template.placeholder).enumerate() {
        if number > 0 {
            pieces.push(Piece::Frame);
        }
        pieces.push(Piece::Template(text.to_owned()));
    }
    pieces
}
