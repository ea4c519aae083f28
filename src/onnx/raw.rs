//! What ONNX Runtime offers and ort does not: tensors on a part of another tensor's memory, the provider of each node, and the
//! inputs that a node leaves out.
//! What NVIDIA's libraries say of a GPU. Memory in the place of a file's. The only file under `onnx/` with `unsafe`.

use std::ffi::{CStr, c_char, c_int};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::slice;

use libloading::os::unix::{Library, RTLD_NOW, Symbol};
use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::operator::{ComputeContext, KernelContext};
use ort::session::Session;
use ort::value::{DynTensor, TensorElementType};
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap_fixed, munmap};

use super::search::{LIBCUDA, LIBCUDART, LIBNVINFER, path_of, search_path};

/// `RTLD_NOLOAD` of `dlfcn.h`: finds a library that is loaded, and loads none.
const NO_LOAD: c_int = 4;

/// A node of a graph and the provider that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) operator: String,
    /// ONNX Runtime's name of the provider.
    pub(super) provider: String,
}

/// Memory for numbers of one type, on the host or a device. It never moves.
pub(super) struct Block {
    tensor: DynTensor,
    element: TensorElementType,
    /// Bytes of a number.
    width: usize,
}

impl Block {
    /// Uninitialised memory for a tensor of these sizes.
    pub(super) fn new(
        allocator: &Allocator,
        element: TensorElementType,
        sizes: &[usize],
    ) -> ort::Result<Self> {
        let sizes: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
        Self::of(DynTensor::new(allocator, element, sizes)?)
    }

    /// The memory of a tensor.
    pub(super) fn of(tensor: DynTensor) -> ort::Result<Self> {
        let element = *tensor.data_type();
        let width = element.byte_size(1).ok_or_else(|| ort::Error::new("numbers of no fixed size"))?;
        Ok(Self { tensor, element, width })
    }

    /// All of the memory as a tensor.
    pub(super) fn into_tensor(self) -> DynTensor {
        self.tensor
    }

    /// The bytes, in the host's memory.
    pub(super) fn bytes(&self) -> ort::Result<&[u8]> {
        let length = self.length()?;
        // SAFETY: the tensor has `length` bytes of memory that the processor reaches, and the slice borrows the tensor.
        Ok(unsafe { slice::from_raw_parts(self.tensor.data_ptr().cast(), length) })
    }

    /// The bytes, in the host's memory, to be written.
    pub(super) fn bytes_mut(&mut self) -> ort::Result<&mut [u8]> {
        let length = self.length()?;
        // SAFETY: as above. Nobody else writes: a run writes through views, but on this thread, before or after.
        Ok(unsafe { slice::from_raw_parts_mut(self.tensor.data_ptr_mut().cast(), length) })
    }

    fn length(&self) -> ort::Result<usize> {
        match (self.tensor.memory_info().is_cpu_accessible(), self.tensor.size()) {
            (true, Some(length)) => Ok(length),
            _ => Err(ort::Error::new("device memory, which the processor does not reach")),
        }
    }

    /// A tensor of these sizes on the memory from number `first` on. It must not outlive the block.
    ///
    /// # Errors
    /// If it would reach beyond the block.
    pub(super) fn view(&mut self, first: usize, sizes: &[usize]) -> ort::Result<DynTensor> {
        self.view_of(self.element, first, sizes)
    }

    /// The same tensor in a type that ONNX Runtime can copy: it cannot copy bfloat16, so numbers of 16 bits become `uint16`.
    pub(super) fn bits(&mut self, first: usize, sizes: &[usize]) -> ort::Result<DynTensor> {
        let element = if self.width == 2 { TensorElementType::Uint16 } else { self.element };
        self.view_of(element, first, sizes)
    }

