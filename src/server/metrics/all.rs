//! All families of one server.

use std::borrow::Cow;
use std::iter;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::engine::{Build, EngineFamilies, Now};
use super::process::Process;
use super::replies::{Answered, Replies};
use super::requests::{Refusal, Requests};
use crate::{ErrorCode, Reply};

/// What a server counts and measures. No other server of the process sees it.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Requests,
    replies: Replies,
    engine: EngineFamilies,
    process: Process,
}

impl Metrics {
    /// Nothing counted yet. `model` is the label `model_name` of every family of ours: the first name that the model is
    /// served under, never what a request calls it.
    pub(crate) fn new(model: &str) -> Self {
        let mut registry = Registry::default();
        let process = Process::new(&mut registry);
        let label = (Cow::Borrowed("model_name"), Cow::Owned(model.to_owned()));
        let ours = registry.sub_registry_with_labels(iter::once(label));
        let (requests, replies, engine) =
            (Requests::new(ours), Replies::new(ours), EngineFamilies::new(ours));
        Self { registry, requests, replies, engine, process }
    }

    /// The package is loaded.
    pub(crate) fn loaded(&self, build: &Build<'_>) {
        self.engine.loaded(build);
    }

    /// A request was handed to the engine.
    pub(crate) fn accepted(&self) {
        self.requests.accepted.inc();
    }

    /// A request was refused before any work was done for it.
    pub(crate) fn refused(&self, reason: Refusal) {
        self.requests.refused(reason);
    }

    /// An accepted request ended with an error.
    pub(crate) fn failed(&self, code: ErrorCode) {
        self.requests.failed(code);
        self.replies.failed(code);
    }

    /// An answer is complete. A request for several answers has several.
    pub(crate) fn answered(&self, reply: &Reply, answered: &Answered) {
        self.replies.answered(reply, answered);
    }

    /// A response went out. `route` is the pattern that its path matched, such as `/v1/files/{id}`, never the path itself:
    /// every value is a series for ever.
    pub(crate) fn responded(&self, route: &str, status: u16) {
        self.requests.responded(route, status);
    }

    /// A streamed reply began.
    pub(crate) fn stream_opened(&self) {
        self.requests.streams.inc();
    }

    /// A streamed reply ended, whole or not.
    pub(crate) fn stream_closed(&self) {
        self.requests.streams.dec();
    }

    /// Counts lines that could not be written to the audit file.
    pub(crate) fn audit_lost(&self) -> Counter {
        self.requests.audit_lost.clone()
    }

