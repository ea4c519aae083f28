//! How an engine is set up and how a question is answered, as structs that grow.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::arguments::{given, growing, optional_path, optional_text, texts, zero};
use super::enums::preprocessing;
use super::event::{Listener, fleming_event_callback};
use super::log::fleming_log_callback;
use super::status::{CallResult, Failure};
use crate::{AskOptions, Budget, Cancel, Constraint, EngineOptions, Instruction, Sampling};

/// How an engine is set up. 0 and NULL are the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_engine_options {
    /// sizeof(fleming_engine_options)
    pub struct_size: usize,
    /// The ONNX Runtime library; searched for by default, as docs/packaging.md says.
    pub onnxruntime: *const c_char,
    /// The execution provider and, where it has several devices, the number of one: "cpu", "cuda:1". "cpu" by default.
    pub provider: *const c_char,
    /// Options of that provider, as "name=value" with ONNX Runtime's names; provider_option_count texts.
    pub provider_options: *const *const c_char,
    pub provider_option_count: usize,
    /// Threads inside an operator, 1 to 1024; ONNX Runtime's choice by default, one for each physical core.
    pub threads: usize,
    /// Answers at a time, and conversations kept in memory; 1 by default.
    pub slots: usize,
    /// Most tokens in a conversation, prompt and reply together; the model's limit by default.
    pub context: usize,
    /// Requests that may wait for a slot; 64 by default. More are FLEMING_STATUS_BUSY.
    pub queue: usize,
    /// Prompt tokens that run together; 512 by default.
    pub chunk: usize,
    /// Most bytes of image embeddings that are kept; 256 MiB by default. 1 keeps none.
    pub image_cache: u64,
    /// Hears the log; nothing is logged by default. It and log_user_data must be good until the engine is freed, and
    /// everything that was begun with it.
    pub log: fleming_log_callback,
    /// Handed to the callback.
    pub log_user_data: *mut c_void,
    /// Most that is logged, a fleming_log_level; warnings by default.
    pub log_level: i32,
    /// 0
    pub reserved: i32,
    /// Folder for TensorRT's plans, which take minutes to build the first time; "fleming" in the user's cache folder by
    /// default.
    pub engine_cache: *const c_char,
    /// Most bytes of a file that is read as a whole, as pictures are; 2 GiB by default.
    pub max_input_bytes: u64,
    /// Most pixels of one picture, frame or slice; 178956970 by default.
    pub max_pixels: u64,
    /// Most bytes of all frames of a study, and of what is unpacked on the way to them; 4 GiB by default.
    pub max_unpacked_bytes: u64,
    /// Most frames, slices or pictures that a file may say it holds; 16777216 by default.
    pub max_declared_frames: u64,
}

/// How a question is answered. 0 and NULL are the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_ask_options {
    /// sizeof(fleming_ask_options)
    pub struct_size: usize,
    /// Called with events while the answer is generated.
    pub on_event: fleming_event_callback,
    /// Handed to the callback.
    pub user_data: *mut c_void,
    /// The system message; the package's by default.
    pub system: *const c_char,
    /// What stands before the question. By default the package's text, which asks for a thought and an answer; "" is
    /// nothing: the question as it is.
    pub instruction: *const c_char,
    /// Holds the answer to one of these texts. Of choices, json_schema, regex and grammar at most one may be given.
    pub choices: *const *const c_char,
    /// How many choices there are.
    pub choice_count: usize,
    /// Holds the answer to JSON that is valid under this schema.
    pub json_schema: *const c_char,
    /// Holds the answer to a match of this regular expression.
    pub regex: *const c_char,
    /// Holds the answer to a text of this Lark grammar.
    pub grammar: *const c_char,
    /// Texts that end the reply where they first occur in it.
    pub stops: *const *const c_char,
    /// How many stops there are.
    pub stop_count: usize,
    /// Most tokens to generate; the package's number by default.
    pub max_new_tokens: usize,
    /// Most tokens of thought; then the answer begins. No limit by default.
    pub max_thinking_tokens: usize,
    /// Most tiles that an image is cut into; 1 by default.
    pub max_tiles: usize,
    /// Tokens guessed ahead and verified in one run, 1 to 32; none by default. For replies that repeat the prompt or themselves.
    pub speculation: usize,
    /// Most milliseconds from the call to the end of the answer, which is then as far as it got. No limit by default.
    pub timeout_ms: u64,
    /// Where the random numbers start; the same seed gives the same reply.
    pub seed: u64,
    /// With a temperature, draws from this many of the likeliest tokens; from all by default.
    pub top_k: usize,
    /// 0 takes the likeliest token; above, tokens are drawn.
    pub temperature: f32,
    /// With a temperature, draws from the fewest tokens that together have this probability; from all by default.
    pub top_p: f32,
    /// With a temperature, draws from tokens with at least this share of the likeliest one's probability.
    pub min_p: f32,
    /// Above 1, makes tokens of prompt and reply less likely; 1 by default.
    pub repetition_penalty: f32,
    /// Subtracted from a token's logit for each time that it occurs in the reply.
    pub frequency_penalty: f32,
    /// Subtracted from a token's logit if it occurs in the reply.
    pub presence_penalty: f32,
    /// A fleming_preprocessing; FLEMING_PREPROCESSING_CLINICAL by default.
    pub preprocessing: i32,
    /// 0
    pub reserved: i32,
}

