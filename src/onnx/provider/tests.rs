use super::Device;
use super::table::cuda_beside;
use crate::error::Result;
use crate::kernels::Instructions;

fn settings(text: &str, options: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
    let options: Vec<_> = options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let mut settings = Device::parse(text, &options)?.settings().to_vec();
    settings.sort();
    Ok(settings)
}

fn strings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

#[test]
fn settings_reach_onnx_runtime_in_its_words() {
    assert_eq!(
        settings("cpu", &[]).unwrap(),
        strings(&[("kernels", "1"), ("spin_duration_us", "20"), ("use_arena", "1")])
    );
    assert_eq!(
        settings("cpu", &[("use_arena", "false")]).unwrap(),
        strings(&[("kernels", "1"), ("spin_duration_us", "20"), ("use_arena", "0")])
    );
    let options = [("use_tf32", "true"), ("gpu_mem_limit", "20GiB"), ("sdpa_kernel", "1")];
    assert_eq!(
        settings("cuda:3", &options).unwrap(),
        strings(&[
            ("arena_extend_strategy", "kSameAsRequested"),
            ("device_id", "3"),
            ("enable_cuda_graph", "1"),
            ("enable_cudnn", "0"),
            ("ep.cuda.fpa_intb_gemm", "1"),
            ("gpu_mem_limit", "21474836480"),
            ("sdpa_kernel", "1"),
            ("use_tf32", "1"),
        ])
    );
    assert_eq!(
        settings("tensorrt", &[("trt_builder_optimization_level", "5")]).unwrap(),
        strings(&[
            ("device_id", "0"),
            ("trt_bf16_enable", "0"),
            ("trt_builder_optimization_level", "5"),
            ("trt_fp16_enable", "0"),
            ("trt_int8_enable", "0"),
            ("trt_load_user_initializer", "1"),
        ])
    );
}

#[test]
fn instructions_are_chosen_by_their_keys() {
    let kernels = |value: &str| Device::parse("cpu", &[("kernels".into(), value.into())])?.kernels();
    assert_eq!(kernels("false").unwrap(), None);
    let fastest = Some(Instructions::here()).filter(|found| *found != Instructions::Plain);
    assert_eq!(kernels("true").unwrap(), fastest);
    for key in Instructions::KEYS {
        match Instructions::of(key) {
            Some(instructions) => assert_eq!(kernels(key).unwrap(), Some(instructions)),
            None => {
                let error = kernels(key).unwrap_err().to_string();
                assert!(error.contains("kernels: wanted instructions of this machine"), "{error}");
            }
        }
    }
    let error = kernels("sse2").unwrap_err().to_string();
    assert!(error.contains("true, false, avx2, avx512, amx"), "{error}");
}

#[test]
fn settings_of_the_session_do_not_reach_the_provider() {
    let cuda = Device::parse("cuda:3", &[]).unwrap();
    assert!(cuda.settings().iter().any(|(key, _)| key == "ep.cuda.fpa_intb_gemm"));
    let found: Vec<_> = cuda.of_provider().collect();
    assert!(found.iter().all(|(key, _)| !key.contains('.')) && found.len() > 4, "{found:?}");
    // nor beside TensorRT, where CUDA records nothing
    let beside = cuda_beside(&Device::parse("tensorrt:3", &[]).unwrap()).unwrap();
    let wanted: Vec<_> = found.into_iter().filter(|(key, _)| key != "enable_cuda_graph").collect();
    assert_eq!(beside.of_provider().collect::<Vec<_>>(), wanted);
}

#[test]
fn names_that_mean_nothing() {
    for text in
        ["quantum", "", "CUDA", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:1:2", "cuda:99999999999"]
    {
        let error = settings(text, &[]).unwrap_err();
        assert!(error.to_string().contains("cuda or cuda:N"), "{text}: {error}");
    }
    let error = settings("cpu:0", &[]).unwrap_err().to_string();
    assert!(error.contains("cpu without a number"), "{error}");
}

#[test]
fn options_that_mean_nothing() {
    let refusal = |provider: &str, options: &[(&str, &str)]| {
        let error = settings(provider, options).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::Request);
        error.to_string()
    };
    let unknown = refusal("cuda", &[("use_tf23", "true")]);
    let known = ["use_tf23", "use_tf32 (true or false)", "gpu_mem_limit (a number of bytes"];
    assert!(known.iter().all(|part| unknown.contains(part)), "{unknown}");
    assert!(refusal("cpu", &[("use_tf32", "true")]).contains("use_arena (true or false)"));
    assert!(refusal("cuda", &[("device_id", "1")]).contains("none of them"));
    assert!(refusal("tensorrt", &[("trt_fp16_enable", "true")]).contains("another precision"));
    let cudnn = refusal("cuda", &[("enable_cudnn", "1")]);
    assert!(cudnn.contains("no graph has a convolution") && !cudnn.contains("precision"), "{cudnn}");
    assert!(refusal("tensorrt", &[("trt_engine_cache_path", "/x")]).contains("--engine-cache"));
    assert!(refusal("tensorrt", &[("trt_timing_cache_enable", "true")]).contains("--engine-cache"));
    assert!(refusal("tensorrt", &[("trt_profile_min_shapes", "x:1")]).contains("those of the package"));
    assert!(refusal("cuda", &[("use_tf32", "true"), ("use_tf32", "true")]).contains("twice"));
    for (key, value) in [
        ("use_tf32", "1"),
        ("gpu_mem_limit", "20GB"),
        ("gpu_mem_limit", "0"),
        ("gpu_mem_limit", "99999999999999GiB"),
        ("sdpa_kernel", "1024"),
        ("sdpa_kernel", "-1"),
        ("arena_extend_strategy", "kSame"),
    ] {
        assert!(refusal("cuda", &[(key, value)]).contains(&format!("got {value}")), "{key}={value}");
    }
}

#[test]
fn which_packages_run_where() {
    let accepts = |provider: &str, target: &str, precision: &str| {
        Device::parse(provider, &[]).unwrap().provider.accept(target, precision).is_ok()
    };
    assert!(accepts("cpu", "cpu", "int4") && accepts("cpu", "tensorrt", "f32"));
    assert!(!accepts("cpu", "cuda", "bf16") && !accepts("cpu", "tensorrt", "f16"));
    assert!(accepts("cuda", "cuda", "int4") && accepts("cuda:1", "tensorrt", "bf16"));
    assert!(!accepts("cuda", "cpu", "f32") && !accepts("tensorrt", "cuda", "bf16"));
    assert!(accepts("tensorrt", "tensorrt", "bf16") && !accepts("tensorrt", "cpu", "int4"));
    // TensorRT has fused attention in 16 bits only; elsewhere such a package is a twin for tests
    assert!(!accepts("tensorrt", "tensorrt", "f32") && accepts("cuda", "tensorrt", "f32"));
    let error = Device::parse("tensorrt", &[]).unwrap().provider.accept("tensorrt", "f32").unwrap_err();
    assert!(error.to_string().contains("precision") && error.to_string().contains("got f32"), "{error}");
}
