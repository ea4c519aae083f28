//! The prompt with each study where its turn says.

use super::pieces::{Piece, Written, misplaced, nothing_asked, start};
use crate::error::Result;
use crate::package::PromptTemplate;
use crate::request::{Part, Request, Turn};

/// The template's pieces, the caller's letters and the frames.
pub(super) fn write(template: &PromptTemplate, request: &Request, frames: &[usize]) -> Result<Written> {
    let instruction = template.instruction(&request.instruction);
    let total: usize = frames.iter().sum();
    let marks = Marks::of(template, request, frames)?;
    let mut writer = PieceWriter { pieces: Vec::new(), marks, frames: frames.iter() };
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

struct PieceWriter<'a> {
    pieces: Vec<Piece>,
    marks: Marks,
    frames: std::slice::Iter<'a, usize>,
}

impl PieceWriter<'_> {
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
