//! One engine under load: many threads, every way to end, no answer to another's question; by itself, memory that does not
//! grow.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

use fleming::{AskOptions, Cancel, Engine, EngineOptions, ErrorCode, Event, Request, StudyInput};

use crate::support::{ids, mixture, open, options, tokens};

/// The numbers of a linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What is wanted of one request under load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    Cancelled,
    Dropped,
    TimedOut,
    Missing,
    Panicking,
}

/// What came of many requests.
struct Load {
    /// How many were answered whole.
    whole: u64,
    /// Resident memory of this process in kB, before and after.
    before: u64,
    after: u64,
}

/// Sends requests from several threads and checks every answer.
fn load(requests: u64, threads: u64) -> Load {
    let mixture = mixture();
    let alone: HashMap<usize, Vec<u32>> = mixture
        .iter()
        .enumerate()
        .map(|(number, request)| (number, ids(&open(&options(1)), request)))
        .collect();
    let engine = open(&EngineOptions { chunk: 64, queue: 256, ..options(4) });
    let work = |seed: u64, count: u64| {
        let mut random = Random(seed);
        (0..count).map(|_| one(&engine, &mixture, &alone, &mut random)).sum::<u64>()
    };
    // Once through, so that everything that is ever allocated is.
    work(99, (requests / 10).clamp(16, 500));
    let before = resident();
    let whole = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|seed| scope.spawn(move || work(seed, requests / threads))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let counts = engine.counts();
    assert_eq!((counts.waiting, counts.active, counts.failed_steps), (0, 0, 0));
    Load { whole, before, after: resident() }
}

fn one(engine: &Engine, mixture: &[Request], alone: &HashMap<usize, Vec<u32>>, random: &mut Random) -> u64 {
    let number = random.below(mixture.len() as u64) as usize;
    let fate = match random.below(20) {
        0 | 1 => Fate::Cancelled,
        2 => Fate::Dropped,
        3 => Fate::TimedOut,
        4 => Fate::Missing,
        5 => Fate::Panicking,
        _ => Fate::Whole,
    };
    let cancel = Cancel::default();
    let timeout = (fate == Fate::TimedOut).then(|| Duration::from_millis(random.below(30)));
    let options = AskOptions { cancel: cancel.clone(), timeout, ..tokens(12) };
    let mut request = mixture[number].clone();
    if fate == Fate::Missing {
        request.studies.push(StudyInput::image("nowhere.png"));
    }
    let pending = engine.submit(&request, &options).unwrap();
    let mut after = random.below(8);
    let mut on_event = |_: Event<'_>| {
        if after == 0 && fate == Fate::Cancelled {
            cancel.cancel();
        }
        if after == 0 && fate == Fate::Panicking {
            // A panic without a word: the hook that would print it is the process's.
            resume_unwind(Box::new("injected"));
        }
        after = after.saturating_sub(1);
    };
    let reply = match fate {
        Fate::Dropped => return 0,
        Fate::Missing => {
            let error = pending.wait(&mut on_event).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Input, "{error}");
            return 0;
        }
        Fate::Panicking => match catch_unwind(AssertUnwindSafe(|| pending.wait(&mut on_event))) {
            Ok(reply) => reply.unwrap(),
            Err(_) => return 0,
        },
        _ => pending.wait(&mut on_event).unwrap(),
    };
    assert!(alone[&number].starts_with(&reply.completion_ids), "an answer to another question");
    let whole = reply.completion_ids.len() == alone[&number].len();
    assert!(whole || matches!(fate, Fate::Cancelled | Fate::TimedOut), "{:?}", reply.finish);
    u64::from(whole)
}

/// Resident memory of this process in kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn under_load_every_request_is_answered_and_none_is_crossed() {
    let Load { whole, .. } = load(64, 4);
    assert!(whole > 30, "{whole}");
}

#[test]
#[ignore = "minutes: cargo test --release --test it ten_thousand -- --ignored --nocapture"]
fn ten_thousand_requests() {
    let Load { whole, before, after } = load(10_000, 8);
    println!("{whole} whole, resident memory {before} kB, then {after} kB");
    assert!(whole > 5_000, "{whole}");
    // Nothing else runs in this process: the test is run by its name.
    assert!(after < before + (96 << 10), "{before} kB, then {after} kB");
}
