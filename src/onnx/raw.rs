//! What ONNX Runtime offers and ort does not: tensors on a part of another's memory, and on which provider each node of a
//! graph is. The only place under `onnx/` with `unsafe`.

use std::ffi::{CStr, c_char};
use std::ops::Range;
use std::ptr::{self, NonNull};

use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::Session;
use ort::value::{DynValue, Tensor as OrtTensor};

/// A node of a graph and what runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) operator: String,
    /// ONNX Runtime's name of the provider.
    pub(super) provider: String,
}

/// Neighbouring slots of a tensor as a tensor `[slots, heads, capacity, head_dim]` on the same memory.
pub(super) fn view(
    tensor: &mut OrtTensor<f32>,
    elements: Range<usize>,
    sizes: [i64; 4],
) -> ort::Result<DynValue> {
    let info: MemoryInfo<'static> = tensor.memory_info().to_owned();
    let (_, numbers) = tensor.extract_tensor_mut();
    let memory = &mut numbers[elements];
    let mut value = ptr::null_mut();
    // SAFETY: `memory` lies inside the tensor, whose memory never moves and lives as long as the arena. The views live in
    // the arena and in the binding of the graph, which runs only through the decoder that owns both. Every number of the
    // tensor is reached through one of them at a time: a run, or a copy between runs.
    let status = unsafe {
        (ort::api().CreateTensorWithDataAsOrtValue)(
            info.ptr(),
            memory.as_mut_ptr().cast(),
            size_of_val(memory),
            sizes.as_ptr(),
            sizes.len(),
            ort::sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
            &raw mut value,
        )
    };
    // SAFETY: the status is what the call above returned.
    unsafe { ort::Error::result_from_status(status) }?;
    let value = NonNull::new(value).ok_or_else(|| ort::Error::new("no tensor was made"))?;
    // SAFETY: a value that was just made and has no other owner. Its memory is not the allocator's to free, and the
    // value knows that.
    Ok(unsafe { DynValue::from_ptr(value, Some(&Allocator::default())) })
}

/// Every node of a session that was asked to record it.
pub(super) fn placement(session: &Session) -> ort::Result<Vec<Placed>> {
    let api = ort::api();
    let (mut parts, mut count) = (ptr::null(), 0);
    // SAFETY: the session is alive; what is returned belongs to it and is only read here, before it can be dropped. Every
    // pointer is read only after the call that fills it succeeded, and never beyond the number that came with it.
    unsafe {
        check((api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &raw mut parts, &raw mut count))?;
        let mut placed = Vec::new();
        for part in 0..count {
            let part = *parts.add(part);
            let provider = text(|out| (api.EpAssignedSubgraph_GetEpName)(part, out))?;
            let (mut nodes, mut count) = (ptr::null(), 0);
            check((api.EpAssignedSubgraph_GetNodes)(part, &raw mut nodes, &raw mut count))?;
            for node in 0..count {
                let node = *nodes.add(node);
                placed.push(Placed {
                    name: text(|out| (api.EpAssignedNode_GetName)(node, out))?,
                    operator: text(|out| (api.EpAssignedNode_GetOperatorType)(node, out))?,
                    provider: provider.clone(),
                });
            }
        }
        Ok(placed)
    }
}

/// # Safety
/// `status` is what a call of ONNX Runtime's interface returned.
unsafe fn check(status: ort::sys::OrtStatusPtr) -> ort::Result<()> {
    // SAFETY: by this function's contract.
    unsafe { ort::Error::result_from_status(status) }
}

/// # Safety
/// `get` fills the pointer with a text that ends in zero and outlives this call, or returns an error.
unsafe fn text(get: impl FnOnce(*mut *const c_char) -> ort::sys::OrtStatusPtr) -> ort::Result<String> {
    let mut text = ptr::null();
    // SAFETY: by this function's contract.
    unsafe {
        check(get(&raw mut text))?;
        Ok(CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
