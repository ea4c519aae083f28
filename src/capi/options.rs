//! How an engine is set up and how a question is answered, as structs that grow.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::arguments::{
    flag, given, given_or_zero, growing, optional_path, optional_text, texts, values, zero,
};
use super::enums::preprocessing;
use super::event::{Listener, fleming_event_callback, fleming_load_callback, fleming_ready_callback};
use super::log::fleming_log_callback;
use super::status::{CallResult, Failure};
use crate::{
    AskOptions, Budget, Cancel, Constraint, EngineOptions, Instruction, Sampling, StopRule, Tracing,
};

/// How an engine is set up. 0 and NULL are the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_engine_options {
    /// sizeof(fleming_engine_options)
    pub struct_size: usize,
    /// The ONNX Runtime library; searched for by default, as docs/packaging.md says.
    pub onnxruntime: *const c_char,
    /// The execution provider and, where it has several devices, the number of one: "cpu", "cuda:1"; fleming_doctor lists
    /// them. {provider}
    pub provider: *const c_char,
    /// Options of that provider, as "name=value" with ONNX Runtime's names; provider_option_count texts.
    pub provider_options: *const *const c_char,
    pub provider_option_count: usize,
    /// Threads inside an operator. {threads}
    pub threads: usize,
    /// Answers at a time, and conversations kept in memory, each of `context` tokens. {slots}
    pub slots: usize,
    /// Most tokens in a conversation, prompt and reply together. {context}
    pub context: usize,
    /// Answers that may wait beside those with a slot; more are FLEMING_STATUS_BUSY. {queue}
    pub queue: usize,
    /// Prompt tokens that run together; other answers go on in between. {chunk}
    pub chunk: usize,
    /// Most bytes of image embeddings that are kept, for pictures that are asked about again. {image_cache}
    pub image_cache: u64,
    /// Hears the log of this engine; by default that of the process does, see fleming_log. It and log_user_data must be good
    /// until the engine is freed, and everything that was begun with it.
    pub log: fleming_log_callback,
    /// Handed to the callback.
    pub log_user_data: *mut c_void,
    /// Most that is logged, a fleming_log_level; warnings by default.
    pub log_level: i32,
    /// 0
    pub reserved: i32,
    /// Folder for TensorRT's plans, which take minutes to build the first time. {engine_cache}
    pub engine_cache: *const c_char,
    /// Most bytes of a file that is read as a whole, as pictures are. {max_input_bytes}
    pub max_input_bytes: u64,
    /// Most pixels of one picture, frame or slice. {max_pixels}
    pub max_pixels: u64,
    /// Most bytes of all frames of a study, and of what is unpacked on the way to them. {max_unpacked_bytes}
    pub max_unpacked_bytes: u64,
    /// Most frames, slices or pictures that a file may say it holds. {max_declared_frames}
    pub max_declared_frames: u64,
    /// Hears how far fleming_engine_open is, and may end it. It is called in the thread that opens, at the beginning, some ten
    /// times a second and, with all bytes done, once at the end.
    pub on_load: fleming_load_callback,
    /// Handed to that callback.
    pub load_user_data: *mut c_void,
}

