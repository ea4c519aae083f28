//! The words around a question.

use super::row::{Document, Form, Row, Spelling};
use crate::limits::Subject;
use crate::request::Instruction;
use crate::wire::text::without_last_newline;

pub(super) static WORDING: [Row; 2] = [
    Row::new(
        Subject::Wording.option("prompt"),
        "reasoning|direct|@FILE",
        Form::Document(spelling, |options, document| {
            options.instruction = match document {
                Document::Word(word) if word == DIRECT => Instruction::Direct,
                Document::Word(_) => Instruction::Reasoning,
                Document::Text(text) => Instruction::Custom(text),
                Document::File(text) => Instruction::Custom(without_last_newline(text)),
            }
        }),
        "What stands before the question: reasoning (the model is asked to think first), direct (nothing) or @FILE",
    )
    .absent(REASONING),
    Row::new(
        Subject::Wording.option("system"),
        "TEXT",
        Form::Text(|options, text| options.system = Some(text), |options| options.system.clone()),
        "System message, instead of the package's",
    ),
];

const REASONING: &str = "reasoning";
const DIRECT: &str = "direct";

fn spelling(text: &str) -> Spelling {
    match text {
        REASONING | DIRECT => Spelling::Word,
        text if text.starts_with('@') => Spelling::File(1),
        _ => Spelling::Wrong("reasoning, direct or @FILE"),
    }
}
