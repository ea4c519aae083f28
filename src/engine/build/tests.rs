//! Plans found and built, on a fake device that writes files as TensorRT's provider does.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::agreement::SampleOutputs;
use super::graphs::PlannedGraph;
use super::*;
use crate::error::Result;
use crate::onnx::{GraphOptions, Runtime, ShapeRanges};
use crate::package::{GraphContract, Package};
use crate::vision::VisionTower;
use crate::{Engine, EngineOptions};

/// A copy of the demo model as a package for TensorRT, with profiles for prompts, steps and guesses.
fn package(folder: &TempDir) -> PathBuf {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let copy = folder.path().join("package");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(&demo).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let path = copy.join("fleming.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["target"] = "tensorrt".into();
    manifest["profiles"] = json!({"vision": [vision_profile()], "decoder": decoder_profiles()});
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    copy
}

fn range(min: &[i64], opt: &[i64], max: &[i64]) -> Value {
    json!({"min": min, "opt": opt, "max": max})
}

fn vision_profile() -> Value {
    let pixels = range(&[1, 3, 448, 448], &[1, 3, 448, 448], &[12, 3, 448, 448]);
    json!({"name": "tiles", "inputs": {"pixel_values": pixels}})
}

/// Of one slot with up to 512 new tokens and 33 guessed ones, and of up to 8 slots with a new token each.
fn decoder_profiles() -> Value {
    let profile = |name: &str, slots: i64, tokens: i64, guesses: i64| {
        let mut inputs = json!({
            "input_ids": range(&[1, 1], &[1, tokens], &[slots, tokens]),
            "splice": range(&[1, 1], &[1, tokens], &[slots, tokens]),
            "seqlens_k": range(&[1], &[1], &[slots]),
            "image_embeds": range(&[1, 192], &[1, 192], &[4096, 192]),
            "logits_at": range(&[1], &[1], &[guesses]),
        });
        for layer in 0..4 {
            for kind in ["key", "value"] {
                let cache = range(&[1, 2, 1, 32], &[1, 2, 4096, 32], &[slots, 2, 4096, 32]);
                inputs[format!("past_{kind}.{layer}")] = cache;
            }
        }
        json!({"name": name, "inputs": inputs})
    };
    json!([profile("prefill", 1, 512, 33), profile("step", 8, 1, 1)])
}

fn options(folder: &TempDir) -> EngineOptions {
    EngineOptions {
        provider: "builder".into(),
        plan_cache: Some(folder.path().join("cache")),
        ..EngineOptions::default()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn plans_are_built_once_and_found_again() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let before = plan_states(&Package::open(&package).unwrap(), &options).unwrap();
    assert!(before.iter().all(|state| state.folder.is_none() && state.damage.is_none()), "{before:?}");
    let built = warm(&package, &options, PlanFolder::Cache).unwrap();
    assert_eq!(
        built.iter().map(|plan| plan.graph.as_str()).collect::<Vec<_>>(),
        ["vision.onnx", "decoder.onnx"]
    );
    // both by the same kernels on the CPU
    assert!(built.iter().all(|plan| plan.cosine.is_some_and(|cosine| cosine > 0.999_999)), "{built:?}");
    assert_eq!(entries(&folder.path().join("cache")).len(), 2);
    for (plan, state) in built.iter().zip(before) {
        assert_eq!((&plan.graph, &plan.key), (&state.graph, &state.key));
        assert!(plan.folder.join("entry.json").is_file() && plan.bytes > 10);
    }
    let found = warm(&package, &options, PlanFolder::Cache).unwrap();
    for (found, built) in found.iter().zip(&built) {
        assert_eq!(
            (&found.key, &found.folder, found.bytes, found.cosine),
            (&built.key, &built.folder, built.bytes, None)
        );
    }
    // an engine uses them too
    drop(Engine::open(&package, &options).unwrap());
    let after = plan_states(&Package::open(&package).unwrap(), &options).unwrap();
    assert_eq!(after.iter().filter_map(|state| state.folder.as_ref()).count(), 2);
    assert!(!package.join("engines").exists());
}

#[test]
fn other_inputs_make_other_plans() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let keys = |options: &EngineOptions| -> Vec<String> {
        let states = plan_states(&Package::open(&package).unwrap(), options).unwrap();
        states.into_iter().map(|state| state.key).collect()
    };
    let usual = keys(&options);
    assert_ne!(usual[0], usual[1]);
    let other = EngineOptions {
        provider_options: vec![("trt_detailed_build_log".into(), "false".into())],
        ..options.clone()
    };
    assert!(keys(&other).iter().all(|key| !usual.contains(key)));
    // but not another number of the device, or options of the engine alone
    let same = EngineOptions { provider: "builder:1".into(), slots: 4, chunk: 64, ..options.clone() };
    assert_eq!(keys(&same), usual);
    let manifest = package.join("fleming.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text + " ").unwrap();
    assert!(keys(&options).iter().all(|key| !usual.contains(key)));
}

#[test]
fn a_damaged_plan_is_built_again() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let built = warm(&package, &options, PlanFolder::Cache).unwrap();
    let plan = built[1].folder.join("decoder_1_0_sm00.engine");
    fs::write(&plan, "BUILT").unwrap();
    let states = plan_states(&Package::open(&package).unwrap(), &options).unwrap();
    assert!(
        states[0].damage.is_none() && states[1].damage.as_ref().unwrap().contains("SHA-256"),
        "{states:?}"
    );
    let again = warm(&package, &options, PlanFolder::Cache).unwrap();
    assert!(again[0].cosine.is_none() && again[1].cosine.is_some());
    assert_eq!(fs::read_to_string(&plan).unwrap(), "built");
}

#[test]
fn plans_are_shipped_in_the_package() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    // from the cache
    let cached = warm(&package, &options, PlanFolder::Cache).unwrap();
    let shipped = warm(&package, &options, PlanFolder::Package).unwrap();
    for (shipped, cached) in shipped.iter().zip(&cached) {
        assert_eq!((&shipped.key, shipped.cosine), (&cached.key, None));
        assert!(shipped.folder.starts_with(package.join("engines")), "{shipped:?}");
    }
    fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let found = warm(&package, &options, PlanFolder::Cache).unwrap();
    assert!(found.iter().zip(&shipped).all(|(found, shipped)| found.folder == shipped.folder));
    assert!(!folder.path().join("cache").exists());
    // or built where there are none
    fs::remove_dir_all(package.join("engines")).unwrap();
    let built = warm(&package, &options, PlanFolder::Package).unwrap();
    assert!(built.iter().all(|plan| plan.cosine.is_some() && plan.folder.starts_with(&package)));
    assert!(!folder.path().join("cache").exists());
}