    /// All families in Prometheus' text format, whose media type is [`CONTENT_TYPE`](super::CONTENT_TYPE).
    pub(crate) fn render(&self, now: &Now) -> String {
        self.engine.take(now);
        self.process.take();
        let mut text = String::new();
        // Writing to a string cannot fail, and every label here is a text.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{ConversationId, Counts, Finish, Timings, Usage};

    fn reply(tokens: usize, finish: Finish) -> Reply {
        Reply {
            answer: String::new(),
            thought: None,
            text: String::new(),
            finish,
            truncated: None,
            completion_ids: vec![1; tokens],
            logprobs: None,
            usage: Usage {
                prompt_tokens: 300,
                image_tokens: 256,
                cached_tokens: 40,
                completion_tokens: tokens,
                thinking_tokens: 0,
                drafted_tokens: 0,
                accepted_tokens: 0,
            },
            frames: [].into(),
            timings: Timings {
                read: 5.0,
                preprocess: 5.0,
                queue: 90.0,
                vision: 200.0,
                prefill: 100.0,
                first_token: 450.0,
                decode: 60.0,
            },
            warnings: vec![],
            conversation: ConversationId::next(),
            pixels: None,
            trace: None,
        }
    }

    /// The value of a series: the name with its labels, of which `model_name` is the first.
    fn value(text: &str, series: &str) -> Option<f64> {
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let comma = if labels == "}" { "" } else { "," };
        let beginning = format!("{name}{{model_name=\"demo\"{comma}{labels} ");
        text.lines().find_map(|line| line.strip_prefix(&beginning)?.parse().ok())
    }

    #[track_caller]
    fn check(text: &str, wanted: &[(&str, f64)]) {
        for (series, number) in wanted {
            let got = value(text, series).unwrap_or_else(|| panic!("{series} in\n{text}"));
            assert!((got - number).abs() < 1e-9, "{series}: {got}, not {number}");
        }
    }

    #[test]
    fn an_answer_is_counted_under_the_names_that_others_read() {
        let metrics = Metrics::new("demo");
        metrics.accepted();
        metrics.answered(&reply(11, Finish::Stop), &Answered { elapsed: Duration::from_millis(550) });
        let text = metrics.render(&Now::default());
        check(
            &text,
            &[
                ("vllm:prompt_tokens_total", 300.0),
                ("vllm:generation_tokens_total", 11.0),
                ("vllm:prefix_cache_queries_total", 300.0),
                ("vllm:prefix_cache_hits_total", 40.0),
                ("vllm:request_success_total{finished_reason=\"stop\"}", 1.0),
                ("vllm:request_success_total{finished_reason=\"length\"}", 0.0),
                ("vllm:request_prompt_tokens_sum", 300.0),
                ("vllm:request_prompt_tokens_bucket{le=\"200\"}", 0.0),
                ("vllm:request_prompt_tokens_bucket{le=\"500\"}", 1.0),
                ("vllm:request_generation_tokens_count", 1.0),
                ("vllm:time_to_first_token_seconds_bucket{le=\"0.25\"}", 0.0),
                ("vllm:time_to_first_token_seconds_bucket{le=\"0.5\"}", 1.0),
                ("vllm:time_to_first_token_seconds_bucket{le=\"+Inf\"}", 1.0),
                ("vllm:time_to_first_token_seconds_sum", 0.45),
                ("vllm:inter_token_latency_seconds_count", 10.0),
                ("vllm:inter_token_latency_seconds_sum", 0.1),
                ("vllm:request_time_per_output_token_seconds_count", 1.0),
                ("vllm:e2e_request_latency_seconds_sum", 0.55),
                ("vllm:request_queue_time_seconds_sum", 0.09),
                ("vllm:request_prefill_time_seconds_sum", 0.35),
                ("vllm:request_decode_time_seconds_sum", 0.1),
                ("vllm:request_inference_time_seconds_sum", 0.45),
                ("fleming_requests_accepted_total", 1.0),
                ("fleming_stage_seconds_sum{stage=\"vision\"}", 0.2),
            ],
        );
        assert!(text.contains("# TYPE vllm:prompt_tokens_total counter\n"), "{text}");
        assert!(text.contains("# TYPE vllm:e2e_request_latency_seconds histogram\n"), "{text}");
    }

    #[test]
    fn an_answer_without_a_token_has_no_time_to_one() {
        let metrics = Metrics::new("demo");
        metrics.answered(&reply(0, Finish::Cancelled), &Answered { elapsed: Duration::from_millis(5) });
        metrics.answered(&reply(1, Finish::TimedOut), &Answered { elapsed: Duration::from_millis(450) });
        metrics.failed(ErrorCode::Input);
        metrics.failed(ErrorCode::Cancelled);
        check(
            &metrics.render(&Now::default()),
            &[
                ("vllm:time_to_first_token_seconds_count", 1.0),
                ("vllm:inter_token_latency_seconds_count", 0.0),
                ("vllm:e2e_request_latency_seconds_count", 2.0),
                ("vllm:request_success_total{finished_reason=\"abort\"}", 2.0),
                ("vllm:request_success_total{finished_reason=\"timed-out\"}", 1.0),
                ("vllm:request_success_total{finished_reason=\"error\"}", 1.0),
                ("fleming_requests_failed_total{code=\"input\"}", 1.0),
                ("fleming_requests_failed_total{code=\"cancelled\"}", 1.0),
            ],
        );
    }

    #[test]
    fn the_engine_is_told_as_it_is_now() {
        let metrics = Metrics::new("demo");
        metrics.loaded(&Build { package: "p", digest: "d", provider: "cpu", slots: 4, context: 1000 });
        let counts = Counts {
            preparing: 1,
            waiting: 2,
            active: 3,
            held_tokens: 1000,
            image_hits: 5,
            image_misses: 7,
            steps: 9,
            step_time: Duration::from_millis(1500),
            last_round: Instant::now().checked_sub(Duration::from_secs(60)),
            ..Counts::default()
        };
        let now =
            Now { counts: Some(counts), ready: true, slots: 4, context: 1000, files: 2, file_bytes: 99 };
        let text = metrics.render(&now);
        check(
            &text,
            &[
                ("vllm:num_requests_waiting", 3.0),
                ("vllm:num_requests_running", 3.0),
                ("vllm:kv_cache_usage_perc", 0.25),
                ("vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"250\"}", 1.0),
                ("vllm:mm_cache_queries_total", 12.0),
                ("vllm:mm_cache_hits_total", 5.0),
                ("fleming_ready", 1.0),
                ("fleming_answers{state=\"preparing\"}", 1.0),
                ("fleming_slots{state=\"idle\"}", 1.0),
                ("fleming_kv_capacity_tokens", 4000.0),
                ("fleming_files_bytes", 99.0),
                ("fleming_steps_total", 9.0),
                ("fleming_step_seconds_total", 1.5),
            ],
        );
        assert!(value(&text, "fleming_round_age_seconds").is_some_and(|age| age >= 60.0), "{text}");
        // A loop that has nothing to do ends no round, and is not late.
        let idle = Now { counts: Some(Counts { active: 0, ..counts }), ..now };
        check(&metrics.render(&idle), &[("fleming_round_age_seconds", 0.0)]);
        check(&metrics.render(&Now::default()), &[("vllm:kv_cache_usage_perc", 0.0), ("fleming_ready", 0.0)]);
    }

    #[test]
    fn requests_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new("demo");
        metrics.refused(Refusal::QueueFull);
        metrics.responded("/v1/files/{id}", 404);
        metrics.responded("/v1/files/{id}", 404);
        metrics.stream_opened();
        metrics.stream_opened();
        metrics.stream_closed();
        metrics.audit_lost().inc();
        let text = metrics.render(&Now::default());
        check(
            &text,
            &[
                ("fleming_requests_refused_total{reason=\"queue_full\"}", 1.0),
                ("fleming_requests_refused_total{reason=\"loading\"}", 0.0),
                ("fleming_http_responses_total{route=\"/v1/files/{id}\",status=\"404\"}", 2.0),
                ("fleming_streams", 1.0),
                ("fleming_audit_lines_lost_total", 1.0),
            ],
        );
        let resident = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        assert!(
            resident.is_some_and(|bytes| bytes.parse::<u64>().is_ok_and(|bytes| bytes > 1 << 20)),
            "{text}"
        );
    }

    #[test]
    fn a_name_cannot_end_its_label_or_its_line() {
        let text = Metrics::new("a\"b\\c\nd 1").render(&Now::default());
        let wanted = r#"vllm:num_requests_running{model_name="a\"b\\c\nd 1"} 0"#;
        assert!(text.lines().any(|line| line == wanted), "{text}");
        assert!(text.lines().all(|line| line.starts_with('#') || line.contains([' ', '{'])), "{text}");
    }

    /// Every line is a comment or a series with a number, and no series comes twice.
    #[test]
    fn what_is_rendered_is_well_formed() {
        let metrics = Metrics::new("demo");
        metrics.answered(&reply(3, Finish::Length), &Answered { elapsed: Duration::from_secs(1) });
        let text = metrics.render(&Now::default());
        let mut all = std::collections::HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, number) = line.rsplit_once(' ').unwrap();
            assert!(number.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':')), "{line}");
            assert!(all.insert(series.to_owned()), "{line} comes twice");
        }
        assert!(all.len() > 100, "{}", all.len());
    }
}