growing!(fleming_engine_options, fleming_ask_options);

/// Texts of the form `name=value`.
fn pairs(settings: &[String]) -> CallResult<Vec<(String, String)>> {
    let pair = |setting: &String| -> CallResult<_> {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| Failure::argument("provider_options", "name=value", setting))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    settings.iter().map(pair).collect()
}

impl fleming_engine_options {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn read(&self) -> CallResult<EngineOptions> {
        zero("reserved", self.reserved)?;
        let standard = EngineOptions::default();
        let cache = usize::try_from(self.image_cache).unwrap_or(usize::MAX);
        // SAFETY: the caller's.
        let (library, provider, settings, engine_cache) = unsafe {
            (
                optional_path("onnxruntime", self.onnxruntime)?,
                optional_text("provider", self.provider)?,
                texts("provider_options", self.provider_options, self.provider_option_count)?,
                optional_path("engine_cache", self.engine_cache)?,
            )
        };
        Ok(EngineOptions {
            library,
            provider: provider.unwrap_or(standard.provider),
            provider_options: pairs(&settings)?,
            threads: given(self.threads),
            context: given(self.context),
            slots: given(self.slots).unwrap_or(standard.slots),
            queue: given(self.queue).unwrap_or(standard.queue),
            chunk: given(self.chunk).unwrap_or(standard.chunk),
            vision_cache: given(cache).unwrap_or(standard.vision_cache),
            plan_cache: engine_cache,
            budget: self.budget(),
        })
    }

    fn budget(&self) -> Budget {
        let or = |number: u64, standard: u64| if number == 0 { standard } else { number };
        let standard = Budget::default();
        Budget {
            input_bytes: or(self.max_input_bytes, standard.input_bytes),
            pixels: or(self.max_pixels, standard.pixels),
            unpacked_bytes: or(self.max_unpacked_bytes, standard.unpacked_bytes),
            declared_frames: or(self.max_declared_frames, standard.declared_frames),
        }
    }
}

impl fleming_ask_options {
    /// What is asked of the answer; the switch stops it.
    ///
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn read(&self, cancel: &Cancel) -> CallResult<AskOptions> {
        zero("reserved", self.reserved)?;
        let preprocessing = preprocessing(self.preprocessing)?;
        Ok(AskOptions {
            max_new_tokens: given(self.max_new_tokens),
            max_thinking_tokens: given(self.max_thinking_tokens),
            max_tiles: given(self.max_tiles),
            speculation: given(self.speculation),
            // SAFETY: the caller's.
            stop_strings: unsafe { texts("stops", self.stops, self.stop_count) }?,
            // SAFETY: the caller's.
            constraint: unsafe { self.constraint() }?,
            sampling: self.sampling(),
            preprocessing,
            cancel: cancel.clone(),
            timeout: (self.timeout_ms != 0).then(|| Duration::from_millis(self.timeout_ms)),
            ..AskOptions::default()
        })
    }

    /// The system message, and what stands before the question.
    ///
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn frame(&self) -> CallResult<(Option<String>, Instruction)> {
        // SAFETY: the caller's.
        let (system, instruction) = unsafe {
            (optional_text("system", self.system)?, optional_text("instruction", self.instruction)?)
        };
        let instruction = match instruction {
            None => Instruction::Reasoning,
            Some(text) if text.is_empty() => Instruction::Direct,
            Some(text) => Instruction::Custom(text),
        };
        Ok((system, instruction))
    }

    /// Who hears of the answer.
    pub(super) fn listener(&self) -> Listener {
        Listener::new(self.on_event, self.user_data)
    }

    fn sampling(&self) -> Sampling {
        let or_one = |number: f32| if number == 0.0 { 1.0 } else { number };
        Sampling {
            repetition_penalty: or_one(self.repetition_penalty),
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            temperature: self.temperature,
            min_p: self.min_p,
            top_k: given(self.top_k),
            top_p: or_one(self.top_p),
            seed: self.seed,
            ..Sampling::default()
        }
    }

    unsafe fn constraint(&self) -> CallResult<Option<Constraint>> {
        // SAFETY: the caller's.
        let (choices, schema, regex, grammar) = unsafe {
            (
                texts("choices", self.choices, self.choice_count)?,
                optional_text("json_schema", self.json_schema)?,
                optional_text("regex", self.regex)?,
                optional_text("grammar", self.grammar)?,
            )
        };
        let choices = (!choices.is_empty()).then_some(Constraint::Choice(choices));
        let all = [
            choices,
            schema.map(Constraint::JsonSchema),
            regex.map(Constraint::Regex),
            grammar.map(Constraint::Lark),
        ];
        let mut given = all.into_iter().flatten();
        match (given.next(), given.next()) {
            (_, Some(_)) => {
                Err(Failure::argument("constraint", "one of choices, json_schema, regex, grammar", "several"))
            }
            (constraint, None) => Ok(constraint),
        }
    }
}