/// How a question is answered. 0 and NULL are the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_ask_options {
    /// sizeof(fleming_ask_options)
    pub struct_size: usize,
    /// Called with events while the answer is generated, in the thread that asks or waits.
    pub on_event: fleming_event_callback,
    /// Handed to on_event and on_ready.
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
    /// Texts that end the reply where they first occur in it; they are no part of it. At most 64.
    pub stops: *const *const c_char,
    /// How many stops there are.
    pub stop_count: usize,
    /// Most tokens to generate. {max_new_tokens}
    pub max_new_tokens: usize,
    /// Most tokens of thought; then the answer begins. {max_thinking_tokens}
    pub max_thinking_tokens: usize,
    /// Most tiles that an image is cut into; 0 and 1 cut none. {max_tiles}
    pub max_tiles: usize,
    /// Tokens guessed ahead and verified in one run, for replies that repeat the prompt or themselves. {speculation}
    pub speculation: usize,
    /// Most milliseconds from the call to the end of the answer: reading the inputs, waiting for a slot and generating. The
    /// answer is then as far as it got. 0: no limit.
    pub timeout_ms: u64,
    /// Where the random numbers start; the same seed gives the same reply. {seed}
    pub seed: u64,
    /// With a temperature, draws from this many of the likeliest tokens. {top_k}
    pub top_k: usize,
    /// 0 takes the likeliest token; above, tokens are drawn. {temperature}
    pub temperature: f32,
    /// With a temperature, draws from the fewest tokens that together have this probability. {top_p}
    pub top_p: f32,
    /// With a temperature, draws from tokens with at least this share of the likeliest one's probability. {min_p}
    pub min_p: f32,
    /// Above 1, makes tokens of prompt and reply less likely. {repetition_penalty}
    pub repetition_penalty: f32,
    /// Subtracted from a token's logit for each time that it occurs in the reply. {frequency_penalty}
    pub frequency_penalty: f32,
    /// Subtracted from a token's logit if it occurs in the reply. {presence_penalty}
    pub presence_penalty: f32,
    /// A fleming_preprocessing; FLEMING_PREPROCESSING_CLINICAL by default.
    pub preprocessing: i32,
    /// 0
    pub reserved: i32,
    /// Whose request it is. What one scope left in memory is never reused for another, nor between a request with a scope and
    /// one without (NULL), so neither cached_tokens nor the times of a reply reveal what others asked.
    pub scope: *const c_char,
    /// Added to the logits of these tokens: bias_count ids, and as many numbers, each from -100 to 100.
    pub bias_ids: *const u32,
    pub biases: *const f32,
    pub bias_count: usize,
    /// With logprobs, this many of the likeliest tokens at each place too: {logprobs}.
    pub top_logprobs: usize,
    /// 1: report the log-probability of each token, see fleming_reply_token.
    pub logprobs: i32,
    /// 1: go on at the end of the model's turn, up to max_new_tokens. For measuring.
    pub ignore_eos: i32,
    /// For fleming_engine_submit and _submit_all: called whenever there may be something for fleming_pending_wait, from
    /// threads of the library. For hosts that wait for something else than descriptors; see fleming_pending_descriptor.
    pub on_ready: fleming_ready_callback,
    /// 1: the reply keeps the pictures that the model saw, 3 bytes a pixel of each tile: see fleming_reply_seen.
    pub keep_seen: i32,
    /// 0
    pub reserved_2: i32,
}

// The last field first was `max_declared_frames`.
growing!(fleming_engine_options: 152 168);

// The last field first was `reserved`.
growing!(fleming_ask_options: 184 248);

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
            vision_cache: given_or_zero(cache).unwrap_or(standard.vision_cache),
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
        zero("reserved_2", self.reserved_2)?;
        let preprocessing = preprocessing(self.preprocessing)?;
        Ok(AskOptions {
            max_new_tokens: given(self.max_new_tokens),
            max_thinking_tokens: given_or_zero(self.max_thinking_tokens),
            max_tiles: given(self.max_tiles),
            speculation: given(self.speculation),
            // SAFETY: the caller's.
            stop_strings: unsafe { texts("stops", self.stops, self.stop_count) }?,
            // SAFETY: the caller's.
            constraint: unsafe { self.constraint() }?,
            // SAFETY: the caller's.
            sampling: unsafe { self.sampling() }?,
            stop: match flag("ignore_eos", self.ignore_eos)? {
                true => StopRule::LengthOnly,
                false => StopRule::EndOfTurn,
            },
            logprobs: self.logprobs()?,
            // SAFETY: the caller's.
            scope: unsafe { optional_text("scope", self.scope) }?.map(|scope| scope.into_bytes().into()),
            preprocessing,
            tracing: if flag("keep_seen", self.keep_seen)? { Tracing::Pixels } else { Tracing::Off },
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

    /// Who hears of the answer of this number, from 0.
    pub(super) fn listener(&self, answer: usize) -> Listener {
        Listener::new((self.on_event, self.on_ready), self.user_data, answer)
    }

    fn logprobs(&self) -> CallResult<Option<usize>> {
        match (flag("logprobs", self.logprobs)?, self.top_logprobs) {
            (false, 1..) => Err(Failure::argument("top_logprobs", "0 where logprobs is 0", "a number")),
            (reported, top) => Ok(reported.then_some(top)),
        }
    }

    /// # Safety
    /// The pointers are as the header asks.
    unsafe fn sampling(&self) -> CallResult<Sampling> {
        let or_one = |number: f32| if number == 0.0 { 1.0 } else { number };
        // SAFETY: the caller's.
        let (ids, biases) = unsafe {
            (
                values("bias_ids", self.bias_ids, self.bias_count)?,
                values("biases", self.biases, self.bias_count)?,
            )
        };
        Ok(Sampling {
            logit_bias: ids.into_iter().zip(biases).collect(),
            repetition_penalty: or_one(self.repetition_penalty),
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            temperature: self.temperature,
            min_p: self.min_p,
            top_k: given(self.top_k),
            top_p: or_one(self.top_p),
            seed: self.seed,
        })
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
