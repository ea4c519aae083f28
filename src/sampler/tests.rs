use proptest::prelude::*;

use super::*;

fn sampler(sampling: &Sampling) -> Sampler {
    Sampler::new(sampling, None, &[], 64).unwrap()
}

fn hot() -> Sampling {
    Sampling { temperature: 1.0, ..Sampling::default() }
}

fn mask_of(ids: &[u32]) -> Mask {
    let mut words = vec![0; 4];
    ids.iter().for_each(|id| words[*id as usize / 32] |= 1 << (id % 32));
    Mask::from_words(words)
}

#[test]
fn greedy_takes_the_largest_logit_and_the_lowest_id_among_equals() {
    let mut sampler = sampler(&Sampling::default());
    let mut greedy =
        |logits: &[f32], mask: Option<&Mask>| sampler.choose(logits, mask).map(|chosen| chosen.id);
    assert_eq!(greedy(&[0.0, 3.0, -1.0, 3.0], None).unwrap(), 1);
    assert_eq!(greedy(&[-5.0], None).unwrap(), 0);
    assert_eq!(greedy(&[0.0, 3.0, -1.0, -1.0], Some(&mask_of(&[2, 3]))).unwrap(), 2);
    for (logits, mask) in [
        (&[0.0, f32::NAN][..], None),
        (&[f32::INFINITY], None),
        (&[0.0, f32::NEG_INFINITY], None),
        (&[0.0], Some(&mask_of(&[]))),
        (&[0.0], Some(&mask_of(&[1]))),
    ] {
        assert_eq!(greedy(logits, mask).unwrap_err().code(), crate::ErrorCode::Runtime, "{logits:?}");
    }
}

#[test]
fn a_bias_needs_a_token() {
    let sampling = Sampling { logit_bias: BTreeMap::from([(64, 1.0)]), ..Sampling::default() };
    let error = Sampler::new(&sampling, None, &[], 64).err().unwrap();
    assert_eq!((error.facts().thing.as_str(), error.facts().got.as_str()), ("logit-bias", "64"));
}

#[test]
fn bias_and_penalties_change_the_logits_as_they_should() {
    // prompt 0 and 1; reply 1 twice, 2 once
    let table: [(Sampling, [f32; 4]); 5] = [
        (Sampling { logit_bias: BTreeMap::from([(3, 2.5)]), ..Sampling::default() }, [2.0, -2.0, 4.0, 2.5]),
        (Sampling { repetition_penalty: 2.0, ..Sampling::default() }, [1.0, -4.0, 2.0, 0.0]),
        (Sampling { frequency_penalty: 0.5, ..Sampling::default() }, [2.0, -3.0, 3.5, 0.0]),
        (Sampling { presence_penalty: 0.5, ..Sampling::default() }, [2.0, -2.5, 3.5, 0.0]),
        (
            Sampling {
                logit_bias: BTreeMap::from([(1, 4.0)]),
                repetition_penalty: 2.0,
                frequency_penalty: -1.0,
                presence_penalty: 0.25,
                ..Sampling::default()
            },
            // bias, then the division by 2, then + 2 × 1 − 0.25
            [1.0, 2.75, 2.75, 0.0],
        ),
    ];
    for (sampling, wanted) in table {
        let mut sampler = Sampler::new(&sampling, None, &[0, 1, -1], 4).unwrap();
        [1, 2, 1].iter().for_each(|&id| sampler.take(id));
        sampler.adjust(&[2.0, -2.0, 4.0, 0.0]);
        assert_eq!(sampler.adjusted, wanted, "{sampling:?}");
    }
}

#[test]
fn a_repeated_token_loses_to_another_in_the_end() {
    let mut sampler = sampler(&Sampling { frequency_penalty: 1.0, ..Sampling::default() });
    let mut ids = Vec::new();
    for _ in 0..6 {
        let id = sampler.choose(&[2.5, 1.0], None).unwrap().id;
        sampler.take(id);
        ids.push(id);
    }
    assert_eq!(ids, [0, 0, 1, 0, 1, 0]);
}