    /// `element` must be as wide as the block's.
    fn view_of(
        &mut self,
        element: TensorElementType,
        first: usize,
        sizes: &[usize],
    ) -> ort::Result<DynTensor> {
        let range = byte_range(first, sizes, self.width);
        let within = range.filter(|range| self.tensor.size().is_some_and(|length| range.end <= length));
        let Some(range) = within else {
            return Err(ort::Error::new(format!("{sizes:?} from {first} on reach beyond the memory")));
        };
        let sizes: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
        let info: MemoryInfo<'static> = self.tensor.memory_info().to_owned();
        let mut value = ptr::null_mut();
        // SAFETY: the range lies inside the tensor, as was just checked, and the tensor's memory never moves. Views of a block
        // live beside it or in the binding of the graph beside it, and are dropped before it. One view at a time accesses a
        // number: in a run, or in a copy between runs.
        let status = unsafe {
            (ort::api().CreateTensorWithDataAsOrtValue)(
                info.ptr(),
                self.tensor.data_ptr_mut().cast::<u8>().add(range.start).cast(),
                range.len(),
                sizes.as_ptr(),
                sizes.len(),
                element.into(),
                &raw mut value,
            )
        };
        // SAFETY: the status is what the call above returned.
        unsafe { ort::Error::result_from_status(status) }?;
        let value = NonNull::new(value).ok_or_else(|| ort::Error::new("no tensor was made"))?;
        // SAFETY: a value that was just made and has no other owner. Its memory is not the allocator's to free, and the
        // value knows that.
        Ok(unsafe { DynTensor::from_ptr(value, Some(&Allocator::default())) })
    }
}

/// The bytes of a tensor of these sizes from number `first` on, for numbers of `width` bytes; `None` if there are more than
/// can be counted.
fn byte_range(first: usize, sizes: &[usize], width: usize) -> Option<Range<usize>> {
    let bytes = sizes.iter().try_fold(width, |bytes, &size| bytes.checked_mul(size))?;
    let start = first.checked_mul(width)?;
    Some(start..start.checked_add(bytes)?)
}

/// The nodes of a session that was opened to record where they are.
pub(super) fn placement(session: &Session) -> ort::Result<Vec<Placed>> {
    let api = ort::api();
    let (mut parts, mut count) = (ptr::null(), 0);
    // SAFETY: the session is alive. What is returned belongs to it and is only read here, before it can be dropped. A pointer
    // is read only after the call that fills it succeeded, and never beyond the count that came with it.
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

/// Whether a node has an input at this place. One that is left out has no name.
pub(super) fn has_input(node: &KernelContext<'_>, place: usize) -> ort::Result<bool> {
    let api = ort::api();
    has(node, place, api.KernelInfo_GetInputCount, api.KernelInfo_GetInputName)
}

/// Whether a node has an output at this place.
pub(super) fn has_output(node: &KernelContext<'_>, place: usize) -> ort::Result<bool> {
    let api = ort::api();
    has(node, place, api.KernelInfo_GetOutputCount, api.KernelInfo_GetOutputName)
}

type Count = unsafe extern "system" fn(*const ort::sys::OrtKernelInfo, *mut usize) -> ort::sys::OrtStatusPtr;
type Name = unsafe extern "system" fn(
    *const ort::sys::OrtKernelInfo,
    usize,
    *mut c_char,
    *mut usize,
) -> ort::sys::OrtStatusPtr;

fn has(node: &KernelContext<'_>, place: usize, count: Count, name: Name) -> ort::Result<bool> {
    let (mut there, mut length) = (0, 0);
    // SAFETY: the node is alive. Without a buffer, only the length of the name is written, with the zero at its end.
    unsafe {
        check(count(node.ptr(), &raw mut there))?;
        if place >= there {
            return Ok(false);
        }
        check(name(node.ptr(), place, ptr::null_mut(), &raw mut length))?;
    }
    Ok(length > 1)
}

/// A running kernel's context, for its threads to share.
pub(super) struct Shared<'a>(pub(super) &'a ComputeContext);

// SAFETY: the context is a pointer that nobody changes while the kernel runs. Any thread may ask ONNX Runtime for its threads.
unsafe impl Sync for Shared<'_> {}