#[test]
fn two_that_open_at_once_both_end_well() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let open = || warm(&package, &options, PlanFolder::Cache).unwrap();
    let (one, other) = thread::scope(|scope| {
        let (one, other) = (scope.spawn(open), scope.spawn(open));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert!(
        one.iter().zip(&other).all(|(one, other)| one.folder == other.folder && one.bytes == other.bytes)
    );
    assert_eq!(entries(&folder.path().join("cache")).len(), 2);
}

/// The vision graph with this sample, where its reference is `[1, 1]`.
struct Sampled<'a> {
    runtime: &'a Runtime,
    package: &'a Package,
    options: &'a GraphOptions,
    sample: [f32; 2],
}

impl PlannedGraph for Sampled<'_> {
    type Open = VisionTower;

    fn contract(&self) -> &GraphContract {
        &self.package.manifest().graphs.vision
    }

    fn options(&self) -> &GraphOptions {
        self.options
    }

    fn ranges(&self) -> Option<ShapeRanges> {
        let [ranges, _] = graphs::ranges(self.package);
        ranges
    }

    fn open(&self, options: &GraphOptions) -> Result<VisionTower> {
        VisionTower::open(self.runtime, self.package, options)
    }

    fn sample(&self, _: &mut VisionTower) -> Result<SampleOutputs> {
        Ok(vec![self.sample.to_vec()])
    }

    fn reference(&self, _: &GraphOptions) -> Result<SampleOutputs> {
        Ok(vec![vec![1.0, 1.0]])
    }
}

