//! Turns and pictures to token ids and the splice map.
//!
//! The rules are those of InternVL's `chat()` and of the Fleming-VL script on top of it: an instruction, then a
//! tag for each picture, then the question; the first tag left anywhere in the prompt takes the next picture.

use crate::error::{Error, Result};
use crate::package::{Prompt, Tokens};
use crate::request::{Preprocessing, Request};
use crate::tokenizer::Tokenizer;

/// The prompt as text, one tag a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaggedPrompt {
    pub(crate) text: String,
    pub(crate) warnings: Vec<String>,
}

/// The prompt as the decoder takes it.
pub(crate) struct Spliced {
    /// `[tokens]`
    pub(crate) ids: Vec<i64>,
    /// `[tokens]`: the row of the image embeddings that stands here, or −1 for text.
    pub(crate) rows: Vec<i64>,
}

/// Writes out the conversation with one placeholder for each frame. `frames` holds the number of frames of each study.
///
/// # Errors
/// [`Error::Request`] if the tags the caller wrote do not fit the studies.
pub(crate) fn write(
    pieces: &Prompt,
    request: &Request,
    frames: &[usize],
    mode: Preprocessing,
) -> Result<TaggedPrompt> {
    let (placement, question) = compose(pieces, request, frames, mode);
    let text = conversation(pieces, request, &question);
    place(pieces, &text, frames, Rule { placement, mode })
}

/// Who put the tags into the prompt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placement {
    /// The caller: a tag may stand for a study or for a frame.
    Caller,
    /// [`compose`]: one for each frame.
    Ours,
}

struct Rule {
    placement: Placement,
    mode: Preprocessing,
}

/// The user's turn: instruction, tags, question.
fn compose(pieces: &Prompt, request: &Request, frames: &[usize], mode: Preprocessing) -> (Placement, String) {
    let instruction = pieces.instruction(&request.instruction);
    // `chat()` looks for a tag in the question only, whatever the system text holds.
    let tagged = match (mode, &request.history) {
        (Preprocessing::Reference, None) => request.question.contains(&pieces.placeholder),
        _ => conversation(pieces, request, &request.question).contains(&pieces.placeholder),
    };
    // The script's functions, which know one study and no history, write tags without looking at the question.
    let as_script = mode == Preprocessing::Reference
        && instruction.is_some()
        && request.history.is_none()
        && frames.len() == 1;
    // `chat()` writes a tag only into a conversation that begins.
    let may_lead = instruction.is_some() || request.history.is_none();
    let mut turn = String::new();
    if let Some(instruction) = instruction {
        turn += instruction;
        turn.push('\n');
    }
    let mut placement = Placement::Caller;
    if as_script || (!tagged && may_lead) {
        placement = Placement::Ours;
        let tag = format!("{}\n", pieces.placeholder);
        turn += &tag.repeat(frames.iter().sum());
    }
    turn += &request.question;
    (placement, turn)
}

/// System text, earlier turns and this one, up to where the assistant's reply begins. An empty message is a role
/// without text and without an end, as in the reference's template.
fn conversation(pieces: &Prompt, request: &Request, question: &str) -> String {
    let system = request.system.as_deref().unwrap_or(&pieces.system);
    let mut text = format!("{}{system}{}", pieces.system_start, pieces.turn_end);
    let mut say = |role: &str, message: &str| {
        text += role;
        if !message.is_empty() {
            text += message;
            text += &pieces.turn_end;
        }
    };
    for exchange in request.history.iter().flatten() {
        say(&pieces.user_start, &exchange.question);
        say(&pieces.assistant_start, &exchange.answer);
    }
    say(&pieces.user_start, question);
    text + &pieces.assistant_start
}