/// Reads what is mapped at these addresses from the file once more, from `offset` on, into memory that takes the place of the
/// mapping in one step. Whoever holds the addresses sees the same bytes before and after, and unmaps them as before.
///
/// The mapping must not be unmapped meanwhile.
///
/// # Errors
/// If the file cannot be read or has become shorter, or there is no memory; the mapping is then what it was.
pub(super) fn replace_mapping(addresses: Range<usize>, file: &File, offset: u64) -> io::Result<()> {
    let length = addresses.len();
    let (readable, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: new memory, wherever the system has room for it.
    let copy = unsafe { mmap_anonymous(ptr::null_mut(), length, readable, private) }?;
    // SAFETY: these bytes are zeros, and nobody else knows of them.
    let bytes = unsafe { slice::from_raw_parts_mut(copy.cast::<u8>(), length) };
    // the last page of a file is mapped whole, with zeros after its end
    let rest = file.metadata().map(|facts| facts.len().saturating_sub(offset).min(length as u64) as usize);
    let read = rest.and_then(|rest| match length - rest < rustix::param::page_size() {
        true => file.read_exact_at(&mut bytes[..rest], offset),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    });
    // SAFETY: the new memory moves to where the mapping is, which the caller keeps there. `bytes` is used no more.
    let moved = read.and_then(|()| unsafe {
        let place = addresses.start as *mut _;
        Ok(mremap_fixed(copy, length, length, MremapFlags::MAYMOVE, place).map(drop)?)
    });
    if moved.is_err() {
        // SAFETY: the memory that was not moved.
        unsafe { munmap(copy, length) }?;
    }
    moved
}

/// Free bytes of a GPU's memory, from CUDA's runtime, which must be loaded.
pub(super) fn free_memory(gpu: i32) -> Result<u64, String> {
    let (mut free, mut total) = (0_usize, 0_usize);
    // SAFETY: the two functions have had these signatures since CUDA 2. They return 0 once they have filled what is passed.
    let status = unsafe {
        let cuda = library(LIBCUDART)?;
        let choose = cuda.get::<unsafe extern "C" fn(c_int) -> c_int>("cudaSetDevice");
        let ask = cuda.get::<unsafe extern "C" fn(*mut usize, *mut usize) -> c_int>("cudaMemGetInfo");
        let (choose, ask) =
            (choose.map_err(|error| error.to_string())?, ask.map_err(|error| error.to_string())?);
        match choose(gpu) {
            0 => ask(&raw mut free, &raw mut total),
            status => status,
        }
    };
    match status {
        0 => Ok(free as u64),
        status => Err(format!("CUDA error {status} for GPU {gpu}")),
    }
}

/// What NVIDIA's driver says of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gpu {
    pub(super) name: String,
    /// Major and minor: 9 and 0.
    pub(super) capability: (i32, i32),
    /// The newest CUDA that the driver supports, major and minor: 13 and 0.
    pub(super) cuda: (i32, i32),
}

/// Asks the driver about a GPU.
pub(super) fn gpu(number: i32) -> Result<Gpu, String> {
    const MAJOR: c_int = 75;
    const MINOR: c_int = 76;
    let (mut version, mut device, mut capability) = (0, 0, (0, 0));
    let mut name = [0_u8; 256];
    // SAFETY: functions of the driver's interface, which have had these signatures since CUDA 2; a device is an int there.
    // They return 0 once they have filled what is passed. The name ends in zero within the length that is passed.
    unsafe {
        let driver = library(LIBCUDA)?;
        let init = function::<unsafe extern "C" fn(u32) -> c_int>(&driver, "cuInit")?;
        let ask_version =
            function::<unsafe extern "C" fn(*mut c_int) -> c_int>(&driver, "cuDriverGetVersion")?;
        let get = function::<unsafe extern "C" fn(*mut c_int, c_int) -> c_int>(&driver, "cuDeviceGet")?;
        let ask_name =
            function::<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(&driver, "cuDeviceGetName")?;
        let ask = function::<unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int>(
            &driver,
            "cuDeviceGetAttribute",
        )?;
        succeeded(number, "cuInit", init(0))?;
        succeeded(number, "cuDriverGetVersion", ask_version(&raw mut version))?;
        succeeded(number, "cuDeviceGet", get(&raw mut device, number))?;
        let length = name.len() as c_int;
        succeeded(number, "cuDeviceGetName", ask_name(name.as_mut_ptr().cast(), length, device))?;
        succeeded(number, "cuDeviceGetAttribute", ask(&raw mut capability.0, MAJOR, device))?;
        succeeded(number, "cuDeviceGetAttribute", ask(&raw mut capability.1, MINOR, device))?;
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(|error| error.to_string())?;
    // 1000 times the major and 10 times the minor
    let cuda = (version / 1000, version % 1000 / 10);
    Ok(Gpu { name: name.to_string_lossy().into_owned(), capability, cuda })
}

/// TensorRT's version, from its library: 10.15.1. The library must be loaded, or where the system's loader finds it.
pub(super) fn tensorrt_version() -> Result<String, String> {
    // SAFETY: the function takes nothing and has returned an int in every version.
    let number = unsafe {
        let library = library(LIBNVINFER)?;
        let ask = function::<unsafe extern "C" fn() -> c_int>(&library, "getInferLibVersion")?;
        ask()
    };
    // from version 10 on: 10000 times the major, 100 times the minor
    Ok(format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100))
}

