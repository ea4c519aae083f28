//! Engines found and built, on a fake device that writes files as TensorRT's provider does.

use std::thread;

use tempfile::TempDir;

use super::*;
use crate::Engine;

/// A copy of a package that `make test` exports, so that something can be put beside its files.
fn package(folder: &TempDir) -> PathBuf {
    let exported = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/synthetic-tensorrt");
    assert!(exported.exists(), "{} is missing: `make test` makes it", exported.display());
    let copy = folder.path().join("package");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(exported).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
    }
    copy
}

fn options(folder: &TempDir) -> EngineOptions {
    EngineOptions {
        provider: "builder".into(),
        engine_cache: Some(folder.path().join("cache")),
        ..EngineOptions::default()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn engines_are_built_once_and_found_again() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let before = engine_states(&Package::open(&package).unwrap(), &options).unwrap();
    assert!(before.iter().all(|state| state.folder.is_none() && state.damage.is_none()), "{before:?}");
    let built = warm(&package, &options, EnginePlace::Cache).unwrap();
    assert_eq!(
        built.iter().map(|engines| engines.graph.as_str()).collect::<Vec<_>>(),
        ["vision.onnx", "decoder.onnx"]
    );
    // computed by the same kernels on the CPU
    assert!(built.iter().all(|engines| engines.cosine.is_some_and(|cosine| cosine > 0.999_999)), "{built:?}");
    assert_eq!(entries(&folder.path().join("cache")).len(), 2);
    for (engines, state) in built.iter().zip(before) {
        assert_eq!((&engines.graph, &engines.key), (&state.graph, &state.key));
        assert!(engines.folder.join("entry.json").is_file() && engines.bytes > 10);
    }
    let found = warm(&package, &options, EnginePlace::Cache).unwrap();
    for (found, built) in found.iter().zip(&built) {
        assert_eq!(
            (&found.key, &found.folder, found.bytes, found.cosine),
            (&built.key, &built.folder, built.bytes, None)
        );
    }
    // an engine takes them too
    drop(Engine::open(&package, &options).unwrap());
    let after = engine_states(&Package::open(&package).unwrap(), &options).unwrap();
    assert_eq!(after.iter().filter_map(|state| state.folder.as_ref()).count(), 2);
    assert!(!package.join("engines").exists());
}

#[test]
fn what_engines_depend_on_makes_others() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let keys = |options: &EngineOptions| -> Vec<String> {
        let states = engine_states(&Package::open(&package).unwrap(), options).unwrap();
        states.into_iter().map(|state| state.key).collect()
    };
    let usual = keys(&options);
    assert_ne!(usual[0], usual[1]);
    let other = EngineOptions {
        provider_options: vec![("trt_detailed_build_log".into(), "false".into())],
        ..options.clone()
    };
    assert!(keys(&other).iter().all(|key| !usual.contains(key)));
    // not on the number of the device, nor on what is no matter of the graph
    let same = EngineOptions { provider: "builder:1".into(), slots: 4, chunk: 64, ..options.clone() };
    assert_eq!(keys(&same), usual);
    let manifest = package.join("fleming.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text + " ").unwrap();
    assert!(keys(&options).iter().all(|key| !usual.contains(key)));
}

#[test]
fn a_damaged_engine_is_built_again() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let built = warm(&package, &options, EnginePlace::Cache).unwrap();
    let engine = built[1].folder.join("decoder_1_0_sm00.engine");
    fs::write(&engine, "BUILT").unwrap();
    let states = engine_states(&Package::open(&package).unwrap(), &options).unwrap();
    assert!(
        states[0].damage.is_none() && states[1].damage.as_ref().unwrap().contains("SHA-256"),
        "{states:?}"
    );
    let again = warm(&package, &options, EnginePlace::Cache).unwrap();
    assert!(again[0].cosine.is_none() && again[1].cosine.is_some());
    assert_eq!(fs::read_to_string(&engine).unwrap(), "built");
}

#[test]
fn engines_are_shipped_in_the_package() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    // those that are in the cache are copied
    let cached = warm(&package, &options, EnginePlace::Cache).unwrap();
    let shipped = warm(&package, &options, EnginePlace::Package).unwrap();
    for (shipped, cached) in shipped.iter().zip(&cached) {
        assert_eq!((&shipped.key, shipped.cosine), (&cached.key, None));
        assert!(shipped.folder.starts_with(package.join("engines")), "{shipped:?}");
    }
    fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let found = warm(&package, &options, EnginePlace::Cache).unwrap();
    assert!(found.iter().zip(&shipped).all(|(found, shipped)| found.folder == shipped.folder));
    assert!(!folder.path().join("cache").exists());
    // and built there where there are none
    fs::remove_dir_all(package.join("engines")).unwrap();
    let built = warm(&package, &options, EnginePlace::Package).unwrap();
    assert!(built.iter().all(|engines| engines.cosine.is_some() && engines.folder.starts_with(&package)));
    assert!(!folder.path().join("cache").exists());
}

