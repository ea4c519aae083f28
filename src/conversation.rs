//! A conversation that grows turn by turn, with the studies where they were brought in.

use crate::package::Manifest;
use crate::request::{Instruction, Part, Reply, Request, Role, Turn};
use crate::study::StudyInput;

/// A conversation: its turns and its studies.
///
/// An added study is placed before the next question, unless the question places it itself.
/// A turn is kept as it was sent, its instruction included, so that the next prompt begins with the one before and the
/// engine reads only what is new.
///
/// ```no_run
/// # fn main() -> fleming::Result<()> {
/// use fleming::{AskOptions, Conversation, Engine, EngineOptions, StudyInput};
///
/// let engine = Engine::open("models/fleming-vl-8b".as_ref(), &EngineOptions::default())?;
/// let mut conversation = Conversation::default();
/// conversation.add(StudyInput::image("chest.png"));
/// for question in ["What is shown?", "Is there a device?"] {
///     let request = conversation.ask([question.into()]);
///     let reply = engine.ask(&request, &AskOptions::default(), &mut |_| {})?;
///     println!("{}", reply.answer);
///     conversation.keep(&request, &reply, engine.package().manifest());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// The system message; the package's if absent.
    pub system: Option<Vec<Part>>,
    /// What stands before the text of each question.
    pub instruction: Instruction,
    studies: Vec<StudyInput>,
    turns: Vec<Turn>,
    /// How many of the studies no turn has asked about yet; they are the last ones.
    new: usize,
}

impl Conversation {
    /// Continues from these turns. Studies that neither the turns nor the system message place belong to the next question.
    pub fn after(turns: Vec<Turn>, studies: Vec<StudyInput>, system: Option<Vec<Part>>) -> Self {
        let mut conversation = Self { system, turns, ..Self::default() };
        conversation.new = studies.len().saturating_sub(conversation.places());
        conversation.studies = studies;
        conversation
    }

    /// What was said, oldest first.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// The studies, in the order in which they were added.
    pub fn studies(&self) -> &[StudyInput] {
        &self.studies
    }

    /// The studies that no turn has asked about yet; they are the last ones.
    pub fn new_studies(&self) -> &[StudyInput] {
        &self.studies[self.studies.len() - self.new..]
    }

    /// How many studies the turns and the system message place.
    pub fn places(&self) -> usize {
        let parts = self.system.iter().flatten().chain(self.turns.iter().flat_map(|turn| &turn.parts));
        parts.filter(|part| **part == Part::Study).count()
    }

    /// Adds a study to the next question.
    pub fn add(&mut self, study: StudyInput) {
        self.studies.push(study);
        self.new += 1;
    }

    /// Takes back the studies that no turn has asked about; returns how many they were.
    pub fn take_back(&mut self) -> usize {
        self.studies.truncate(self.studies.len() - self.new);
        std::mem::take(&mut self.new)
    }

    /// Forgets what was said and shown; the wording stays.
    pub fn reset(&mut self) {
        self.studies.clear();
        self.turns.clear();
        self.new = 0;
    }

    /// The next question. [`Conversation::keep`] makes it part of the conversation when it is answered.
    pub fn ask(&self, question: impl Into<Vec<Part>>) -> Request {
        let question = question.into();
        // Studies come before the first question by themselves.
        let parts = if self.turns.is_empty() { question } else { self.placed(&question) };
        let mut turns = self.turns.clone();
        turns.push(Turn::user(parts));
        Request {
            studies: self.studies.clone(),
            system: self.system.clone(),
            turns,
            instruction: self.instruction.clone(),
        }
    }

    /// A question with the new studies in it.
    fn placed(&self, question: &[Part]) -> Vec<Part> {
        let leading = if question.contains(&Part::Study) { 0 } else { self.new };
        let places = (0..leading).flat_map(|_| [Part::Study, "\n".into()]);
        places.chain(question.iter().cloned()).collect()
    }

    /// Appends a question that was answered, and its answer. The manifest is that of the package that answered.
    pub fn keep(&mut self, request: &Request, reply: &Reply, manifest: &Manifest) {
        let instruction = manifest.instruction(&request.instruction);
        let mut parts: Vec<Part> = instruction.map(|text| format!("{text}\n").into()).into_iter().collect();
        let asked = request.turns.last().filter(|turn| turn.role == Role::User);
        parts.extend(asked.map(|turn| self.placed(&turn.parts)).unwrap_or_default());
        self.turns.push(Turn::user(parts));
        self.turns.push(Turn::assistant([reply.text.as_str().into()]));
        self.new = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(name: &str) -> StudyInput {
        StudyInput::image(name)
    }

    fn text(parts: &[Part]) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Study => "[study]".into(),
        };
        parts.iter().map(text).collect()
    }

    #[test]
    fn new_studies_come_before_the_question_that_does_not_place_them() {
        let turns = vec![Turn::user([Part::Study, "q".into()]), Turn::assistant(["a".into()])];
        let mut conversation = Conversation::after(turns, vec![study("a"), study("b")], None);
        assert_eq!((conversation.places(), conversation.new_studies().len()), (1, 1));
        let asked = |conversation: &Conversation, parts: &[Part]| {
            text(&conversation.ask(parts.to_vec()).turns.last().unwrap().parts)
        };
        assert_eq!(asked(&conversation, &["Q".into()]), "[study]\nQ");
        assert_eq!(asked(&conversation, &["Q ".into(), Part::Study]), "Q [study]");
        conversation.add(study("c"));
        assert_eq!(asked(&conversation, &["Q".into()]), "[study]\n[study]\nQ");
        assert_eq!(conversation.take_back(), 2);
        assert_eq!((asked(&conversation, &["Q".into()]), conversation.studies().len()), ("Q".into(), 1));
        conversation.reset();
        conversation.add(study("d"));
        assert_eq!(asked(&conversation, &["Q".into()]), "Q", "they lead by themselves");
        // A place in the system message is one.
        let system = Some(vec![Part::Study]);
        assert!(Conversation::after(Vec::new(), vec![study("a")], system).new_studies().is_empty());
    }
}
