//! A conversation that grows turn by turn, with the studies where they were brought in.

use fleming::{Exchange, Instruction, Manifest, Part, Reply, Request, StudyInput};
use serde_json::{Value, json};

use super::studies::study_to_json;

/// What places a study in a prompt.
const TAG: &str = "<image>";

pub(super) struct Conversation {
    studies: Vec<StudyInput>,
    /// How many of the studies no turn has asked about yet; they are the last ones.
    new: usize,
    history: Vec<Exchange>,
    pub(super) instruction: Instruction,
    system: Option<String>,
}

impl Conversation {
    /// Begins with these studies and turns. Studies that the turns do not place are asked about by the next question.
    pub(super) fn new(studies: Vec<StudyInput>, history: Vec<Exchange>) -> Self {
        let new = studies.len().saturating_sub(places(&history));
        Self { studies, new, history, instruction: Instruction::default(), system: None }
    }

    /// How many studies its turns place, and how many it has.
    pub(super) fn places_and_studies(&self) -> (usize, usize) {
        (places(&self.history), self.studies.len())
    }

    /// The same conversation with this wording around its questions.
    pub(super) fn worded(self, instruction: Instruction, system: Option<String>) -> Self {
        Self { instruction, system, ..self }
    }

    pub(super) fn add(&mut self, study: StudyInput) {
        self.studies.push(study);
        self.new += 1;
    }

    /// Takes back the studies that no turn has asked about; returns how many they were.
    pub(super) fn take_back(&mut self) -> usize {
        self.studies.truncate(self.studies.len() - self.new);
        std::mem::take(&mut self.new)
    }

    pub(super) fn reset(&mut self) {
        self.studies.clear();
        self.history.clear();
        self.new = 0;
    }

    /// The next turn. New studies come before the question, unless it places them itself.
    pub(super) fn ask(&self, question: &str) -> Request {
        let request = Request::tagged(TAG, self.studies.clone(), &self.history, &self.placed(question));
        let system = self.system.as_deref().map(|text| Part::tagged(TAG, text));
        Request { instruction: self.instruction.clone(), system, ..request }
    }

    fn placed(&self, question: &str) -> String {
        match question.contains(TAG) {
            true => question.to_owned(),
            false => format!("{}{question}", format!("{TAG}\n").repeat(self.new)),
        }
    }

    /// Keeps a turn as it was sent, its instruction included, so that the next prompt begins with this one.
    pub(super) fn keep(&mut self, manifest: &Manifest, question: &str, reply: &Reply) {
        let instruction = manifest.instruction(&self.instruction);
        let instruction = instruction.map(|text| format!("{text}\n")).unwrap_or_default();
        // A tag that the model wrote would take the place of a study.
        let answer = reply.text.replace(TAG, "<_image_>");
        self.history.push(Exchange { question: instruction + &self.placed(question), answer });
        self.new = 0;
    }

    /// The conversation as `/save` writes it, and `/load` and `ask --history` read it.
    pub(super) fn to_json(&self) -> Value {
        let placed = &self.studies[..self.studies.len() - self.new];
        let turn = |turn: &Exchange| json!([turn.question, turn.answer]);
        json!({
            "history": self.history.iter().map(turn).collect::<Vec<_>>(),
            "studies": placed.iter().map(study_to_json).collect::<Vec<_>>(),
            "system": self.system,
        })
    }
}

/// How many studies these turns place.
fn places(history: &[Exchange]) -> usize {
    history.iter().map(|turn| turn.question.matches(TAG).count()).sum()
}
