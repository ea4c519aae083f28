//! Constraints compiled by llguidance.

use std::fmt::Display;
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::thread::{self, Builder};

use llguidance::api::{GrammarWithLexer, ParserLimits, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{JsonCompileOptions, ParserFactory, regex_to_lark};

use crate::error::{Error, Result};
use crate::request::Constraint;
use crate::sampler::Mask;
use crate::tokenizer::Tokenizer;

/// Bytes of stack while a grammar is compiled. Only what is used of them takes memory.
const STACK: usize = 256 << 20;
/// Longest token, in bytes, that the trie of tokens takes.
const LONGEST_TOKEN: usize = 1000;
/// Longest reason, in characters, that an error gives.
const LONGEST_REASON: usize = 300;

/// Compiles constraints for one vocabulary. The trie of its tokens takes some tenths of a second to build; that happens
/// at the first constraint, once.
#[derive(Default)]
pub(crate) struct Grammars {
    factory: OnceLock<ParserFactory>,
}

/// One answer on its way through a grammar. A clone goes its own way.
#[derive(Clone)]
pub(crate) struct Matcher {
    inner: llguidance::Matcher,
    name: &'static str,
}

impl Grammars {
    /// Compiles a constraint. With `closing` the answer may have a space on either side and ends with that text, which
    /// is part of the grammar: a token may hold the last letters of the answer and the first of the closing.
    ///
    /// # Errors
    /// [`Error::Request`] with the reason, if the constraint is not well formed, uses what is not supported or is too
    /// large.
    pub(crate) fn compile(
        &self,
        tokenizer: &Tokenizer,
        constraint: &Constraint,
        closing: Option<&str>,
    ) -> Result<Matcher> {
        constraint.check()?;
        thread::scope(|scope| {
            let work = || self.compile_here(tokenizer, constraint, closing);
            let thread = Builder::new().name("fleming-grammar".into()).stack_size(STACK);
            let started = thread.spawn_scoped(scope, work).map_err(|error| {
                Error::runtime("fleming-grammar", "a thread", error)
                    .hint("raise the limits of threads and of memory (`ulimit -u`, `ulimit -v`)")
            })?;
            started.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn compile_here(
        &self,
        tokenizer: &Tokenizer,
        constraint: &Constraint,
        closing: Option<&str>,
    ) -> Result<Matcher> {
        let factory = self.factory(tokenizer)?;
        let name = constraint.name();
        let refused = |error: &dyn Display| {
            let wanted = match constraint {
                Constraint::JsonSchema(_) => "a JSON schema that can be kept to",
                Constraint::Regex(_) => "a regular expression",
                Constraint::Choice(_) => "texts to choose from",
                Constraint::Lark(_) => "a Lark grammar",
            };
            Error::request(name, wanted, reason(error)).hint("correct it, or leave it out")
        };
        let grammar = grammar(constraint, closing).map_err(|error| refused(&error))?;
        let parser = factory.create_parser(grammar).map_err(|error| refused(&error))?;
        let mut inner = llguidance::Matcher::new(Ok(parser));
        // The first mask tells whether there is any such answer, and whether the masks are within the limits.
        inner.compute_mask_or_eos().map_err(|error| refused(&error))?;
        Ok(Matcher { inner, name })
    }

    fn factory(&self, tokenizer: &Tokenizer) -> Result<&ParserFactory> {
        if let Some(factory) = self.factory.get() {
            return Ok(factory);
        }
        let built = build(tokenizer)?;
        Ok(self.factory.get_or_init(|| built))
    }
}

fn build(tokenizer: &Tokenizer) -> Result<ParserFactory> {
    let words: Vec<Vec<u8>> = (0..tokenizer.size() as u32).map(|id| word(tokenizer, id)).collect();
    if let Some(id) = words.iter().position(|word| word.len() > LONGEST_TOKEN) {
        let got = format!("{} bytes for id {id}", words[id].len());
        return Err(Error::package(
            "tokenizer.json",
            format!("tokens of at most {LONGEST_TOKEN} bytes"),
            got,
        )
        .hint("export the package again; ask without a schema, an expression or a grammar until then"));
    }
    let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, tokenizer.eos()), &words);
    // Its tokenisation is not the model's own, so nothing is forced by it: every way to write the text stays open.
    let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let mut factory = ParserFactory::new_simple(&environment).map_err(|error| {
        Error::package("tokenizer.json", "tokens that a grammar can be laid over", error)
            .hint("export the package again; ask without a schema, an expression or a grammar until then")
    })?;
    factory.quiet();
    // Messages must not hold what was said.
    *factory.limits_mut() = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
    Ok(factory)
}

/// What the trie holds for an id. Added tokens are no text: they are marked, so that no text of a grammar matches them.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let bytes = tokenizer.bytes(id);
    match tokenizer.is_added(id) || id == tokenizer.eos() {
        true => [&[TokTrie::SPECIAL_TOKEN_MARKER], format!("<{id}>").as_bytes()].concat(),
        false => bytes.to_vec(),
    }
}

/// The grammar of a constraint, with its closing text if there is one.
fn grammar(constraint: &Constraint, closing: Option<&str>) -> std::result::Result<TopLevelGrammar, String> {
    let expression = match constraint {
        Constraint::JsonSchema(text) => {
            let grammar = text.parse().map(GrammarWithLexer::from_json_schema);
            return Ok(nested(on_one_line(grammar.map_err(|error| error.to_string())?), closing));
        }
        Constraint::Lark(text) => return Ok(nested(GrammarWithLexer::from_lark(text.clone()), closing)),
        Constraint::Regex(text) => text.clone(),
        Constraint::Choice(texts) => texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join("|"),
    };
    Ok(match closing {
        None => TopLevelGrammar::from_regex(&expression),
        // The shortest match: what follows the first closing text is not looked at.
        Some(closing) => TopLevelGrammar::from_lark(format!(
            "start: answer\nanswer[suffix={}]: /{}/",
            quoted(closing),
            regex_to_lark(&format!(" ?(?:{expression}) ?"), "")
        )),
    })
}

fn nested(grammar: GrammarWithLexer, closing: Option<&str>) -> TopLevelGrammar {
    let Some(closing) = closing else {
        return TopLevelGrammar::from_grammar(grammar);
    };
    let body = grammar.name.clone().unwrap_or_default();
    let around = format!("start: (\" \")? @{body} (\" \")? {}", quoted(closing));
    let mut around = TopLevelGrammar::from_lark(around);
    for outer in &mut around.grammars {
        outer.name = None;
    }
    around.grammars.push(grammar);
    around
}

/// JSON without line breaks and with at most a space after `,` and `:`. With white space free, a model may go on with it
/// for ever. A schema that says otherwise, under `x-guidance`, is left as it is.
fn on_one_line(mut grammar: GrammarWithLexer) -> GrammarWithLexer {
    let style = JsonCompileOptions {
        whitespace_flexible: false,
        item_separator: ", ?".into(),
        key_separator: ": ?".into(),
        ..JsonCompileOptions::default()
    };
    if let Some(schema) = &mut grammar.json_schema
        && schema.is_object()
        && schema.get("x-guidance").is_none()
    {
        style.apply_to(schema);
    }
    grammar
}

/// A regular expression that matches this text.
fn literal(text: &str) -> String {
    let escape = |letter: char| match letter {
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' | '#' | '&'
        | '-' | '~' => {
            format!("\\{letter}")
        }
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A string of a Lark grammar.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

impl Matcher {
    /// The ids that may come next; the end of the turn is one of them where the answer may end.
    pub(crate) fn mask(&mut self) -> Result<Mask> {
        let allowed = self.inner.compute_mask_or_eos().map_err(|error| failed(self.name, &error))?;
        Ok(Mask::from_words(allowed.into()))
    }

    /// Goes on by one token.
    pub(crate) fn take(&mut self, id: u32) -> Result<()> {
        self.inner.consume_token(id).map_err(|error| failed(self.name, &error))
    }

    /// Whether the answer is complete after this token.
    pub(crate) fn completes(&mut self, id: u32) -> Result<bool> {
        let look = |inner: &mut llguidance::Matcher| {
            inner.consume_token(id)?;
            let complete = inner.is_accepting()?;
            inner.rollback(1).map(|()| complete)
        };
        look(&mut self.inner).map_err(|error| failed(self.name, &error))
    }

    /// Whether the answer is whole and nothing can follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.inner.is_stopped()
    }
}

fn failed(name: &'static str, error: &dyn Display) -> Error {
    Error::request(name, "a constraint that can be kept to step by step", reason(error))
        .hint("make it simpler")
}

/// The first line of a message, shortened: what follows it, or fills it, quotes the grammar.
fn reason(error: &dyn Display) -> String {
    let message = error.to_string();
    // Of an expression, the first line says where, and a later one why.
    let why = message.lines().find_map(|line| line.strip_prefix("error: "));
    why.or(message.lines().next()).unwrap_or_default().chars().take(LONGEST_REASON).collect()
}