#[test]
fn a_plan_that_computes_something_else_is_thrown_away() {
    let folder = TempDir::new().unwrap();
    let (path, options) = (package(&folder), options(&folder));
    let package = Package::open(&path).unwrap();
    let runtime = Runtime::load(None).unwrap();
    let opener = GraphOpener::new(&runtime, &package, &options, PlanFolder::Cache).unwrap();
    let [(_, graph, _), _] = opener.graphs();
    let opened = |sample| {
        opener.open(&Sampled { runtime: &runtime, package: &package, options: graph, sample }).map(drop)
    };
    let error = opened([1.0, 0.8]).unwrap_err().to_string();
    assert!(error.contains("vision.onnx: its new plan") && error.contains("got 0.993884"), "{error}");
    assert!(error.contains("the cpu provider"), "{error}");
    assert!(entries(&folder.path().join("cache")).is_empty());
    opened([1.0, 1.0]).unwrap();
    // a stored plan is not compared again
    opened([1.0, 0.8]).unwrap();
}

#[test]
fn a_plan_built_without_a_word_is_an_error() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let built = warm(&package, &options, PlanFolder::Cache).unwrap();
    // a complete plan whose file has another name than the one that ONNX Runtime loads
    let entry = &built[0].folder;
    fs::rename(entry.join("vision_1_0_sm00.engine"), entry.join("vision_2_0_sm00.engine")).unwrap();
    let list = fs::read_to_string(entry.join("entry.json")).unwrap();
    fs::write(entry.join("entry.json"), list.replace("vision_1_0_sm00.engine", "vision_2_0_sm00.engine"))
        .unwrap();
    let error = warm(&package, &options, PlanFolder::Cache).unwrap_err().to_string();
    assert!(error.contains("vision.onnx: its plan") && error.contains("without a word"), "{error}");
    assert!(error.contains(entry.to_str().unwrap()), "{error}");
}

#[test]
fn a_folder_whose_name_is_not_utf8_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let folder = TempDir::new().unwrap();
    let (package, mut options) = (package(&folder), options(&folder));
    options.plan_cache = Some(folder.path().join(OsString::from_vec(b"caf\xe9".to_vec())));
    let error = warm(&package, &options, PlanFolder::Cache).unwrap_err().to_string();
    assert!(error.contains("engine-cache: wanted a folder named in UTF-8"), "{error}");
}

#[test]
fn a_graph_of_which_no_plan_is_built_is_an_error() {
    let folder = TempDir::new().unwrap();
    let (package, mut options) = (package(&folder), options(&folder));
    options.provider_options = vec![("trt_detailed_build_log".into(), "true".into())];
    let error = warm(&package, &options, PlanFolder::Cache).unwrap_err().to_string();
    assert!(error.contains("vision.onnx: wanted nodes that a plan is built of"), "{error}");
    assert!(entries(&folder.path().join("cache")).is_empty());
}

#[test]
fn an_altered_package_has_no_plans_built() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let weights = package.join("vision.onnx.data");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let error = Engine::open(&package, &options).err().unwrap().to_string();
    assert!(error.contains("vision.onnx.data") && error.contains("SHA-256"), "{error}");
    assert!(entries(&folder.path().join("cache")).is_empty());
}

