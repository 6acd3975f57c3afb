// SPDX-License-Identifier: MIT OR Apache-2.0
//! The status of C as an error.
use logprob_sys as sys;
use std::ffi::CStr;
use std::fmt;

/// What a call, or one row, ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    Ok,
    /// The call was wrong.
    Arg,
    /// A row's token is not below vocab.
    Token,
    /// A row has a NaN.
    Nan,
    /// A row has a +infinity.
    Inf,
    /// A row has no mass.
    Empty,
    /// A stream has no room for another fragment or range.
    Space,
    /// This build or CPU does not have the kernels.
    Isa,
    /// A stream's state is damaged, foreign, or does not fit the other one.
    State,
    /// A newer library's.
    Other(i32),
}

impl Status {
    pub(crate) fn code(self) -> i32 {
        match self {
            Status::Ok => sys::LP_OK,
            Status::Arg => sys::LP_ERR_ARG,
            Status::Token => sys::LP_ERR_TOKEN,
            Status::Nan => sys::LP_ERR_NAN,
            Status::Inf => sys::LP_ERR_INF,
            Status::Empty => sys::LP_ERR_EMPTY,
            Status::Space => sys::LP_ERR_SPACE,
            Status::Isa => sys::LP_ERR_ISA,
            Status::State => sys::LP_ERR_STATE,
            Status::Other(code) => code,
        }
    }
}

impl From<i32> for Status {
    fn from(code: i32) -> Self {
        use Status::*;
        let known = [Ok, Arg, Token, Nan, Inf, Empty, Space, Isa, State];
        let found = known.into_iter().find(|status| status.code() == code);
        found.unwrap_or(Other(code))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The library returns a constant, for every number.
        let text = unsafe { CStr::from_ptr(sys::lp_status_string(self.code())) };
        f.write_str(&text.to_string_lossy())
    }
}

/// A status other than [`Status::Ok`], and what was wrong where it was the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    pub status: Status,
    what: &'static str,
}

impl Error {
    pub(crate) fn argument(what: &'static str) -> Error {
        Error { status: Status::Arg, what }
    }

    pub(crate) fn of(status: Status, what: &'static str) -> Error {
        Error { status, what }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            "" => self.status.fmt(f),
            what => write!(f, "{}: {what}", self.status),
        }
    }
}

impl std::error::Error for Error {}

pub(crate) fn check(code: i32) -> crate::Result<()> {
    match Status::from(code) {
        Status::Ok => Ok(()),
        status => Err(Error::of(status, "")),
    }
}

pub(crate) fn require(holds: bool, what: &'static str) -> crate::Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::argument(what))
    }
}
