//! What comes in through pointers, checked and copied.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::sync::Arc;

use super::status::{CallResult, Failure};

/// A struct that grows at its end from version to version. Its first field is `struct_size`.
///
/// # Safety
/// `#[repr(C)]`, without padding, begins with a `usize`, and valid with every byte 0.
pub(super) unsafe trait Growing: Copy {
    /// Its size in each edition of the header in which it grew, in bytes where a pointer has 8 of them: they rise, and the last
    /// one is its size here.
    const EDITIONS: &'static [usize];
    /// Its name in the header.
    const NAME: &'static str;
}

/// Declares structs of which every byte may be 0, each with the sizes of [`Growing::EDITIONS`]: one that grows after a release
/// has one more.
macro_rules! growing {
    ($($type:ident: $($size:literal)+),* $(,)?) => {$(
        // SAFETY: repr(C), begins with `struct_size`, consists of numbers and of pointers that may be null; the list of
        // layouts in the tests shows that there is no padding.
        unsafe impl crate::capi::arguments::Growing for $type {
            const EDITIONS: &'static [usize] = &[$($size),+];
            const NAME: &'static str = stringify!($type);
        }
        const _: () = {
            let sizes = [$($size),+];
            assert!(sizes[sizes.len() - 1] == size_of::<$type>(), "the last size is that of the struct as it is");
        };
    )*};
}
pub(super) use growing;

/// All zeros.
pub(super) fn zeroed<T: Growing>() -> T {
    // SAFETY: `Growing` promises that zeros are valid.
    unsafe { std::mem::zeroed() }
}

/// Larger than any struct of options will be: a size beyond it was not set.
const LARGEST: usize = 1 << 16;

/// Refuses a size that the struct has in no edition of the header, before or after this one.
fn check_size<T: Growing>(size: usize) -> CallResult<()> {
    let (own, step) = (size_of::<T>(), align_of::<T>());
    // A later edition's struct is aligned like this one's.
    if T::EDITIONS.contains(&size) || (size > own && size <= LARGEST && size.is_multiple_of(step)) {
        return Ok(());
    }
    let known: Vec<_> = T::EDITIONS.iter().map(usize::to_string).collect();
    let known = known.join(" or ");
    let init = T::NAME.to_uppercase();
    let wanted =
        format!("{known}, or more, a multiple of {step} and at most {LARGEST} ({init}_INIT sets {own})");
    Err(size_refused::<T>(&wanted, size))
}

fn size_refused<T: Growing>(wanted: &str, size: usize) -> Failure {
    let name = format!("{}.struct_size", T::NAME);
    Failure::argument(&name, wanted, &size.to_string())
}

/// Copies a struct of options, whichever version of the header the caller was compiled with. NULL is all zeros: the defaults.
///
/// # Safety
/// `from` is NULL or points to as many bytes as its `struct_size` says.
pub(super) unsafe fn options<T: Growing>(from: *const T) -> CallResult<T> {
    let mut copy = zeroed::<T>();
    if from.is_null() {
        return Ok(copy);
    }
    // SAFETY: not null, and every such struct begins with its size.
    let size = unsafe { from.cast::<usize>().read_unaligned() };
    check_size::<T>(size)?;
    // SAFETY: the caller vouches for `size` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if bytes[known..].iter().any(|&byte| byte != 0) {
        return Err(size_refused::<T>("options that this version of the library knows", size));
    }
    // SAFETY: both have `known` bytes, and the copy is another object.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut copy).cast::<u8>(), known) };
    Ok(copy)
}

/// Like [`options`], where NULL is forbidden.
///
/// # Safety
/// That of [`options`].
pub(super) unsafe fn description<T: Growing>(from: *const T) -> CallResult<T> {
    match from.is_null() {
        true => Err(Failure::argument(T::NAME, "a pointer", "NULL")),
        // SAFETY: the same.
        false => unsafe { options(from) },
    }
}

/// A place for facts, checked before there are any.
pub(super) struct StructOut<T> {
    to: *mut T,
    size: usize,
}

