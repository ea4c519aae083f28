//! `fleming chat`: a conversation at the terminal.

use std::io::{BufRead, IsTerminal, Read, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use clap::Args;
use fleming::wire::{self, Transcript, transcript};
use fleming::{
    AskOptions, Budget, Cancel, Conversation, ConversationId, Engine, Error, Facts, Finish, Modality, Part,
    StudyInput,
};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};
use serde_json::Value;

use super::arguments::{Asking, Given, look};
use super::cut;
use super::display::Display;
use super::exit::{CUT_OFF, INTERRUPTED};
use super::files;
use super::options::{RuntimeArguments, SessionArguments};
use super::output::{NOTICE, complain, note};
use super::question::Before;
use super::refusal::unusable;
use super::studies::{Studies, measurable};

const COMMANDS: &str = "\
/file FILE [OPTIONS]     look at an image, a video or a volume, from the next question on
/image FILE, /video FILE, /volume FILE
                         the same, of a file that must be one
                         OPTIONS are those of a study, such as --slices 16: 'fleming ask --help' lists them
/reset                   forget the conversation and its studies
/save FILE               write the conversation as JSON, for /load, and for --history of ask and chat
/load FILE               go on from what /save wrote, in place of the conversation so far
/help                    this list
/quit                    leave; so does Ctrl-D
Ctrl-C stops an answer; a stopped turn is forgotten, and its studies wait for the next question.
<image> in a question says where the new studies belong; without it they come before the question.";

/// Hold a conversation about images, videos and volumes.
///
/// Lines that begin with / are commands, /help lists them; every other line is a question. Nothing is written to disk
/// without /save or --session. Where the lines come from a pipe or a file, the first that fails ends the chat.
#[derive(Args)]
pub(super) struct Chat {
    #[command(flatten)]
    studies: Studies,
    #[command(flatten)]
    given: Given<Asking>,
    /// Earlier turns to go on from: what /save wrote, or a JSON list of [question, answer] pairs
    #[arg(long, value_name = "FILE.json")]
    history: Option<PathBuf>,
    #[command(flatten)]
    session: SessionArguments,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

/// A conversation and what answers in it.
struct Chatting<'a> {
    engine: &'a Engine,
    conversation: Conversation,
    options: &'a AskOptions,
    budget: Budget,
    interrupts: &'a Interrupts,
    /// What is in the engine's memory.
    last: Option<ConversationId>,
    /// Whether the lines come from a program or a file, which sees no error before it writes the next one.
    piped: bool,
    /// Whether an answer was cut off before it had the form that was asked for.
    lacked_form: bool,
}

impl Chat {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut options = self.given.options(Cancel::default())?;
        options.engine = self.runtime.options(1)?;
        let before = Before::read(self.history.as_deref(), &self.studies, &options)?;
        self.given.chosen()?.fit(&before.kinds)?;
        self.session.check()?;
        let mut lines = Lines::open()?;
        let interrupts = &Interrupts::catch()?;
        let engine = self.runtime.open(1)?;
        self.session.load(&engine)?;
        let conversation = before.conversation(engine.package().manifest().placeholder());
        let (options, budget) = (&options.ask, options.engine.budget);
        // A person may type while stdout goes into a file.
        let piped = !stdin().is_terminal();
        let mut session = Chatting {
            engine: &engine,
            conversation,
            options,
            budget,
            interrupts,
            last: None,
            piped,
            lacked_form: false,
        };
        if let Lines::Terminal(_) = lines {
            interrupts.set(Interruptible::Nothing);
            note(format_args!("{}\n{}\n/help lists the commands.", engine.package().manifest().name, NOTICE));
        }
        let ended = session.go_on(&mut lines);
        let saved = session.last.map_or(Ok(()), |last| self.session.save(&engine, last));
        ended.and(saved)?;
        Ok(if piped && session.lacked_form { ExitCode::from(CUT_OFF) } else { ExitCode::SUCCESS })
    }
}

/// What follows a line.
enum AfterLine {
    Line,
    Leave,
}

