//! Engines: what TensorRT makes of a graph, in minutes, and what they are good for.

use std::path::Path;
use std::sync::Arc;

use ort::session::Session;

use super::graph::GraphOptions;
use super::profiles::Ranges;
use super::provider::Device;
use super::raw::{self, Gpu};
use super::runtime::{self, Runtime};
use crate::error::{Error, Result};
use crate::package::Manifest;
use crate::store;

/// Where the engines of a graph are, or are to be.
#[derive(Clone, Copy)]
pub(crate) enum Engines<'a> {
    /// They are made while the graph is opened, with the help of the times that are in the same folder.
    Build(&'a Path),
    Load(&'a Path),
}

/// How the names of engines end, and that of the times that were taken for them.
pub(crate) const ENGINE: &str = ".engine";
pub(crate) const TIMING: &str = ".timing";
/// The facts that times depend on.
pub(crate) const TIMING_FACTS: [&str; 3] = ["tensorrt", "gpu", "compute_capability"];

/// The option by which engines are for other GPUs too.
const FOR_OTHERS: &str = "trt_engine_hw_compatible";
/// The first compute capability that such engines are for, and the one of Orin, which has none of them.
const AMPERE: (i32, i32) = (8, 0);
const ORIN: (i32, i32) = (8, 7);

impl GraphOptions {
    /// The same for a graph whose inputs lie in these ranges, with its engines.
    pub(crate) fn with_engines(&self, ranges: &Ranges, engines: Engines<'_>) -> Self {
        let mut settings = vec![
            ("trt_engine_cache_enable".to_owned(), "1".to_owned()),
            ("trt_engine_cache_prefix".to_owned(), ranges.stem().to_owned()),
        ];
        settings.extend(ranges.settings());
        let mut path = |key: &str, path: &Path| settings.push((key.into(), path.display().to_string()));
        match engines {
            Engines::Load(folder) => path("trt_engine_cache_path", folder),
            Engines::Build(folder) => {
                path("trt_engine_cache_path", folder);
                path("trt_timing_cache_path", folder);
                settings.push(("trt_timing_cache_enable".into(), "1".into()));
            }
        }
        let device = self.device.with(settings);
        Self { device, threads: self.threads, ranges: Some(Arc::new(ranges.clone())) }
    }

    /// The same with what engines are held against: the CPU where it runs the package, else CUDA on the same device.
    pub(crate) fn reference(&self, manifest: &Manifest) -> Result<Self> {
        let cpu = Device::parse("cpu", &[])?;
        let device = match cpu.provider.accept(&manifest.target, &manifest.precision) {
            Ok(()) => cpu,
            Err(_) => Device::parse(&format!("cuda:{}", self.device.number()), &[])?,
        };
        Ok(Self { device, threads: self.threads, ranges: None })
    }

    /// Tiles that one run of the vision graph takes.
    pub(crate) fn tiles_per_run(&self) -> usize {
        let most = self.ranges.as_ref().and_then(|ranges| ranges.most("pixel_values", 0));
        most.map_or(self.device.provider.tiles_per_run, |most| most.min(self.device.provider.tiles_per_run))
    }
}

impl Device {
    /// Whether graphs are built into engines when they are opened.
    pub(crate) fn builds_engines(&self) -> bool {
        self.provider.engines.is_some()
    }

    /// What engines for these ranges depend on beside the graph.
    ///
    /// # Errors
    /// [`Error::Runtime`] if ONNX Runtime, the device or its libraries do not tell.
    pub(crate) fn engine_facts(&self, runtime: &Runtime, ranges: &Ranges) -> Result<store::Facts> {
        let name = self.provider.name;
        let failed = |reason: String| {
            Error::runtime(
                format!("{name} provider"),
                "a device and libraries that tell their versions",
                reason,
            )
            .hint("`fleming doctor` tells what this machine has")
        };
        if !self.load_libraries(runtime)? {
            // which says why
            let builder =
                Session::builder(&runtime.environment).map_err(|error| failed(error.to_string()))?;
            self.register(runtime, builder)?;
        }
        let mut facts = store::Facts::from([("onnxruntime".to_owned(), runtime::build())]);
        if let Some(ask) = self.provider.engines {
            let told = ask(self).map_err(failed)?;
            facts.extend(told.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        // of whatever number the device is
        let settings = self.settings().iter().filter(|(key, _)| key != "device_id").cloned();
        facts.extend(settings.chain(ranges.settings()));
        Ok(facts)
    }
}

/// What TensorRT's engines depend on.
pub(super) fn of_tensorrt(device: &Device) -> std::result::Result<Vec<(&'static str, String)>, String> {
    let for_others = device.setting(FOR_OTHERS) == Some("1");
    depending(raw::tensorrt_version()?, raw::gpu(device.number())?, for_others.then_some(FOR_OTHERS))
}

/// The first TensorRT with a layer that keeps keys and values in place, `IKVCacheUpdateLayer`.
const KEEPS_CACHES: [u32; 2] = [10, 15];

/// Who runs decoders where TensorRT would have to copy the cache in every step.
pub(super) fn in_stead_of_tensorrt(_: &Device) -> std::result::Result<Option<&'static str>, String> {
    let version = raw::tensorrt_version()?;
    Ok(in_stead_of(&version).inspect(|other| {
        tracing::warn!(target: "fleming::engine", tensorrt = version, "too old to keep a cache in place, which 10.15 does: the decoder runs on the {other} provider");
    }))
}

fn in_stead_of(tensorrt: &str) -> Option<&'static str> {
    let numbers = tensorrt.split('.').map_while(|number| number.parse::<u32>().ok());
    numbers.take(2).lt(KEEPS_CACHES).then_some("cuda")
}

/// `for_others` is the option that says that engines are for other GPUs too.
fn depending(
    tensorrt: String,
    gpu: Gpu,
    for_others: Option<&str>,
) -> std::result::Result<Vec<(&'static str, String)>, String> {
    let number = |(major, minor): (i32, i32)| format!("{major}.{minor}");
    let (name, capability) = match for_others {
        None => (gpu.name, number(gpu.capability)),
        // there ONNX Runtime would leave the option out
        Some(option) if gpu.capability < AMPERE || gpu.capability == ORIN => {
            return Err(format!(
                "{option} on {} of compute capability {}, which has no engines for other GPUs",
                gpu.name,
                number(gpu.capability)
            ));
        }
        Some(_) => ("any".into(), format!("{} or later", number(AMPERE))),
    };
    Ok(vec![
        ("tensorrt", tensorrt),
        ("driver", format!("CUDA {}", number(gpu.cuda))),
        ("gpu", name),
        ("compute_capability", capability),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_tensorrt_leaves_decoders_to_cuda() {
        let found = ["8.6.1", "10.9.0", "10.14.1", "10.15.1", "10.16.0", "11.0.0"].map(in_stead_of);
        let cuda = Some("cuda");
        assert_eq!(found, [cuda, cuda, cuda, None, None, None]);
    }

    fn h100() -> Gpu {
        Gpu { name: "NVIDIA H100 80GB HBM3".into(), capability: (9, 0), cuda: (13, 0) }
    }

    #[test]
    fn what_engines_depend_on() {
        let told = depending("10.15.1".into(), h100(), None).unwrap();
        let wanted = [
            ("tensorrt", "10.15.1"),
            ("driver", "CUDA 13.0"),
            ("gpu", "NVIDIA H100 80GB HBM3"),
            ("compute_capability", "9.0"),
        ];
        assert_eq!(told, wanted.map(|(name, value)| (name, value.to_owned())));
        let told = depending("10.15.1".into(), h100(), Some(FOR_OTHERS)).unwrap();
        assert_eq!((told[2].1.as_str(), told[3].1.as_str()), ("any", "8.0 or later"));
        for capability in [(7, 5), (8, 7)] {
            let gpu = Gpu { name: "Orin".into(), capability, cuda: (13, 0) };
            let error = depending("10.15.1".into(), gpu, Some(FOR_OTHERS)).unwrap_err();
            assert!(error.contains("trt_engine_hw_compatible on Orin"), "{error}");
        }
        assert!(TIMING_FACTS.iter().all(|fact| wanted.iter().any(|(name, _)| name == fact)));
    }

    #[test]
    fn what_onnx_runtime_is_told_of_engines() {
        let ranges = Ranges::spanning("vision.onnx", &[]);
        let options = [("trt_builder_optimization_level".to_owned(), "5".to_owned())];
        let device = Device::parse("tensorrt:1", &options).unwrap();
        let options = GraphOptions { device, threads: None, ranges: None };
        let told = |engines| {
            let device = options.with_engines(&ranges, engines).device;
            let mut told: Vec<_> = device.settings().to_vec();
            told.retain(|(key, _)| {
                ["trt_engine", "trt_timing", "device"].iter().any(|head| key.starts_with(head))
            });
            told.sort();
            told
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let load = [
            pair("device_id", "1"),
            pair("trt_engine_cache_enable", "1"),
            pair("trt_engine_cache_path", "/cache/key"),
            pair("trt_engine_cache_prefix", "vision"),
        ];
        assert_eq!(told(Engines::Load(Path::new("/cache/key"))), load);
        let build = [
            load[0].clone(),
            load[1].clone(),
            pair("trt_engine_cache_path", "/cache/partial"),
            load[3].clone(),
            pair("trt_timing_cache_enable", "1"),
            pair("trt_timing_cache_path", "/cache/partial"),
        ];
        assert_eq!(told(Engines::Build(Path::new("/cache/partial"))), build);
    }
}
