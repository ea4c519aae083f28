//! `fleming chat`: a conversation at the terminal.

use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use clap::Args;
use fleming::{Cancel, ConversationId, Engine, Finish, StudyInput};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};
use serde_json::Value;

use super::conversation::Conversation;
use super::display::Display;
use super::lines::refused;
use super::options::{GenerationArguments, INTERRUPTED, RuntimeArguments, SessionArguments, unusable};
use super::question::{Transcript, Wording, exchanges, history, transcript};
use super::studies::{Studies, study_from_json};

const COMMANDS: &str = "\
/image FILE              look at an image, from the next question on
/volume FILE [--slices N]
/video FILE [--frames N] [--start S] [--end S]
/reset                   forget the conversation and its studies
/save FILE               write the conversation as JSON, for /load, and for --history of ask and chat
/load FILE               go on from what /save wrote, in place of the conversation so far
/help                    this list
/quit                    leave; so does Ctrl-D
Ctrl-C stops an answer; a stopped turn is forgotten, and its studies wait for the next question.
<image> in a question says where the new studies belong; without it they come before the question.";

/// Hold a conversation about images, videos and volumes.
///
/// Lines that begin with / are commands, /help lists them; every other line is a question. Nothing of it is written to disk
/// unless /save or --session is told to.
#[derive(Args)]
pub(super) struct Chat {
    #[command(flatten)]
    studies: Studies,
    #[command(flatten)]
    wording: Wording,
    /// Earlier turns to go on from: a JSON list of [question, answer] pairs, or what /save wrote
    #[arg(long, value_name = "FILE.json")]
    history: Option<PathBuf>,
    #[command(flatten)]
    generation: GenerationArguments,
    #[command(flatten)]
    session: SessionArguments,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

/// A conversation and what answers in it.
struct Session<'a> {
    engine: &'a Engine,
    conversation: Conversation,
    generation: &'a GenerationArguments,
    interrupts: &'a Interrupts,
    /// What is in the engine's memory.
    last: Option<ConversationId>,
}

impl Chat {
    pub(super) fn run(self) -> Result<ExitCode> {
        let turns = self.history.as_deref().map(history).transpose()?.unwrap_or_default();
        let conversation = Conversation::new(self.studies.0, turns)
            .worded(self.wording.instruction()?, self.wording.system.clone());
        let mut lines = Lines::open()?;
        let interrupts = Interrupts::catch()?;
        let engine = self.runtime.open(1)?;
        self.session.load(&engine)?;
        let (generation, interrupts) = (&self.generation, &interrupts);
        let mut session = Session { engine: &engine, conversation, generation, interrupts, last: None };
        if let Lines::Terminal(_) = lines {
            interrupts.set(Interruptible::Nothing);
            eprintln!("{}\n{}\n/help lists the commands.", engine.package().manifest().name, super::NOTICE);
        }
        while let Some(line) = lines.next()? {
            match session.take(line.trim()) {
                Ok(Next::Line) => {}
                Ok(Next::Leave) => break,
                Err(error) => eprintln!("error: {error:#}"),
            }
        }
        if let Some(last) = session.last {
            self.session.save(&engine, last)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What follows a line.
enum Next {
    Line,
    Leave,
}

impl Session<'_> {
    fn take(&mut self, line: &str) -> Result<Next> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("", _) => {}
            ("/quit", "") => return Ok(Next::Leave),
            ("/help", "") => eprintln!("{COMMANDS}"),
            ("/reset", "") => self.conversation.reset(),
            ("/save", file) if !file.is_empty() => self.save(Path::new(file))?,
            ("/load", file) if !file.is_empty() => self.load(Path::new(file))?,
            ("/image" | "/video" | "/volume", file) if !file.is_empty() => self.look(&word[1..], file)?,
            (word, _) if word.starts_with('/') => {
                return Err(unusable(line, "a command that /help lists", &word));
            }
            _ => self.answer(line)?,
        }
        Ok(Next::Line)
    }

    /// Adds a study. Its options come after the file, whose name may hold spaces.
    fn look(&mut self, kind: &str, rest: &str) -> Result<()> {
        let (file, options) = rest.split_at(rest.find(" --").unwrap_or(rest.len()));
        let file = file.trim();
        let mut arguments = vec![OsString::from(format!("--{kind}={file}"))];
        arguments.extend(options.split_whitespace().map(OsString::from));
        for study in Studies::parse(arguments).map_err(|error| refused(&error))?.0 {
            self.conversation.add(readable(study)?);
        }
        Ok(())
    }