impl Chatting<'_> {
    /// Takes lines to their end. On a terminal a line that fails is told and the next one follows.
    fn go_on(&mut self, lines: &mut Lines) -> Result<()> {
        while let Some(line) = lines.next()? {
            match self.take(line.trim()) {
                Ok(AfterLine::Line) => {}
                Ok(AfterLine::Leave) => break,
                Err(error) if self.piped => return Err(error),
                Err(error) => complain(&error),
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<AfterLine> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("", _) => {}
            ("/quit", "") => return Ok(AfterLine::Leave),
            ("/help", "") => note(format_args!("{COMMANDS}")),
            ("/reset", "") => self.conversation.reset(),
            ("/save", file) if !file.is_empty() => self.save(Path::new(file))?,
            ("/load", file) if !file.is_empty() => self.load(Path::new(file))?,
            ("/file", file) if !file.is_empty() => self.look(None, file)?,
            ("/image", file) if !file.is_empty() => self.look(Some(Modality::Image), file)?,
            ("/video", file) if !file.is_empty() => self.look(Some(Modality::Video), file)?,
            ("/volume", file) if !file.is_empty() => self.look(Some(Modality::Volume), file)?,
            ("/save" | "/load" | "/file" | "/image" | "/video" | "/volume", _) => {
                return Err(unusable(word, "the name of a file", &"nothing", "write it after the command"));
            }
            ("/quit" | "/help" | "/reset", rest) => {
                return Err(unusable(word, "nothing after it", &rest, "write it alone"));
            }
            (word, _) if word.starts_with('/') => {
                return Err(unusable(line, "a command of a chat", &word, "/help lists them"));
            }
            _ => self.answer(line)?,
        }
        Ok(AfterLine::Line)
    }

    /// Adds a study. Its options come after the file, whose name may hold spaces.
    fn look(&mut self, kind: Option<Modality>, rest: &str) -> Result<()> {
        let (file, options) = rest.split_at(rest.find(" --").unwrap_or(rest.len()));
        let path = PathBuf::from(file.trim());
        let study = kind.map_or_else(|| StudyInput::file(&*path), |kind| StudyInput::of(kind, &*path));
        let study = study.look(look(options)?);
        measurable(std::slice::from_ref(&study), self.options, self.budget)?;
        self.conversation.add(study);
        Ok(())
    }

    fn answer(&mut self, question: &str) -> Result<()> {
        let cancel = Cancel::default();
        let options = AskOptions { cancel: cancel.clone(), ..self.options.clone() };
        let mut display = Display::new();
        let before = self.interrupts.set(Interruptible::Answer(cancel, 0));
        let request = self.conversation.ask(Part::tagged(self.placeholder(), question));
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
        display.finish(&reply, &options);
        self.last = Some(reply.conversation);
        self.lacked_form |= cut::lacks_form(&reply, &options);
        match reply.finish {
            // What follows was written for a conversation that has this turn.
            Finish::Cancelled | Finish::TimedOut if self.piped => return Err(stopped(reply.finish).into()),
            Finish::Cancelled | Finish::TimedOut => note(format_args!("stopped")),
            _ => self.conversation.keep(&request, &reply, self.engine.package().manifest()),
        }
        Ok(())
    }

    /// What places a study in a question.
    fn placeholder(&self) -> &str {
        self.engine.package().manifest().placeholder()
    }

    /// Goes on from a conversation that was written, whose studies must still be there.
    fn load(&mut self, file: &Path) -> Result<()> {
        let transcript = Transcript::load(file)?;
        measurable(&transcript.studies, self.options, self.budget)?;
        let mut loaded = transcript.conversation(self.placeholder());
        let (placed, studies) = (loaded.places(), loaded.studies().len());
        if placed != studies {
            let wanted = format!("as many studies as its turns place, {placed}");
            let hint = "add the studies to the file, or take their places out of its turns";
            return Err(unusable(&file.display().to_string(), &wanted, &studies, hint));
        }
        loaded.instruction = self.conversation.instruction.clone();
        if transcript.system.is_none() {
            loaded.system = self.conversation.system.clone();
        }
        self.conversation = loaded;
        Ok(())
    }

    /// Writes the conversation. An older one may be replaced, but no other file.
    fn save(&self, file: &Path) -> Result<()> {
        let older =
            |text: String| serde_json::from_str(&text).is_ok_and(|json: Value| json["history"].is_array());
        if file.exists() && !wire::read_text(file).is_ok_and(older) {
            return Err(unusable(
                &file.display().to_string(),
                "a new file, or an older conversation",
                &"a file that is something else",
                "choose another name",
            ));
        }
        let written = transcript(&self.conversation, self.placeholder())?;
        files::write(file, |file| writeln!(file, "{written:#}"))
    }
}

/// What a program that writes the lines is told of an answer that was stopped.
fn stopped(finish: Finish) -> Error {
    let facts = |got: &str, hint: &str| {
        Box::new(Facts { hint: hint.into(), ..Facts::new("the answer", "time to finish", got) })
    };
    match finish {
        Finish::Cancelled => Error::Cancelled(facts("an interrupt", "ask again")),
        _ => Error::TimedOut(facts("its deadline", "raise --timeout")),
    }
}

/// Bytes of a line: one more than a text may have.
const MOST_LINE: u64 = wire::MOST_TEXT_BYTES + 1;

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
                let mut line = Vec::new();
                stdin().lock().take(MOST_LINE).read_until(b'\n', &mut line).context("standard input")?;
                let text = wire::text_of("a line of standard input", &line)?;
                Ok((!line.is_empty()).then_some(text))
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
                    note(format_args!("stopping after this step; once more leaves the chat"));
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