#[test]
fn two_that_open_at_once_both_end_well() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let open = || warm(&package, &options, EnginePlace::Cache).unwrap();
    let (one, other) = thread::scope(|scope| {
        let (one, other) = (scope.spawn(open), scope.spawn(open));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert!(
        one.iter().zip(&other).all(|(one, other)| one.folder == other.folder && one.bytes == other.bytes)
    );
    assert_eq!(entries(&folder.path().join("cache")).len(), 2);
}

#[test]
fn an_engine_that_computes_something_else_is_thrown_away() {
    let folder = TempDir::new().unwrap();
    let (path, options) = (package(&folder), options(&folder));
    let package = Package::open(&path).unwrap();
    let runtime = Runtime::load(None).unwrap();
    let opening = Opening::new(&runtime, &package, &options, EnginePlace::Cache).unwrap();
    let [ranges, _] = ranges(&package);
    let part = |sample: &[f32]| {
        let sample = sample.to_vec();
        let open = |options: &GraphOptions| VisionTower::open(&runtime, &package, options);
        let contract = &package.manifest().graphs.vision;
        opening.open(&Part {
            contract,
            options: &opening.vision,
            ranges: ranges.clone(),
            open: &open,
            sample: &|_| Ok(vec![sample.clone()]),
            reference: &|_| Ok(vec![vec![1.0, 1.0]]),
        })
    };
    let error = part(&[1.0, 0.8]).err().unwrap().to_string();
    assert!(error.contains("vision.onnx: its new engine") && error.contains("got 0.993884"), "{error}");
    assert!(error.contains("the cpu provider"), "{error}");
    assert!(entries(&folder.path().join("cache")).is_empty());
    part(&[1.0, 1.0]).unwrap();
    // it is in question only when it is built
    part(&[1.0, 0.8]).unwrap();
}

#[test]
fn an_engine_built_without_a_word_is_an_error() {
    let folder = TempDir::new().unwrap();
    let (package, options) = (package(&folder), options(&folder));
    let built = warm(&package, &options, EnginePlace::Cache).unwrap();
    // an entry that is whole, but whose engine is of another name than the one that is looked for
    let entry = &built[0].folder;
    fs::rename(entry.join("vision_1_0_sm00.engine"), entry.join("vision_2_0_sm00.engine")).unwrap();
    let list = fs::read_to_string(entry.join("entry.json")).unwrap();
    fs::write(entry.join("entry.json"), list.replace("vision_1_0_sm00.engine", "vision_2_0_sm00.engine"))
        .unwrap();
    let error = warm(&package, &options, EnginePlace::Cache).unwrap_err().to_string();
    assert!(error.contains("vision.onnx: its engines") && error.contains("without a word"), "{error}");
    assert!(error.contains(entry.to_str().unwrap()), "{error}");
}

#[test]
fn a_folder_that_onnx_runtime_cannot_be_told_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let folder = TempDir::new().unwrap();
    let (package, mut options) = (package(&folder), options(&folder));
    options.engine_cache = Some(folder.path().join(OsString::from_vec(b"caf\xe9".to_vec())));
    let error = warm(&package, &options, EnginePlace::Cache).unwrap_err().to_string();
    assert!(error.contains("engine-cache: wanted a folder named in UTF-8"), "{error}");
}

#[test]
fn a_graph_of_which_no_engine_is_built_is_an_error() {
    let folder = TempDir::new().unwrap();
    let (package, mut options) = (package(&folder), options(&folder));
    options.provider_options = vec![("trt_detailed_build_log".into(), "true".into())];
    let error = warm(&package, &options, EnginePlace::Cache).unwrap_err().to_string();
    assert!(error.contains("vision.onnx: wanted nodes that an engine is built of"), "{error}");
    assert!(entries(&folder.path().join("cache")).is_empty());
}

#[test]
fn an_altered_package_has_no_engines_built() {
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
fn options_outside_the_profiles_are_told_before_anything_is_loaded() {
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
    // the other providers take any
    let options = EngineOptions { slots: 9, chunk: 513, ..EngineOptions::default() };
    check(&Package::open(&package).unwrap(), &options).unwrap();
    assert!(warm(&package, &EngineOptions::default(), EnginePlace::Cache).unwrap().is_empty());
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
    let graphs = |states: Vec<EngineState>| states.into_iter().map(|state| state.graph).collect::<Vec<_>>();
    assert_eq!(graphs(engine_states(&package, &options).unwrap()), ["vision.onnx"]);
    let built = warm(&path, &options, EnginePlace::Cache).unwrap();
    assert_eq!(built.iter().map(|engines| engines.graph.as_str()).collect::<Vec<_>>(), ["vision.onnx"]);
    assert_eq!(entries(&folder.path().join("cache")).len(), 1);
}

#[test]
fn a_run_outside_the_profiles_is_told_before_it_is_run() {
    let folder = TempDir::new().unwrap();
    let (path, mut options) = (package(&folder), options(&folder));
    options.slots = 8;
    let package = Package::open(&path).unwrap();
    let runtime = Runtime::load(None).unwrap();
    let opening = Opening::new(&runtime, &package, &options, EnginePlace::Cache).unwrap();
    let mut decoder = opening.decoder().unwrap().graph;
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
    let tower = opening.vision().unwrap().graph;
    assert_eq!(tower.tiles_per_run(), 12, "the profile's, where the provider would take more");
}

#[test]
fn a_reference_is_the_cpu_where_it_runs_the_package() {
    let folder = TempDir::new().unwrap();
    let path = package(&folder);
    let name = |provider: &str| {
        let options = EngineOptions { provider: provider.into(), ..options(&folder) };
        let package = Package::open(&path).unwrap();
        options.graph().unwrap().reference(package.manifest()).unwrap().device.provider.name
    };
    assert_eq!(name("tensorrt:1"), "cpu");
    let manifest = path.join("fleming.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"precision\": \"f32\"", "\"precision\": \"bf16\"")).unwrap();
    assert_eq!(name("tensorrt:1"), "cuda");
}
