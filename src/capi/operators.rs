//! This library's operators in sessions of another program.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::onnx::{ForeignOptions, OwnOperators};

/// For programs that run the graphs of a package for the CPU with ONNX Runtime themselves, and want fleming's kernels. Nobody
/// calls it: ONNX Runtime looks for this name in a library of custom operators, which RegisterCustomOpsLibrary_V2 loads in C and
/// SessionOptions.register_custom_ops_library(path) in Python. From then on MatMulNBits of accuracy level 4, MultiHeadAttention
/// and GroupQueryAttention of that session are computed as fleming computes them.
///
/// options: an OrtSessionOptions. api: an OrtApiBase. Returns an OrtStatus, which is NULL if all went well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RegisterCustomOps(options: *mut c_void, api: *const c_void) -> *mut c_void {
    if options.is_null() || api.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: both are what ONNX Runtime hands over.
    let registered = AssertUnwindSafe(|| unsafe {
        match ForeignOptions::new(options, api) {
            Some(options) => OwnOperators::lend(&options),
            None => ForeignOptions::too_old(api),
        }
    });
    catch_unwind(registered).unwrap_or(ptr::null_mut())
}