#[test]
fn the_same_seed_gives_the_same_tokens() {
    let logits: Vec<f32> = (0..64).map(|id| (id as f32 * 0.37).sin()).collect();
    let draw = |seed| {
        let mut sampler = sampler(&Sampling { seed, ..hot() });
        (0..8).map(|_| sampler.choose(&logits, None).unwrap().id).collect::<Vec<_>>()
    };
    // Written down: another machine or a newer library must not draw others.
    assert_eq!(draw(0), PINNED);
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

const PINNED: [u32; 8] = [5, 21, 42, 2, 55, 6, 8, 33];

/// How often each id was drawn.
fn counts(sampling: &Sampling, logits: &[f32], mask: Option<&Mask>, draws: usize) -> Vec<f64> {
    let mut sampler = sampler(sampling);
    let mut counts = vec![0.0; logits.len()];
    (0..draws).for_each(|_| counts[sampler.choose(logits, mask).unwrap().id as usize] += 1.0);
    counts
}

#[test]
fn draws_have_the_distribution_of_the_logits() {
    let logits = [1.0f32, 0.0, -1.0, 2.0, 0.5];
    let only = mask_of(&[0, 2, 4]);
    for (temperature, mask) in [(1.0, None), (0.5, None), (2.0, None), (1.0, Some(&only))] {
        let draws = 40_000;
        let sampling = Sampling { temperature, seed: 3, ..Sampling::default() };
        let counts = counts(&sampling, &logits, mask, draws);
        let weight = |id: usize| match mask.is_none_or(|mask| mask.allows(id as u32)) {
            true => f64::from(logits[id] / temperature).exp(),
            false => 0.0,
        };
        let total: f64 = (0..5).map(weight).sum();
        let mut chi_squared = 0.0;
        for (id, &count) in counts.iter().enumerate() {
            let expected = draws as f64 * weight(id) / total;
            match expected == 0.0 {
                true => assert_eq!(count, 0.0),
                false => chi_squared += (count - expected).powi(2) / expected,
            }
        }
        // 4 degrees of freedom: exceeded once in 10,000
        assert!(chi_squared < 23.5, "{temperature}: {chi_squared} {counts:?}");
    }
}

/// The same sets by their definitions, with everything sorted.
fn naive(logits: &[f32], mask: Option<&Mask>, sampling: &Sampling) -> Vec<u32> {
    let mut ids: Vec<usize> =
        (0..logits.len()).filter(|id| mask.is_none_or(|mask| mask.allows(*id as u32))).collect();
    ids.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    let weight = |id: &usize| {
        ((f64::from(logits[*id]) - f64::from(logits[ids[0]])) / f64::from(sampling.temperature)).exp()
    };
    let mut left: Vec<usize> =
        ids.iter().copied().filter(|id| weight(id) >= f64::from(sampling.min_p)).collect();
    left.truncate(sampling.top_k.unwrap_or(usize::MAX));
    let wanted = f64::from(sampling.top_p) * left.iter().map(weight).sum::<f64>();
    let mut before = 0.0;
    left.retain(|id| {
        let keep = before < wanted || sampling.top_p == 1.0;
        before += weight(id);
        keep
    });
    let mut left: Vec<u32> = left.into_iter().map(|id| id as u32).collect();
    left.sort_unstable();
    left
}

fn any_sampling() -> impl Strategy<Value = Sampling> {
    let top_k = prop_oneof![Just(None), (1usize..40).prop_map(Some)];
    let min_p = prop_oneof![Just(0.0), Just(1.0), 0.0f32..1.0];
    let top_p = prop_oneof![Just(1.0), 0.01f32..1.0];
    (0.1f32..3.0, top_k, top_p, min_p).prop_map(|(temperature, top_k, top_p, min_p)| Sampling {
        temperature,
        top_k,
        top_p,
        min_p,
        ..Sampling::default()
    })
}

fn any_logits() -> impl Strategy<Value = Vec<f32>> {
    // Coarse steps, so that equals are common.
    proptest::collection::vec((-24i32..24).prop_map(|step| step as f32 / 4.0), 1..120)
}

proptest! {
    #[test]
    fn truncation_leaves_the_sets_of_the_definitions(
        logits in any_logits(),
        sampling in any_sampling(),
        masked in proptest::option::of(proptest::collection::vec(0u32..128, 1..20)),
    ) {
        let mask = masked.map(|ids| mask_of(&ids)).filter(|mask| mask.ids().any(|id| (id as usize) < logits.len()));
        let mut left: Vec<u32> =
            candidates::remaining(&logits, mask.as_ref(), &sampling).iter().map(|candidate| candidate.id).collect();
        left.sort_unstable();
        prop_assert_eq!(&left, &naive(&logits, mask.as_ref(), &sampling));
        for uniform in [0.0, 0.5, 1.0 - f64::EPSILON / 2.0] {
            let id = candidates::draw(&logits, mask.as_ref(), &sampling, uniform).unwrap();
            prop_assert!(left.contains(&id));
        }
    }

    #[test]
    fn a_truncation_that_takes_nothing_changes_nothing(logits in any_logits(), uniform in 0.0f64..1.0) {
        let wide = Sampling { top_k: Some(500), ..hot() };
        let [plain, wide] = [hot(), wide].map(|sampling| candidates::draw(&logits, None, &sampling, uniform));
        prop_assert_eq!(plain, wide);
    }

    #[test]
    fn the_margin_is_what_the_next_one_lacks(
        logits in proptest::collection::vec(-9i8..9, 1..70),
        chance in 0u64..,
    ) {
        let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
        let allowed: Vec<u32> = (0..logits.len() as u32).filter(|id| chance >> (id % 64) & 1 == 1 || *id == 0).collect();
        let everything: Vec<u32> = (0..logits.len() as u32).collect();
        for (mask, ids) in [(None, &everything), (Some(mask_of(&allowed)), &allowed)] {
            let mut sorted = ids.clone();
            sorted.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
            let margin = sorted.get(1).map_or(f32::INFINITY, |next| {
                logits[sorted[0] as usize] - logits[*next as usize]
            });
            prop_assert_eq!(candidates::largest(&logits, mask.as_ref()), Some((sorted[0], margin)));
        }
    }

    #[test]
    fn logprobs_are_those_of_the_raw_logits(logits in any_logits(), count in 0usize..20) {
        let sampling = Sampling {
            repetition_penalty: 1.5,
            logit_bias: BTreeMap::from([(0, 50.0)]),
            ..Sampling { temperature: 0.3, ..Sampling::default() }
        };
        let mut sampler = Sampler::new(&sampling, Some(count), &[0], logits.len()).unwrap();
        let chosen = sampler.choose(&logits, Some(&mask_of(&[0]))).unwrap();
        let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
        let exact = |id: u32| f64::from(logits[id as usize]) - total.ln();
        prop_assert_eq!(chosen.id, 0);
        prop_assert!((f64::from(chosen.logprob.unwrap()) - exact(0)).abs() < 1e-5);
        let ids: Vec<u32> = chosen.top.iter().map(|(id, _)| *id).collect();
        let mut wanted: Vec<u32> = (0..logits.len() as u32).collect();
        wanted.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
        wanted.truncate(count);
        prop_assert_eq!(ids, wanted);
        for (id, logprob) in chosen.top {
            prop_assert!((f64::from(logprob) - exact(id)).abs() < 1e-5);
        }
        prop_assert_eq!(sampler.given(0, &logits).unwrap().logprob, chosen.logprob);
    }
}
