//! This crate's operators in sessions of other programs.

use std::ffi::c_void;
use std::ptr;

use super::own::OwnOperators;
use crate::kernels::Instructions;
use crate::onnx::foreign::ForeignOptions;

impl OwnOperators {
    /// Registers all of them with a session of another program, with the fastest instructions of the machine. Returns a status of
    /// ONNX Runtime: null, or what is wrong. Where this crate has no kernels for the machine, nothing is registered.
    pub(crate) fn lend(options: &ForeignOptions) -> *mut c_void {
        let instructions = Instructions::here();
        if instructions == Instructions::Plain {
            return ptr::null_mut();
        }
        let all = Self { products: true, attention: true, instructions };
        // nobody says when the session ends: the few bytes live as long as the program
        options.add(all.domains(None).map(|domains| &*Box::leak(Box::new(domains)) as &[_]))
    }
}
