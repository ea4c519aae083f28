//! Turns and studies to token ids and the splice map.
//!
//! A prompt is written as pieces: the template's text, whose control tokens count, the caller's text, whose letters are
//! all it is, and a mark for each frame. In reference mode everything is one text, as in InternVL's `chat()` and the
//! Fleming-VL script on top of it: control tokens count wherever they stand, and the first tags take the frames.

mod reference;

use crate::error::{Error, Result};
use crate::package::{PromptTemplate, Tokens};
use crate::request::{Part, Preprocessing, Request, Role, Turn};
use crate::tokenizer::Tokenizer;

/// A prompt before it is tokenised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pieces: Vec<Piece>,
    pub(crate) warnings: Vec<String>,
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text whose control tokens count.
    Template(String),
    /// Text that is its letters.
    Letters(String),
    /// The next frame.
    Frame,
}

/// The prompt as the decoder takes it.
pub(crate) struct Spliced {
    /// `[tokens]`
    pub(crate) ids: Vec<i64>,
    /// `[tokens]`: the row of the image embeddings that stands here, or −1 for text.
    pub(crate) rows: Vec<i64>,
}

/// Writes out a conversation. `frames` holds the number of frames of each study.
///
/// # Errors
/// [`Error::Request`] if the turns do not alternate or end with the user's, or if the studies are not placed.
pub(crate) fn write(
    template: &PromptTemplate,
    request: &Request,
    frames: &[usize],
    mode: Preprocessing,
) -> Result<Written> {
    check_turns(&request.turns)?;
    match mode {
        Preprocessing::Reference => reference::write(template, request, frames),
        Preprocessing::Clinical => clinical(template, request, frames),
    }
}

/// Turns of both sides in alternation, the user's first and last.
fn check_turns(turns: &[Turn]) -> Result<()> {
    let wanted = |place: usize| if place.is_multiple_of(2) { Role::User } else { Role::Assistant };
    if let Some(place) = (0..turns.len()).find(|&place| turns[place].role != wanted(place)) {
        let role = |role| if role == Role::User { "the user" } else { "the assistant" };
        return Err(Error::request(
            format!("turn {place}"),
            format!("a turn of {}", role(wanted(place))),
            format!("one of {}", role(turns[place].role)),
        )
        .hint("user and assistant take turns, and the user begins"));
    }
    match turns.len().is_multiple_of(2) {
        false => Ok(()),
        true => Err(Error::request("turns", "the user's turn at the end", "nothing to answer")),
    }
}

/// What the caller should know about the text of a request: control tokens in it count in reference mode.
pub(crate) fn remarks(request: &Request, tokenizer: &Tokenizer, mode: Preprocessing) -> Vec<String> {
    let parts = request.system.iter().flatten().chain(request.turns.iter().flat_map(|turn| &turn.parts));
    let controls = |part: &Part| matches!(part, Part::Text(text) if tokenizer.find_added(text).is_some());
    match mode == Preprocessing::Reference && parts.into_iter().any(controls) {
        true => vec!["the text holds control tokens, which count as such, as in the reference".into()],
        false => Vec::new(),
    }
}

fn clinical(template: &PromptTemplate, request: &Request, frames: &[usize]) -> Result<Written> {
    let instruction = template.instruction(&request.instruction);
    let total: usize = frames.iter().sum();
    let marks = Marks::of(template, request, frames)?;
    let mut writer = Writer { pieces: Vec::new(), marks, frames: frames.iter() };
    writer.template(&template.system_start);
    match &request.system {
        Some(parts) => writer.parts(parts),
        None => writer.template(&template.system),
    }
    writer.template(&template.turn_end);
    let (last, earlier) = request.turns.split_last().ok_or_else(nothing_asked)?;
    for turn in earlier {
        writer.template(start(template, turn.role));
        if !turn.is_empty() {
            writer.parts(&turn.parts);
            writer.template(&template.turn_end);
        }
    }
    writer.template(&template.user_start);
    let leading = if marks == Marks::None { total } else { 0 };
    if leading > 0 && instruction.is_none() && !earlier.is_empty() {
        return Err(misplaced(template, frames, 0));
    }
    if instruction.is_some() || leading > 0 || !last.is_empty() {
        if let Some(instruction) = instruction {
            writer.letters(instruction);
            writer.letters("\n");
        }
        for _ in 0..leading {
            writer.pieces.push(Piece::Frame);
            writer.letters("\n");
        }
        writer.parts(&last.parts);
        writer.template(&template.turn_end);
    }
    writer.template(&template.assistant_start);
    Ok(Written { pieces: writer.pieces, warnings: Vec::new() })
}

fn nothing_asked() -> Error {
    Error::request("turns", "at least the user's", "none")
}

fn start(template: &PromptTemplate, role: Role) -> &str {
    match role {
        Role::User => &template.user_start,
        Role::Assistant => &template.assistant_start,
    }
}

/// What a [`Part::Study`] of a request stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    /// There is none.
    None,
    /// A whole study.
    Study,
    /// A frame.
    Frame,
}

impl Marks {
    fn of(template: &PromptTemplate, request: &Request, frames: &[usize]) -> Result<Self> {
        let parts = request.system.iter().flatten().chain(request.turns.iter().flat_map(|turn| &turn.parts));
        match parts.filter(|part| **part == Part::Study).count() {
            0 => Ok(Self::None),
            marks if marks == frames.iter().sum::<usize>() => Ok(Self::Frame),
            marks if marks == frames.len() => Ok(Self::Study),
            marks => Err(misplaced(template, frames, marks)),
        }
    }
}