/// Keeps ONNX Runtime, which is not loaded yet, from sending reports of its use: its wheels start a thread for them, write an
/// identifier of the device to the user's cache folder, and hang in the `exit` of a forked child. Turning reports off once it
/// is loaded is too late for that.
pub(super) fn without_telemetry() {
    const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: once in a process, before ONNX Runtime is loaded. The header says so, and that a host whose other threads read
        // the environment meanwhile sets the variable itself.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

/// Opens a library for good: a driver must not be unloaded once it works.
///
/// # Safety
/// What the library does when it is loaded must be harmless.
unsafe fn library(name: &str) -> Result<ManuallyDrop<Library>, String> {
    // SAFETY: by this function's contract. One that is loaded may be from a folder that the loader does not know.
    let library = unsafe {
        Library::open(Some(name), RTLD_NOW | NO_LOAD).or_else(|_| {
            Library::open(Some(path_of(name, &search_path())?), RTLD_NOW).map_err(|error| error.to_string())
        })
    };
    library.map(ManuallyDrop::new)
}

/// # Safety
/// The function of that name must be of that type.
unsafe fn function<T>(library: &Library, name: &str) -> Result<Symbol<T>, String> {
    // SAFETY: by this function's contract.
    unsafe { library.get::<T>(name) }.map_err(|error| error.to_string())
}

fn succeeded(gpu: i32, what: &str, status: c_int) -> Result<(), String> {
    match status {
        0 => Ok(()),
        status => Err(format!("CUDA error {status} of {what} for GPU {gpu}")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_takes_the_place_of_a_file() {
        let page = rustix::param::page_size();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let content: Vec<u8> = (0..3 * page + 100).map(|place| (place % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let length = 3 * page;
        let map = || {
            let (readable, private) = (ProtFlags::READ, MapFlags::PRIVATE);
            // SAFETY: a new mapping, wherever the system has room for it.
            let place =
                unsafe { rustix::mm::mmap(ptr::null_mut(), length, readable, private, &file, page as u64) };
            place.unwrap().cast::<u8>()
        };
        let (one, other) = (map(), map());
        let range = |place: *mut u8| place as usize..place as usize + length;
        replace_mapping(range(one), &file, page as u64).unwrap();
        file.set_len(0).unwrap();
        // SAFETY: the memory that was put there.
        let bytes = unsafe { slice::from_raw_parts(one, length) };
        assert_eq!(bytes[..2 * page + 100], content[page..]);
        assert!(bytes[2 * page + 100..].iter().all(|byte| *byte == 0));
        // nothing is put in the place of what is not there any more
        assert!(replace_mapping(range(other), &file, page as u64).is_err());
        for place in [one, other] {
            // SAFETY: both are this test's.
            unsafe { munmap(place.cast(), length) }.unwrap();
        }
    }

    #[test]
    fn ranges_that_cannot_be_counted_are_none() {
        assert_eq!(byte_range(3, &[2, 5], 4), Some(12..52));
        assert_eq!(byte_range(0, &[1 << 30, 1 << 30, 16], 4), None);
        assert_eq!(byte_range(usize::MAX, &[1], 2), None);
        assert_eq!(byte_range(usize::MAX / 2, &[2], 2), None);
    }
}
