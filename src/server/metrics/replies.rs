//! What a reply says of itself: tokens, times, its end.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::bounds;
use crate::{ErrorCode, Finish, Reply, Timings};

/// What of an answer its reply does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// From the submission to the end of the reply.
    pub(crate) elapsed: Duration,
}

/// The stages of an answer.
const STAGES: [&str; 6] = ["read", "preprocess", "queue", "vision", "prefill", "decode"];

type Label = [(&'static str, &'static str); 1];
type Histograms = Family<Label, Histogram, fn() -> Histogram>;

/// Families of what was answered.
pub(super) struct Replies {
    prompt_tokens: Counter,
    generated_tokens: Counter,
    prompt_of_request: Histogram,
    generated_of_request: Histogram,
    prefix_queries: Counter,
    prefix_hits: Counter,
    finished: Family<Label, Counter>,
    first_token: Histogram,
    between_tokens: Histogram,
    per_token: Histogram,
    whole: Histogram,
    queue: Histogram,
    inference: Histogram,
    prefill: Histogram,
    decode: Histogram,
    stages: Histograms,
}

impl Replies {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let all = Self {
            prompt_tokens: Counter::default(),
            generated_tokens: Counter::default(),
            prompt_of_request: bounds::tokens(),
            generated_of_request: bounds::tokens(),
            prefix_queries: Counter::default(),
            prefix_hits: Counter::default(),
            finished: Family::default(),
            first_token: bounds::first_token(),
            between_tokens: bounds::between_tokens(),
            per_token: bounds::between_tokens(),
            whole: bounds::request(),
            queue: bounds::request(),
            inference: bounds::request(),
            prefill: bounds::request(),
            decode: bounds::request(),
            stages: Family::new_with_constructor(bounds::first_token),
        };
        let ends = [Finish::Stop, Finish::Length, Finish::Cancelled, Finish::TimedOut].map(finished);
        for end in ends.into_iter().chain([FAILED]) {
            let _ = all.finished.get_or_create(&[("finished_reason", end)]);
        }
        for stage in STAGES {
            let _ = all.stages.get_or_create(&[("stage", stage)]);
        }
        all.register_tokens(registry);
        all.register_times(registry);
        all
    }

    fn register_tokens(&self, registry: &mut Registry) {
        let mut counter =
            |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("vllm:prompt_tokens", "Tokens of prompts, those of pictures included", &self.prompt_tokens);
        counter("vllm:generation_tokens", "Tokens generated", &self.generated_tokens);
        counter(
            "vllm:prefix_cache_queries",
            "Tokens of prompts that were looked for in the KV cache",
            &self.prefix_queries,
        );
        counter(
            "vllm:prefix_cache_hits",
            "Tokens of prompts that were in the KV cache already",
            &self.prefix_hits,
        );
        registry.register("vllm:request_success", "Answers by how they ended", self.finished.clone());
        registry.register(
            "vllm:request_prompt_tokens",
            "Tokens of the prompt of an answer",
            self.prompt_of_request.clone(),
        );
        registry.register(
            "vllm:request_generation_tokens",
            "Tokens of an answer",
            self.generated_of_request.clone(),
        );
    }

    fn register_times(&self, registry: &mut Registry) {
        let mut seconds =
            |name: &str, help: &str, times: &Histogram| registry.register(name, help, times.clone());
        seconds(
            "vllm:time_to_first_token_seconds",
            "From submission to the first token, with all reading and waiting",
            &self.first_token,
        );
        seconds(
            "vllm:inter_token_latency_seconds",
            "From one token to the next: an answer's mean, counted once for each of its tokens after the first",
            &self.between_tokens,
        );
        seconds(
            "vllm:request_time_per_output_token_seconds",
            "From one token to the next: an answer's mean, counted once",
            &self.per_token,
        );
        seconds("vllm:e2e_request_latency_seconds", "From submission to the end of the answer", &self.whole);
        seconds(
            "vllm:request_queue_time_seconds",
            "Waiting to be prepared, and then for a slot",
            &self.queue,
        );
        seconds(
            "vllm:request_inference_time_seconds",
            "From leaving the queue to the end of the answer, preparation of pictures left out",
            &self.inference,
        );
        seconds(
            "vllm:request_prefill_time_seconds",
            "Vision tower and prompt, up to the first token",
            &self.prefill,
        );
        seconds(
            "vllm:request_decode_time_seconds",
            "From the first token to the end of the answer",
            &self.decode,
        );
        registry.register(
            "fleming_stage_seconds",
            "An answer's own work in each stage, and its wait in the queue",
            self.stages.clone(),
        );
    }

    /// Counts a reply.
    pub(super) fn answered(&self, reply: &Reply, answered: &Answered) {
        let usage = &reply.usage;
        self.end(finished(reply.finish));
        self.prompt_tokens.inc_by(usage.prompt_tokens as u64);
        self.generated_tokens.inc_by(usage.completion_tokens as u64);
        self.prefix_queries.inc_by(usage.prompt_tokens as u64);
        self.prefix_hits.inc_by(usage.cached_tokens as u64);
        self.prompt_of_request.observe(usage.prompt_tokens as f64);
        self.generated_of_request.observe(usage.completion_tokens as f64);

        let Timings { read, preprocess, queue, vision, prefill, first_token, decode } = reply.timings;
        for (stage, milliseconds) in
            STAGES.into_iter().zip([read, preprocess, queue, vision, prefill, decode])
        {
            self.stages.get_or_create(&[("stage", stage)]).observe(milliseconds / 1e3);
        }
        let whole = answered.elapsed.as_secs_f64();
        self.whole.observe(whole);
        self.queue.observe(queue / 1e3);
        // An answer that ended before its first token has no times after it.
        if usage.completion_tokens == 0 {
            return;
        }
        let first = first_token / 1e3;
        let after = (whole - first).max(0.0);
        let before = (queue + read + preprocess) / 1e3;
        self.first_token.observe(first);
        self.prefill.observe((first - before).max(0.0));
        self.inference.observe((whole - before).max(0.0));
        self.decode.observe(after);
        let steps = usage.completion_tokens - 1;
        if steps > 0 {
            let mean = after / steps as f64;
            self.per_token.observe(mean);
            (0..steps).for_each(|_| self.between_tokens.observe(mean));
        }
    }

    /// Counts a request that ended with an error before there was a reply.
    pub(super) fn failed(&self, code: ErrorCode) {
        self.end(match code {
            ErrorCode::Cancelled => ABORTED,
            ErrorCode::TimedOut => Finish::TimedOut.name(),
            _ => FAILED,
        });
    }

    fn end(&self, how: &'static str) {
        self.finished.get_or_create(&[("finished_reason", how)]).inc();
    }
}

/// vLLM's words for an answer that its caller stopped, and for one that failed.
const ABORTED: &str = "abort";
const FAILED: &str = "error";

/// vLLM's word for how an answer ended, where it has one.
fn finished(finish: Finish) -> &'static str {
    match finish {
        Finish::Cancelled => ABORTED,
        other => other.name(),
    }
}