impl<T: Growing> StructOut<T> {
    /// # Safety
    /// `to` is NULL or points to as many writable bytes as its `struct_size` says, for as long as this lives.
    pub(super) unsafe fn at(to: *mut T) -> CallResult<Self> {
        if to.is_null() {
            return Err(Failure::argument(T::NAME, "a pointer", "NULL"));
        }
        // SAFETY: not null, and every such struct begins with its size.
        let size = unsafe { to.cast::<usize>().read_unaligned() };
        check_size::<T>(size)?;
        Ok(Self { to, size: size.min(size_of::<T>()) })
    }

    /// Writes as much as the caller knows of, but for the size, which is the caller's.
    pub(super) fn write(self, facts: &T) {
        let head = size_of::<usize>();
        let from = std::ptr::from_ref(facts).cast::<u8>();
        // SAFETY: the caller of `at` vouches for `size` bytes, `facts` has at least as many, and is another object.
        unsafe {
            let (from, to) = (from.add(head), self.to.cast::<u8>().add(head));
            std::ptr::copy_nonoverlapping(from, to, self.size - head);
        }
    }
}

/// A place for a number, checked before there is one.
pub(super) struct NumberOut(*mut i32);

impl NumberOut {
    /// # Safety
    /// `to` is NULL or a place for a number for as long as this lives.
    pub(super) unsafe fn at(name: &str, to: *mut i32) -> CallResult<Self> {
        match to.is_null() {
            true => Err(Failure::argument(name, "a place for the result", "NULL")),
            false => Ok(Self(to)),
        }
    }

    pub(super) fn write(self, number: i32) {
        // SAFETY: the caller of `at` vouches for the place.
        unsafe { self.0.write_unaligned(number) };
    }
}

/// A place for a handle, checked before there is one.
pub(super) struct HandleOut<T>(*mut *mut T);

impl<T> HandleOut<T> {
    /// # Safety
    /// `to` is NULL or a place for a pointer for as long as this lives.
    pub(super) unsafe fn at(name: &str, to: *mut *mut T) -> CallResult<Self> {
        match to.is_null() {
            true => Err(Failure::argument(name, "a place for the result", "NULL")),
            false => Ok(Self(to)),
        }
    }

    /// The place of this number in an array of places, for which the caller of `at` vouches.
    pub(super) fn nth(&self, number: usize) -> Self {
        Self(self.0.wrapping_add(number))
    }

    /// Hands the object over to the caller.
    pub(super) fn give(self, object: Arc<T>) {
        // SAFETY: the caller of `at` vouches for the place.
        unsafe { self.0.write(Arc::into_raw(object).cast_mut()) };
    }
}

/// The object behind a handle, held as long as the call lasts.
///
/// # Safety
/// `handle` is NULL or was given by [`HandleOut::give`] and not freed before this call.
pub(super) unsafe fn held<T>(name: &str, handle: *const T) -> CallResult<Arc<T>> {
    if handle.is_null() {
        return Err(Failure::argument(name, "an object", "NULL"));
    }
    // SAFETY: it came from `Arc::into_raw`, and the caller's share of it is still there.
    unsafe {
        Arc::increment_strong_count(handle);
        Ok(Arc::from_raw(handle))
    }
}

/// Takes the caller's share of an object back.
///
/// # Safety
/// That of [`held`]; the handle is not used any more.
pub(super) unsafe fn taken<T>(handle: *mut T) -> Option<Arc<T>> {
    // SAFETY: it came from `Arc::into_raw`, and this is the caller's share.
    (!handle.is_null()).then(|| unsafe { Arc::from_raw(handle.cast_const()) })
}

/// A text that may be absent.
///
/// # Safety
/// `text` is NULL or ends with a NUL.
pub(super) unsafe fn optional_text(name: &str, text: *const c_char) -> CallResult<Option<String>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and the caller vouches for the NUL.
    match unsafe { CStr::from_ptr(text) }.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(error) => {
            let got = format!("a byte that is none at {}", error.valid_up_to());
            Err(Failure::argument(name, "UTF-8", &got))
        }
    }
}

/// A text that must be there.
///
/// # Safety
/// That of [`optional_text`].
pub(super) unsafe fn text(name: &str, text: *const c_char) -> CallResult<String> {
    // SAFETY: the same.
    unsafe { optional_text(name, text) }?.ok_or_else(|| Failure::argument(name, "a text", "NULL"))
}