/// Makes every tag stand for one frame.
fn place(pieces: &Prompt, text: &str, frames: &[usize], rule: Rule) -> Result<TaggedPrompt> {
    let tags = text.matches(&pieces.placeholder).count();
    let total: usize = frames.iter().sum();
    let mut warnings = Vec::new();
    if tags == total {
        return Ok(TaggedPrompt { text: text.into(), warnings });
    }
    if rule.placement == Placement::Caller && tags == frames.len() {
        return Ok(TaggedPrompt { text: spread(pieces, text, frames), warnings });
    }
    if tags > total && rule.mode == Preprocessing::Reference {
        warnings.push(format!(
            "{} of {tags} {} tags stand for no picture and stay in the prompt as text, as in the reference",
            tags - total,
            pieces.placeholder
        ));
        return Ok(TaggedPrompt { text: text.into(), warnings });
    }
    let wanted = match (frames.len(), total) {
        (0, _) => format!("no {} tag: there is no picture", pieces.placeholder),
        (studies, frames) if studies == frames => {
            format!("{studies} {} tags, one a picture, or none at all", pieces.placeholder)
        }
        (studies, frames) => format!(
            "{studies} {} tags, one a study, or {frames}, one a frame, or none at all",
            pieces.placeholder
        ),
    };
    let hint = match (tags, &rule.placement) {
        (0, _) => "a conversation with a history says itself where the picture goes: write <image> into it",
        _ => "tags in the system text and in the history count too",
    };
    Err(Error::request("prompt", wanted, format!("{tags}")).hint(hint))
}

/// Replaces the n-th tag by a tag for each frame of the n-th study, a line each.
fn spread(pieces: &Prompt, text: &str, frames: &[usize]) -> String {
    let mut parts = text.split(&pieces.placeholder);
    let mut spread = parts.next().unwrap_or_default().to_owned();
    for (part, &count) in parts.zip(frames) {
        spread += &vec![pieces.placeholder.as_str(); count].join("\n");
        spread += part;
    }
    spread
}

