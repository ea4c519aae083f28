//! ONNX Runtime's threads, for kernels of this crate.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use ort::operator::ComputeContext;

use crate::kernels::{Instructions, Threads};
use crate::onnx::raw::Shared;

/// What a session computes with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resources {
    pub(super) instructions: Instructions,
    pub(super) threads: usize,
}

/// The threads of the session that runs a kernel, for as long as the kernel runs.
pub(super) struct Pool<'a> {
    context: Shared<'a>,
    count: usize,
}

impl<'a> Pool<'a> {
    pub(super) fn new(context: &'a ComputeContext, resources: Resources) -> Self {
        Self { context: Shared(context), count: resources.threads }
    }
}

impl Threads for Pool<'_> {
    /// # Panics
    /// If a task did, or ONNX Runtime refuses.
    fn each(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        let panicked: Mutex<Option<Box<dyn Any + Send>>> = Mutex::default();
        // a panic must not reach ONNX Runtime's frames on the way
        let guarded = |task| {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(task))) {
                *panicked.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
        };
        let asked = self.context.0.par_for(tasks, 0, guarded);
        if let Some(panic) = panicked.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(panic);
        }
        if let Err(error) = asked {
            resume_unwind(Box::new(error.to_string()));
        }
    }

    fn count(&self) -> usize {
        self.count
    }
}
