// SPDX-License-Identifier: MIT OR Apache-2.0
//! Slices that may be absent, as pointers that may be NULL, after a look at their lengths.
use crate::error::require;
use crate::Result;
use std::ptr;

/// NULL, or the pointer of a slice of `len` elements.
pub(crate) fn output<T>(slice: &mut Option<&mut [T]>, len: usize, what: &'static str) -> Result<*mut T> {
    match slice {
        None => Ok(ptr::null_mut()),
        Some(slice) => require(slice.len() == len, what).map(|()| slice.as_mut_ptr()),
    }
}

/// NULL, or the pointer of a slice of `len` elements.
pub(crate) fn input<T>(slice: Option<&[T]>, len: usize, what: &'static str) -> Result<*const T> {
    match slice {
        None => Ok(ptr::null()),
        Some(slice) => require(slice.len() == len, what).map(|()| slice.as_ptr()),
    }
}

pub(crate) fn product(a: usize, b: usize) -> Result<usize> {
    a.checked_mul(b).ok_or_else(|| crate::Error::argument("a size overflows"))
}