/// Expands the tags into image tokens and tokenises the whole. `tiles` holds the number of tiles of each frame.
///
/// # Errors
/// [`Error::Request`] if image tokens stand elsewhere in the text, so that rows and positions would not match.
pub(crate) fn splice(
    pieces: &Prompt,
    tokens: &Tokens,
    tokenizer: &Tokenizer,
    tagged: &str,
    tile_tokens: &[usize],
) -> Result<Spliced> {
    let mut text = String::with_capacity(tagged.len());
    let mut rest = tagged;
    for &count in tile_tokens {
        // `place` made sure that there is a tag for every frame.
        let (before, after) = rest.split_once(&pieces.placeholder).unwrap_or((rest, ""));
        text += before;
        text += &pieces.image_start;
        text += &pieces.image_context.repeat(count);
        text += &pieces.image_end;
        rest = after;
    }
    text += rest;
    let ids: Vec<i64> = tokenizer.encode(&text)?.into_iter().map(i64::from).collect();
    if tile_tokens.is_empty() {
        // Nothing is spliced, so that even an image token is read as the text it is.
        return Ok(Spliced { rows: vec![-1; ids.len()], ids });
    }
    let mut row = 0;
    let rows = ids
        .iter()
        .map(|&id| match id == i64::from(tokens.image_context) {
            true => {
                row += 1;
                row - 1
            }
            false => -1,
        })
        .collect();
    let wanted: usize = tile_tokens.iter().sum();
    if row as usize != wanted {
        return Err(Error::request("prompt", format!("{wanted} image tokens"), row)
            .hint(format!("{} cannot be used as text", pieces.image_context)));
    }
    Ok(Spliced { ids, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Exchange, Instruction};

    fn pieces() -> Prompt {
        serde_json::from_value(serde_json::json!({
            "system": "S", "system_start": "[s]", "user_start": "[u]", "assistant_start": "[a]", "turn_end": "|",
            "stop": "|", "placeholder": "<image>", "image_start": "<", "image_context": "#", "image_end": ">",
            "instructions": {"reasoning": "R"}, "thought": ["", ""], "answer": ["", ""],
        }))
        .unwrap()
    }

    fn request(instruction: Instruction, history: Option<&[[&str; 2]]>, question: &str) -> Request {
        let exchange = |[q, a]: &[&str; 2]| Exchange { question: (*q).into(), answer: (*a).into() };
        Request {
            instruction,
            history: history.map(|turns| turns.iter().map(exchange).collect()),
            question: question.into(),
            ..Request::default()
        }
    }

    /// Instruction, history, question, frames of each study, mode; the prompt, or none where that is an error.
    type Row<'a> =
        (Instruction, Option<&'a [[&'a str; 2]]>, &'a str, &'a [usize], Preprocessing, Option<&'a str>);

    #[test]
    fn a_tag_in_the_system_text_counts() {
        use Preprocessing::{Clinical, Reference};
        let request = Request { system: Some("<image>".into()), ..request(Instruction::Direct, None, "Q") };
        for (mode, wanted) in [(Clinical, "[s]<image>|[u]Q|[a]"), (Reference, "[s]<image>|[u]<image>\nQ|[a]")]
        {
            assert_eq!(write(&pieces(), &request, &[1], mode).unwrap().text, wanted);
        }
    }

    #[test]
    fn prompts() {
        use Instruction::{Direct, Reasoning};
        use Preprocessing::{Clinical, Reference};
        let seen: &[[&str; 2]] = &[["<image>\nq", "r"]];
        let table: &[Row] = &[
            (Direct, None, "Q", &[], Clinical, Some("[s]S|[u]Q|[a]")),
            (Direct, None, "", &[], Clinical, Some("[s]S|[u][a]")),
            (Reasoning, None, "Q", &[], Clinical, Some("[s]S|[u]R\nQ|[a]")),
            (Reasoning, None, "Q", &[1], Clinical, Some("[s]S|[u]R\n<image>\nQ|[a]")),
            (Reasoning, None, "Q", &[2], Reference, Some("[s]S|[u]R\n<image>\n<image>\nQ|[a]")),
            (Direct, None, "Q", &[1, 1], Clinical, Some("[s]S|[u]<image>\n<image>\nQ|[a]")),
            // tags of the caller: a study each, or a frame each
            (Direct, None, "a <image> b", &[2], Clinical, Some("[s]S|[u]a <image>\n<image> b|[a]")),
            (Direct, None, "<image> <image>", &[2], Clinical, Some("[s]S|[u]<image> <image>|[a]")),
            (Reasoning, None, "x <image>", &[1], Clinical, Some("[s]S|[u]R\nx <image>|[a]")),
            // the script puts its own tag in front all the same
            (Reasoning, None, "x <image>", &[1], Reference, Some("[s]S|[u]R\n<image>\nx <image>|[a]")),
            // counts that do not fit
            (Direct, None, "<image>", &[1, 1], Clinical, None),
            (Direct, None, "<image>", &[1, 1], Reference, None),
            (Direct, None, "<image><image>", &[1], Clinical, None),
            (Direct, None, "<image><image>", &[1], Reference, Some("[s]S|[u]<image><image>|[a]")),
            (Direct, None, "<image>", &[], Clinical, None),
            (Direct, None, "<image>", &[], Reference, Some("[s]S|[u]<image>|[a]")),
            // histories
            (Direct, Some(seen), "Q", &[1], Clinical, Some("[s]S|[u]<image>\nq|[a]r|[u]Q|[a]")),
            (Reasoning, Some(seen), "Q", &[1], Reference, Some("[s]S|[u]<image>\nq|[a]r|[u]R\nQ|[a]")),
            (Direct, Some(&[["q", ""]]), "Q", &[], Clinical, Some("[s]S|[u]q|[a][u]Q|[a]")),
            (Direct, Some(&[]), "Q", &[1], Clinical, None),
        ];
        for (instruction, history, question, frames, mode, wanted) in table {
            let request = request(instruction.clone(), *history, question);
            let got = write(&pieces(), &request, frames, *mode).ok().map(|tagged| tagged.text);
            assert_eq!(got.as_deref(), *wanted, "{question:?} {frames:?} {mode:?}");
        }
    }
}
