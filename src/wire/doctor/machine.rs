//! The processor, ONNX Runtime, and NVIDIA's driver and GPUs, as the machine tells.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::engine::{EngineOptions, own_operators};
use crate::onnx;
use crate::package::Package;

/// Whose kernels compute the operators that Fleming has its own for, and with which instructions.
pub fn kernels(package: &Package, options: &EngineOptions) -> Value {
    own_operators(package, options).ok().map(onnx::OwnOperators::describe).into()
}

/// The processor, and what of it and of its devices these options take.
pub fn machine(options: &EngineOptions) -> Value {
    let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = facts.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    json!({
        "cpu": cpu,
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
        "threads": options.threads,
        "provider": options.provider,
    })
}

/// The ONNX Runtime of this process; null before one was loaded.
pub fn onnxruntime() -> Value {
    match onnx::onnxruntime() {
        Some(facts) => json!({"library": facts.library, "build": facts.build}),
        None => Value::Null,
    }
}

/// Version of NVIDIA's kernel driver; null where there is none.
pub(super) fn driver() -> Value {
    let text = fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    version(&text).map_or(Value::Null, Value::from)
}

/// The GPUs that `nvidia-smi` lists; none where it is not there.
pub(super) fn gpus() -> Vec<Value> {
    let query = "--query-gpu=index,name,memory.total,memory.free,compute_cap";
    let output = Command::new("nvidia-smi").args([query, "--format=csv,noheader,nounits"]).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    String::from_utf8_lossy(&text.unwrap_or_default()).lines().filter_map(gpu).collect()
}

/// The first word with a dot among digits: `580.65.06` of `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  …`.
fn version(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    line.split_whitespace().find(|word| {
        word.contains('.') && word.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
    })
}

fn gpu(line: &str) -> Option<Value> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let &[index, name, memory, free, capability] = fields.as_slice() else { return None };
    let number = |text: &str| text.parse::<u64>().ok();
    Some(json!({
        "index": number(index)?,
        "name": name,
        "memory_mib": number(memory),
        "free_mib": number(free),
        "compute_capability": capability,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_and_its_tool_print() {
        let text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:10:03 UTC 2025\n\
                    GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n";
        assert_eq!(version(text), Some("580.65.06"));
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n";
        assert_eq!(version(open), Some("570.86.15"));
        assert_eq!(version(""), None);
        let found = gpu("0, NVIDIA H200, 143771, 143000, 9.0").unwrap();
        assert_eq!(found["name"], "NVIDIA H200");
        assert_eq!((found["index"].as_u64(), found["free_mib"].as_u64()), (Some(0), Some(143_000)));
        assert_eq!(found["compute_capability"], "9.0");
        // on a board that shares its memory with the processor
        assert_eq!(gpu("0, Orin (nvgpu), [N/A], [N/A], 8.7").unwrap()["memory_mib"], Value::Null);
        assert_eq!(gpu("No devices were found"), None);
    }
}
