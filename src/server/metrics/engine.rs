//! What the engine says of itself, taken when somebody reads the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use crate::Counts;

/// How things are at this moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Now {
    /// The engine's counts; nothing while it is loaded.
    pub(crate) counts: Option<Counts>,
    /// Whether requests are taken.
    pub(crate) ready: bool,
    /// Conversations that the KV cache holds.
    pub(crate) slots: usize,
    /// Tokens in one of them.
    pub(crate) context: usize,
    /// Uploads that are kept.
    pub(crate) files: usize,
    /// Their bytes.
    pub(crate) file_bytes: u64,
}

/// What was built, loaded and chosen. It holds until the end of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Build<'a> {
    /// Name of the package.
    pub(crate) package: &'a str,
    /// Digest of the package.
    pub(crate) digest: &'a str,
    /// The execution provider.
    pub(crate) provider: &'a str,
    /// Conversations that the KV cache holds.
    pub(crate) slots: usize,
    /// Tokens in one of them.
    pub(crate) context: usize,
}

/// The unit in which gateways count a KV cache: vLLM's usual one. Ours is reused token by token.
const BLOCK: usize = 16;

type Fraction = Gauge<f64, AtomicU64>;
type Seconds = Counter<f64, AtomicU64>;
type Label = [(&'static str, &'static str); 1];
type Labels = Vec<(&'static str, String)>;

/// A counter, and the engine's number that it follows.
type Counted = (Counter, fn(&Counts) -> u64);

/// Families whose numbers the engine keeps.
pub(super) struct EngineFamilies {
    waiting: Gauge,
    running: Gauge,
    kv_usage: Fraction,
    ready: Gauge,
    states: Family<Label, Gauge>,
    slots: Family<Label, Gauge>,
    kv_tokens: Gauge,
    kv_capacity: Gauge,
    round_age: Fraction,
    image_bytes: Gauge,
    files: Gauge,
    file_bytes: Gauge,
    counters: Vec<Counted>,
    step_time: Seconds,
    step_run_time: Seconds,
    cache_info: Family<Labels, Gauge>,
    build: Family<Labels, Gauge>,
}

/// Counters that the engine keeps: the name, what it counts, where it is.
type Kept = (&'static str, &'static str, fn(&Counts) -> u64);
const KEPT: [Kept; 11] = [
    ("vllm:mm_cache_queries", "Tiles whose embeddings were looked for", |counts| {
        counts.image_hits + counts.image_misses
    }),
    ("vllm:mm_cache_hits", "Tiles whose embeddings were in memory", |counts| counts.image_hits),
    ("vllm:spec_decode_num_draft_tokens", "Tokens that were guessed ahead", |counts| counts.drafted_tokens),
    ("vllm:spec_decode_num_accepted_tokens", "Guessed tokens that were right", |counts| {
        counts.accepted_tokens
    }),
    ("fleming_image_cache_hits", "Tiles whose embeddings were in memory", |counts| counts.image_hits),
    ("fleming_image_cache_misses", "Tiles that had to be encoded", |counts| counts.image_misses),
    ("fleming_draft_tokens", "Tokens that were guessed ahead", |counts| counts.drafted_tokens),
    ("fleming_draft_tokens_accepted", "Guessed tokens that were right", |counts| counts.accepted_tokens),
    ("fleming_prefilled_tokens", "Tokens of prompts that ran through the decoder", |counts| {
        counts.prefilled_tokens
    }),
    ("fleming_steps", "Steps of the decoder, each for all answers under way", |counts| counts.steps),
    ("fleming_steps_failed", "Steps that failed; each answer then ran alone", |counts| counts.failed_steps),
];

/// A name, and what it means.
type Named = (&'static str, &'static str);

const WAITING: Named = ("vllm:num_requests_waiting", "Answers that are being prepared or wait for a slot");
const RUNNING: Named = ("vllm:num_requests_running", "Answers that have a slot");
const KV_USAGE: Named =
    ("vllm:kv_cache_usage_perc", "Share of the KV cache that answers under way hold, from 0 to 1");
const READY: Named = ("fleming_ready", "1 if requests are taken: loaded, not draining, not stalled");
const STATES: Named = ("fleming_answers", "Answers that are not complete, by where they are");
const SLOTS: Named = ("fleming_slots", "Slots of the KV cache");
const KV_TOKENS: Named = ("fleming_kv_tokens", "Tokens that answers under way have in the KV cache");
const KV_CAPACITY: Named = ("fleming_kv_capacity_tokens", "Tokens that the KV cache has room for");
const ROUND_AGE: Named =
    ("fleming_round_age_seconds", "Since the engine's loop ended a round; 0 while no answer has a slot");
const IMAGE_BYTES: Named = ("fleming_image_cache_bytes", "Bytes of embeddings that are kept");
const FILES: Named = ("fleming_files", "Uploads that are kept");
const FILE_BYTES: Named = ("fleming_files_bytes", "Bytes of uploads that are kept");
const STEP_TIME: Named =
    ("fleming_step_seconds", "Time of the rounds of the loop that were one step and nothing else");
const STEP_RUN_TIME: Named = ("fleming_step_run_seconds", "How much of it ONNX Runtime took");
const CACHE_INFO: Named = ("vllm:cache_config_info", "Size of the KV cache in blocks of 16 tokens");
const BUILD: Named = ("fleming_build_info", "What is running");

impl EngineFamilies {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let counters = KEPT.map(|(name, help, read)| (counted(registry, name, help), read)).into();
        Self {
            waiting: named(registry, WAITING),
            running: named(registry, RUNNING),
            kv_usage: named(registry, KV_USAGE),
            ready: named(registry, READY),
            states: named(registry, STATES),
            slots: named(registry, SLOTS),
            kv_tokens: named(registry, KV_TOKENS),
            kv_capacity: named(registry, KV_CAPACITY),
            round_age: named(registry, ROUND_AGE),
            image_bytes: named(registry, IMAGE_BYTES),
            files: named(registry, FILES),
            file_bytes: named(registry, FILE_BYTES),
            counters,
            step_time: named(registry, STEP_TIME),
            step_run_time: named(registry, STEP_RUN_TIME),
            cache_info: named(registry, CACHE_INFO),
            build: named(registry, BUILD),
        }
    }

    /// What was loaded.
    pub(super) fn loaded(&self, build: &Build<'_>) {
        let blocks = build.slots.saturating_mul(build.context) / BLOCK;
        let cache = [("block_size", BLOCK.to_string()), ("num_gpu_blocks", blocks.to_string())];
        self.cache_info.get_or_create(&cache.into()).set(1);
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("package", build.package),
            ("digest", build.digest),
            ("provider", build.provider),
        ];
        self.build.get_or_create(&labels.map(|(name, value)| (name, value.to_owned())).into()).set(1);
    }

    /// Takes over how things are.
    pub(super) fn take(&self, now: &Now) {
        let counts = now.counts.unwrap_or_default();
        let capacity = now.slots.saturating_mul(now.context);
        self.ready.set(now.ready.into());
        self.waiting.set(whole(counts.preparing + counts.waiting));
        self.running.set(whole(counts.active));
        self.kv_usage.set(counts.held_tokens as f64 / capacity.max(1) as f64);
        self.kv_tokens.set(whole(counts.held_tokens));
        self.kv_capacity.set(whole(capacity));
        let states =
            [("preparing", counts.preparing), ("waiting", counts.waiting), ("active", counts.active)];
        for (state, answers) in states {
            self.states.get_or_create(&[("state", state)]).set(whole(answers));
        }
        for (state, slots) in [("active", counts.active), ("idle", now.slots.saturating_sub(counts.active))] {
            self.slots.get_or_create(&[("state", state)]).set(whole(slots));
        }
        let age = |round: Instant| round.elapsed().as_secs_f64();
        let working = counts.last_round.filter(|_| counts.active > 0);
        self.round_age.set(working.map(age).unwrap_or_default());
        self.image_bytes.set(whole(counts.image_bytes));
        self.files.set(whole(now.files));
        self.file_bytes.set(i64::try_from(now.file_bytes).unwrap_or(i64::MAX));
        for (counter, read) in &self.counters {
            counter.inner().store(read(&counts), Ordering::Relaxed);
        }
        for (counter, time) in
            [(&self.step_time, counts.step_time), (&self.step_run_time, counts.step_run_time)]
        {
            counter.inner().store(time.as_secs_f64().to_bits(), Ordering::Relaxed);
        }
    }
}

/// A metric that is registered.
pub(super) fn kept<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn named<M: Metric + Clone + Default>(registry: &mut Registry, (name, help): Named) -> M {
    kept(registry, name, help, M::default())
}

fn counted(registry: &mut Registry, name: &str, help: &str) -> Counter {
    kept(registry, name, help, Counter::default())
}

/// A number as a gauge takes it.
fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