/// The refusal of a prompt that places `marks` studies or frames.
fn misplaced(template: &PromptTemplate, frames: &[usize], marks: usize) -> Error {
    let tag = &template.placeholder;
    let wanted = match (frames.len(), frames.iter().sum::<usize>()) {
        (0, _) => format!("no {tag}: there is no study"),
        (studies, frames) if studies == frames => format!("{studies} {tag}, one a picture, or none at all"),
        (studies, frames) => {
            format!("{studies} {tag}, one a study, or {frames}, one a frame, or none at all")
        }
    };
    let hint = match marks {
        0 => format!("a conversation that goes on says itself where the study stands: write {tag} there"),
        _ => format!("a {tag} in the system text or in the history counts too"),
    };
    Error::request("prompt", wanted, marks).hint(hint)
}

struct Writer<'a> {
    pieces: Vec<Piece>,
    marks: Marks,
    frames: std::slice::Iter<'a, usize>,
}

impl Writer<'_> {
    fn template(&mut self, text: &str) {
        self.pieces.push(Piece::Template(text.to_owned()));
    }

    fn letters(&mut self, text: &str) {
        self.pieces.push(Piece::Letters(text.to_owned()));
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            match (part, self.marks) {
                (Part::Text(text), _) => self.letters(text),
                (Part::Study, Marks::Frame) => self.pieces.push(Piece::Frame),
                (Part::Study, _) => {
                    for frame in 0..self.frames.next().copied().unwrap_or_default() {
                        if frame > 0 {
                            self.letters("\n");
                        }
                        self.pieces.push(Piece::Frame);
                    }
                }
            }
        }
    }
}

impl Turn {
    fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(text) if text.is_empty()))
    }
}

impl Written {
    /// The prompt as one text with a placeholder for each frame.
    pub(crate) fn text(&self, template: &PromptTemplate) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Template(text) | Piece::Letters(text) => text.clone(),
            Piece::Frame => template.placeholder.clone(),
        };
        self.pieces.iter().map(text).collect()
    }

    /// Tokenises the prompt with the image tokens of each frame in its place. `tile_tokens` holds their number, by frame.
    ///
    /// # Errors
    /// [`Error::Request`] if image tokens stand elsewhere in a reference prompt, so that rows and positions would not
    /// match.
    pub(crate) fn splice(
        &self,
        template: &PromptTemplate,
        tokens: &Tokens,
        tokenizer: &Tokenizer,
        tile_tokens: &[usize],
    ) -> Result<Spliced> {
        let mut splicer = Splicer {
            tokenizer,
            ids: Vec::new(),
            rows: Vec::new(),
            letters: String::new(),
            strips: false,
            row: 0,
        };
        let mut frames = tile_tokens.iter();
        for piece in &self.pieces {
            match piece {
                Piece::Template(text) => splicer.template(text)?,
                Piece::Letters(text) => splicer.letters(text),
                Piece::Frame => {
                    splicer.template(&template.image_start)?;
                    splicer.image(frames.next().copied().unwrap_or_default(), tokens.image_context)?;
                    splicer.template(&template.image_end)?;
                }
            }
        }
        let spliced = splicer.finish()?;
        let image = i64::from(tokens.image_context);
        let found = spliced.ids.iter().filter(|&&id| id == image).count();
        let wanted = tile_tokens.iter().sum::<usize>();
        // Without pictures nothing is spliced, and the reference too reads an image token as the text it is.
        if found != wanted && !tile_tokens.is_empty() {
            return Err(Error::request("prompt", format!("{wanted} image tokens"), found)
                .hint(format!("{} cannot be used as text", template.image_context)));
        }
        Ok(spliced)
    }
}

/// Collects ids. Letters wait until a control token ends them: words are cut without regard to where the text came from.
struct Splicer<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<i64>,
    rows: Vec<i64>,
    letters: String,
    /// Whether the last control token takes the white space after it.
    strips: bool,
    row: i64,
}

impl Splicer<'_> {
    /// Takes in text whose control tokens count.
    fn template(&mut self, mut text: &str) -> Result<()> {
        while let Some((place, token)) = self.tokenizer.find_added(text) {
            self.letters(&text[..place.start]);
            if token.strips_left {
                self.letters.truncate(self.letters.trim_end().len());
            }
            self.flush()?;
            self.push(token.id, -1);
            self.strips = token.strips_right;
            text = &text[place.end..];
        }
        self.letters(text);
        Ok(())
    }

    /// Takes in text that is its letters.
    fn letters(&mut self, text: &str) {
        let text = if self.strips { text.trim_start() } else { text };
        self.strips &= text.is_empty();
        self.letters += text;
    }

    fn image(&mut self, tokens: usize, id: u32) -> Result<()> {
        self.flush()?;
        for _ in 0..tokens {
            self.push(id, self.row);
            self.row += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let letters = std::mem::take(&mut self.letters);
        for id in self.tokenizer.encode_letters(&letters)? {
            self.push(id, -1);
        }
        Ok(())
    }

    fn push(&mut self, id: u32, row: i64) {
        self.ids.push(i64::from(id));
        self.rows.push(row);
    }

    fn finish(mut self) -> Result<Spliced> {
        self.flush()?;
        Ok(Spliced { ids: self.ids, rows: self.rows })
    }
}

#[cfg(test)]
mod tests;