#[test]
fn options_outside_the_profiles_are_refused_before_anything_is_loaded() {
    let folder = TempDir::new().unwrap();
    let package = package(&folder);
    for provider in ["builder", "tensorrt"] {
        let options = EngineOptions { provider: provider.into(), ..options(&folder) };
        let refused = |options: EngineOptions| Engine::open(&package, &options).err().unwrap().to_string();
        let error = refused(EngineOptions { slots: 9, ..options.clone() });
        assert!(error.contains("slots: wanted at most 8") && error.contains("got 9"), "{error}");
        let error = refused(EngineOptions { chunk: 513, ..options.clone() });
        assert!(error.contains("chunk: wanted at most 512") && error.contains("wider profiles"), "{error}");
        check(
            &Package::open(&package).unwrap(),
            &EngineOptions { chunk: 513, context: Some(512), ..options },
        )
        .unwrap();
    }
    // providers without plans take any
    let options = EngineOptions { slots: 9, chunk: 513, ..EngineOptions::default() };
    check(&Package::open(&package).unwrap(), &options).unwrap();
    assert!(warm(&package, &EngineOptions::default(), PlanFolder::Cache).unwrap().is_empty());
}

#[test]
fn decoders_that_a_provider_leaves_to_another_are_not_built() {
    let folder = TempDir::new().unwrap();
    let (path, mut options) = (package(&folder), options(&folder));
    let package = Package::open(&path).unwrap();
    let runs_on = |options: &EngineOptions| {
        let [(_, vision), (_, decoder)] = graph_providers(&package, options).unwrap().try_into().unwrap();
        [vision, decoder]
    };
    assert_eq!(runs_on(&options), ["builder", "builder"]);
    options.provider_options = vec![("trt_auxiliary_streams".into(), "1".into())];
    assert_eq!(runs_on(&options), ["builder", "other"]);
    let graphs = |states: Vec<PlanState>| states.into_iter().map(|state| state.graph).collect::<Vec<_>>();
    assert_eq!(graphs(plan_states(&package, &options).unwrap()), ["vision.onnx"]);
    let built = warm(&path, &options, PlanFolder::Cache).unwrap();
    assert_eq!(built.iter().map(|plan| plan.graph.as_str()).collect::<Vec<_>>(), ["vision.onnx"]);
    assert_eq!(entries(&folder.path().join("cache")).len(), 1);
}

#[test]
fn a_run_outside_the_profiles_is_refused_before_it_runs() {
    let folder = TempDir::new().unwrap();
    let (path, mut options) = (package(&folder), options(&folder));
    options.slots = 8;
    let package = Package::open(&path).unwrap();
    let runtime = Runtime::load(None).unwrap();
    let opener = GraphOpener::new(&runtime, &package, &options, PlanFolder::Cache).unwrap();
    let mut decoder = opener.decoder().unwrap().graph;
    let guess = |length: u32| (0..length).collect::<Vec<_>>();
    assert_eq!(decoder.verify(0, 0, &guess(33)).unwrap().len(), 33);
    let error = decoder.verify(0, 0, &guess(34)).err().unwrap().to_string();
    assert!(error.contains("decoder.onnx: logits_at: wanted 1 to 33"), "{error}");
    let ids = vec![1; 513];
    let chunk = crate::decoder::Chunk { ids: &ids, splice: vec![-1; 513], tiles: Vec::new() };
    let error = decoder.prefill(0, 0, chunk).err().unwrap().to_string();
    assert!(
        error.contains("decoder.onnx: input_ids: wanted 1×1 to 8×512") && error.contains("got 1×513"),
        "{error}"
    );
    let tower = opener.vision().unwrap().graph;
    assert_eq!(tower.tiles_per_run(), 12, "the profile's, where the provider would take more");
}

#[test]
fn a_reference_is_the_cpu_where_it_runs_the_package() {
    let folder = TempDir::new().unwrap();
    let path = package(&folder);
    let name = |provider: &str| {
        let options = EngineOptions { provider: provider.into(), ..options(&folder) };
        let package = Package::open(&path).unwrap();
        options.graph(package.manifest()).unwrap().reference(package.manifest()).unwrap().device.provider.name
    };
    assert_eq!(name("tensorrt:1"), "cpu");
    let manifest = path.join("fleming.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"precision\":\"f32\"", "\"precision\":\"bf16\"")).unwrap();
    assert_eq!(name("tensorrt:1"), "cuda");
}
