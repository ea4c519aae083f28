//! What TensorRT's plans depend on, and what a version of TensorRT can do.

use super::device::Device;
use crate::onnx::raw::{self, Gpu};

/// The option by which plans run on other GPUs too.
pub(super) const ANY_GPU: &str = "trt_engine_hw_compatible";

/// What kernel timings depend on, of all that plans depend on.
pub(crate) const TIMING_INPUTS: [&str; 3] = ["tensorrt", "gpu", "compute_capability"];

/// The first compute capability that plans for any GPU run on.
const AMPERE: (i32, i32) = (8, 0);
/// The compute capability of Orin, which has no such plans.
const ORIN: (i32, i32) = (8, 7);

/// The first TensorRT with an in-place KV cache, `IKVCacheUpdateLayer`.
const IN_PLACE_CACHE: [u32; 2] = [10, 15];

/// What plans on this device depend on beside graph and settings.
pub(super) fn plan_inputs(device: &Device) -> Result<Vec<(&'static str, String)>, String> {
    let any_gpu = device.setting(ANY_GPU) == Some("1");
    inputs_of(raw::tensorrt_version()?, raw::gpu(device.number())?, any_gpu.then_some(ANY_GPU))
}

/// `any_gpu` is the option by which plans run on other GPUs too, if it is set.
fn inputs_of(
    tensorrt: String,
    gpu: Gpu,
    any_gpu: Option<&str>,
) -> Result<Vec<(&'static str, String)>, String> {
    let number = |(major, minor): (i32, i32)| format!("{major}.{minor}");
    let (name, capability) = match any_gpu {
        None => (gpu.name, number(gpu.capability)),
        // ONNX Runtime would ignore the option there
        Some(option) if gpu.capability < AMPERE || gpu.capability == ORIN => {
            return Err(format!(
                "{option} on {} of compute capability {}, which has no plans for other GPUs",
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

/// Whether the loaded TensorRT has no in-place KV cache, so that every step would copy the cache.
pub(super) fn copies_caches() -> Result<bool, String> {
    let version = raw::tensorrt_version()?;
    let old = is_before(&version, IN_PLACE_CACHE);
    if old {
        tracing::warn!(target: "fleming::engine", tensorrt = version, "too old to keep a cache in place, which 10.15 does: the decoder runs on the cuda provider");
    }
    Ok(old)
}

fn is_before(version: &str, first: [u32; 2]) -> bool {
    let numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    numbers.take(2).lt(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_tensorrt_copies_caches() {
        let old = ["8.6.1", "10.9.0", "10.14.1", "10.15.1", "10.16.0", "11.0.0"]
            .map(|version| is_before(version, IN_PLACE_CACHE));
        assert_eq!(old, [true, true, true, false, false, false]);
    }

    fn h100() -> Gpu {
        Gpu { name: "NVIDIA H100 80GB HBM3".into(), capability: (9, 0), cuda: (13, 0) }
    }

    #[test]
    fn plans_depend_on_versions_and_the_gpu() {
        let found = inputs_of("10.15.1".into(), h100(), None).unwrap();
        let wanted = [
            ("tensorrt", "10.15.1"),
            ("driver", "CUDA 13.0"),
            ("gpu", "NVIDIA H100 80GB HBM3"),
            ("compute_capability", "9.0"),
        ];
        assert_eq!(found, wanted.map(|(name, value)| (name, value.to_owned())));
        let found = inputs_of("10.15.1".into(), h100(), Some(ANY_GPU)).unwrap();
        assert_eq!((found[2].1.as_str(), found[3].1.as_str()), ("any", "8.0 or later"));
        for capability in [(7, 5), (8, 7)] {
            let gpu = Gpu { name: "Orin".into(), capability, cuda: (13, 0) };
            let error = inputs_of("10.15.1".into(), gpu, Some(ANY_GPU)).unwrap_err();
            assert!(error.contains("trt_engine_hw_compatible on Orin"), "{error}");
        }
        assert!(TIMING_INPUTS.iter().all(|input| wanted.iter().any(|(name, _)| name == input)));
    }
}