/// A path, which on Unix is any bytes.
///
/// # Safety
/// That of [`optional_text`].
pub(super) unsafe fn optional_path(name: &str, path: *const c_char) -> CallResult<Option<PathBuf>> {
    #[cfg(unix)]
    let found: Option<PathBuf> = {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        // SAFETY: not null, and the caller vouches for the NUL.
        let bytes = (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) }.to_bytes());
        bytes.map(|bytes| OsStr::from_bytes(bytes).into())
    };
    #[cfg(not(unix))]
    // SAFETY: the same.
    let found = unsafe { optional_text(name, path) }?.map(PathBuf::from);
    match found {
        Some(path) if path.as_os_str().is_empty() => Err(Failure::argument(name, "a path", "an empty text")),
        found => Ok(found),
    }
}

/// A path that must be there.
///
/// # Safety
/// That of [`optional_text`].
pub(super) unsafe fn path(name: &str, path: *const c_char) -> CallResult<PathBuf> {
    // SAFETY: the same.
    unsafe { optional_path(name, path) }?.ok_or_else(|| Failure::argument(name, "a path", "NULL"))
}

/// A copy of `count` values, wherever they are aligned.
///
/// # Safety
/// `values` is NULL or points to `count` values of a type of which any bytes are valid.
pub(super) unsafe fn values<T: Copy>(name: &str, values: *const T, count: usize) -> CallResult<Vec<T>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if values.is_null() {
        return Err(Failure::argument(name, &format!("{count} values"), "NULL"));
    }
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Failure::argument(name, "a size that fits into memory", &count.to_string()));
    }
    let mut copy = Vec::<T>::new();
    if copy.try_reserve_exact(count).is_err() {
        return Err(Failure::argument(name, "a size that fits into memory", &count.to_string()));
    }
    // SAFETY: the caller vouches for `count` values, the copy has room for them, and bytes have no alignment.
    unsafe {
        let bytes = count * size_of::<T>();
        std::ptr::copy_nonoverlapping(values.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), bytes);
        copy.set_len(count);
    }
    Ok(copy)
}

/// Texts in an array.
///
/// # Safety
/// `texts` is NULL or points to `count` pointers, each NULL or to a text that ends with a NUL.
pub(super) unsafe fn texts(name: &str, texts: *const *const c_char, count: usize) -> CallResult<Vec<String>> {
    // SAFETY: the caller vouches for the pointers.
    let pointers = unsafe { values(name, texts, count) }?;
    // SAFETY: and for the texts.
    pointers.into_iter().map(|pointer| unsafe { text(name, pointer) }).collect()
}

/// Bytes from the beginning of the first of `count` equal pieces, one or more, each `stride` after the one before, to the end
/// of the last; none if no memory is as large.
pub(super) fn span(piece: usize, count: usize, stride: usize) -> Option<usize> {
    let bytes = (count - 1).checked_mul(stride)?.checked_add(piece)?;
    (bytes <= isize::MAX as usize).then_some(bytes)
}

/// The macro of the header for the 0 of an option whose default is another: a number that no option has.
pub(super) const FLEMING_ZERO: usize = usize::MAX;

/// As [`given`], of an option that may be 0.
pub(super) fn given_or_zero(number: usize) -> Option<usize> {
    given(number).map(|number| if number == FLEMING_ZERO { 0 } else { number })
}

/// 0 is absent.
pub(super) fn given(number: usize) -> Option<usize> {
    (number != 0).then_some(number)
}

/// What a number of an enum of the header stands for.
pub(super) fn one_of<T: Copy>(name: &str, all: &[(i32, T)], number: i32) -> CallResult<T> {
    let found = all.iter().find(|(known, _)| *known == number);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| Failure::argument(name, "a number that the header names", &number.to_string()))
}

/// A field that is 1 or 0.
pub(super) fn flag(name: &str, number: i32) -> CallResult<bool> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Failure::argument(name, "0 or 1", &other.to_string())),
    }
}

/// Refuses a reserved field that is not 0.
pub(super) fn zero(name: &str, reserved: i32) -> CallResult<()> {
    match reserved {
        0 => Ok(()),
        other => Err(Failure::argument(name, "0", &other.to_string())),
    }
}
