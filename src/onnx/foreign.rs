//! Sessions of another program, which has loaded ONNX Runtime itself: for <https://onnxruntime.ai/docs/reference/operators/add-custom-op.html>.

use std::ffi::{CString, c_void};
use std::ptr;

use ort::AsPointer;
use ort::operator::OperatorDomain;
use ort::sys::{OrtApi, OrtApiBase, OrtErrorCode, OrtSessionOptions, OrtStatusPtr};

/// The options of a session that another program is about to make.
pub(crate) struct ForeignOptions {
    options: *mut OrtSessionOptions,
    api: &'static OrtApi,
}

impl ForeignOptions {
    /// What ONNX Runtime hands to `RegisterCustomOps`; `None` where it is older than what this crate was built for.
    ///
    /// The first ONNX Runtime that the library meets is the one that it uses from then on.
    ///
    /// # Safety
    /// `options` is an `OrtSessionOptions` and `base` is an `OrtApiBase`, both of the same ONNX Runtime, which stays loaded.
    pub(crate) unsafe fn new(options: *mut c_void, base: *const c_void) -> Option<Self> {
        // SAFETY: by this function's contract.
        let api = unsafe { ((*base.cast::<OrtApiBase>()).GetApi)(ort::sys::ORT_API_VERSION).as_ref() }?;
        ort::set_api(api.clone());
        Some(Self { options: options.cast(), api })
    }

    /// Adds operators to the session. Returns a status of ONNX Runtime: null, or what is wrong.
    pub(in crate::onnx) fn add(&self, domains: ort::Result<&'static [OperatorDomain]>) -> *mut c_void {
        let domains = match domains {
            Ok(domains) => domains,
            Err(error) => return status(self.api, &error.to_string()).0.cast(),
        };
        for domain in domains {
            // SAFETY: the options are a session's, and the domain lives as long as the program.
            let OrtStatusPtr(status) =
                unsafe { (self.api.AddCustomOpDomain)(self.options, domain.ptr().cast_mut()) };
            if !status.is_null() {
                return status.cast();
            }
        }
        ptr::null_mut()
    }

    /// The status of options that cannot be used, of whatever ONNX Runtime there is; null if it has none.
    ///
    /// # Safety
    /// `base` is an `OrtApiBase`.
    pub(crate) unsafe fn too_old(base: *const c_void) -> *mut c_void {
        /// Since this version all have what is asked for here.
        const FIRST: u32 = 1;
        // SAFETY: by this function's contract.
        let api = unsafe { ((*base.cast::<OrtApiBase>()).GetApi)(FIRST).as_ref() };
        let wanted = ort::sys::ORT_API_VERSION;
        let text = format!("fleming: wanted ONNX Runtime 1.{wanted} or newer, got an older one");
        api.map_or(ptr::null_mut(), |api| status(api, &text).0.cast())
    }
}

/// A status that says what is wrong.
fn status(api: &OrtApi, text: &str) -> OrtStatusPtr {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: a text that ends, which is copied.
    unsafe { (api.CreateStatus)(OrtErrorCode::ORT_FAIL, text.as_ptr()) }
}