    fn answer(&mut self, question: &str) -> Result<()> {
        let cancel = Cancel::default();
        let options = self.generation.options(cancel.clone())?;
        let mut display = Display::new();
        let before = self.interrupts.set(Interruptible::Answer(cancel, 0));
        let request = self.conversation.ask(question);
        let reply = self.engine.ask(&request, &options, &mut |event| display.show(event));
        self.interrupts.set(before);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                display.leave();
                return Err(match self.conversation.take_back() {
                    0 => error.into(),
                    _ => anyhow::Error::from(error)
                        .context("the studies added since the last answer are taken back"),
                });
            }
        };
        display.finish(&reply);
        self.last = Some(reply.conversation);
        match reply.finish {
            Finish::Cancelled | Finish::TimedOut => eprintln!("stopped"),
            _ => self.conversation.keep(self.engine.package().manifest(), question, &reply),
        }
        Ok(())
    }

    /// Goes on from a conversation that was written, whose studies must still be there.
    fn load(&mut self, file: &Path) -> Result<()> {
        let Transcript { history, studies, system } = transcript(file)?;
        let studies = studies.iter().map(|study| study_from_json(study).and_then(readable));
        let studies = studies.collect::<Result<Vec<_>>>()?;
        let instruction = self.conversation.instruction.clone();
        let loaded = Conversation::new(studies, exchanges(history)).worded(instruction, system);
        let (placed, studies) = loaded.places_and_studies();
        if placed != studies {
            let wanted = format!("as many studies as its turns place, {placed}");
            return Err(unusable(&file.display().to_string(), &wanted, &studies));
        }
        self.conversation = loaded;
        Ok(())
    }

    /// Writes the conversation. An older one may be replaced, but no other file.
    fn save(&self, file: &Path) -> Result<()> {
        let name = file.display().to_string();
        let transcript = |bytes: Vec<u8>| {
            serde_json::from_slice(&bytes).is_ok_and(|json: Value| json["history"].is_array())
        };
        if file.exists() && !fs::read(file).is_ok_and(transcript) {
            return Err(unusable(
                &name,
                "a new file, or an older conversation",
                &"a file that is something else",
            ));
        }
        fs::write(file, format!("{:#}\n", self.conversation.to_json())).context(name)
    }
}

/// A study whose file can be opened.
fn readable(study: StudyInput) -> Result<StudyInput> {
    let file = study.name();
    match fs::File::open(&file) {
        Ok(_) => Ok(study),
        Err(error) => Err(unusable(&file, "a readable file", &error)),
    }
}

/// Where the lines come from.
enum Lines {
    Terminal(Box<Editor<(), MemHistory>>),
    Stream,
}

impl Lines {
    fn open() -> Result<Self> {
        if !stdin().is_terminal() || !stdout().is_terminal() || !stderr().is_terminal() {
            return Ok(Self::Stream);
        }
        let config = Config::builder().auto_add_history(true).build();
        let editor = Editor::with_history(config, MemHistory::new()).context("terminal")?;
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// The next line, or none at the end.
    fn next(&mut self) -> Result<Option<String>> {
        match self {
            Self::Terminal(editor) => loop {
                match editor.readline("> ") {
                    Ok(line) => return Ok(Some(line)),
                    Err(ReadlineError::Interrupted) => {}
                    Err(ReadlineError::Eof) => return Ok(None),
                    Err(error) => return Err(error).context("terminal"),
                }
            },
            Self::Stream => {
                let mut line = String::new();
                let read = stdin().read_line(&mut line).context("standard input")?;
                Ok((read > 0).then_some(line))
            }
        }
    }
}

/// What Ctrl-C does at the moment.
struct Interrupts(Arc<Mutex<Interruptible>>);

enum Interruptible {
    /// It ends the program.
    Program,
    /// It stops the answer; the number counts how often it was pressed.
    Answer(Cancel, usize),
    /// At the prompt of a terminal the line editor hears of it.
    Nothing,
}

/// Presses of Ctrl-C during one answer after which the program ends all the same.
const IMPATIENCE: usize = 3;

impl Interrupts {
    fn catch() -> Result<Self> {
        let state = Arc::new(Mutex::new(Interruptible::Program));
        let handled = state.clone();
        let handler = move || match &mut *handled.lock().unwrap_or_else(PoisonError::into_inner) {
            Interruptible::Answer(cancel, presses) if *presses + 1 < IMPATIENCE => {
                *presses += 1;
                cancel.cancel();
                if *presses + 1 == IMPATIENCE {
                    eprintln!("stopping after this step; once more leaves the chat");
                }
            }
            Interruptible::Nothing => {}
            _ => std::process::exit(INTERRUPTED.into()),
        };
        ctrlc::set_handler(handler).context("interrupt handler")?;
        Ok(Self(state))
    }

    /// Sets what Ctrl-C does from now on; returns what it did before.
    fn set(&self, interruptible: Interruptible) -> Interruptible {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), interruptible)
    }
}
