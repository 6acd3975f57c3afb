// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which kernels run, and which library this is.
use crate::error::check;
use crate::Result;
use logprob_sys as sys;
use std::ffi::CStr;
use std::os::raw::c_char;

/// Kernels. There is no need to choose: all give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    Scalar,
    Avx2,
    Avx512,
    Neon,
    /// A newer library's.
    Other(i32),
}

impl Isa {
    fn code(self) -> i32 {
        match self {
            Isa::Scalar => sys::LP_ISA_SCALAR,
            Isa::Avx2 => sys::LP_ISA_AVX2,
            Isa::Avx512 => sys::LP_ISA_AVX512,
            Isa::Neon => sys::LP_ISA_NEON,
            Isa::Other(code) => code,
        }
    }

    /// "scalar", "avx2", "avx512", "neon": what LOGPROB_ISA in the environment takes.
    pub fn name(self) -> &'static str {
        text(unsafe { sys::lp_isa_name(self.code()) })
    }
}

/// The kernels in use.
pub fn isa() -> Isa {
    let code = unsafe { sys::lp_isa_active() };
    let known = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Neon];
    known.into_iter().find(|isa| isa.code() == code).unwrap_or(Isa::Other(code))
}

/// Whether this build, CPU and operating system have the kernels.
pub fn supported(isa: Isa) -> bool {
    unsafe { sys::lp_isa_supported(isa.code()) != 0 }
}

/// Uses other kernels from the next call on, in the whole process.
pub fn select_isa(isa: Isa) -> Result<()> {
    check(unsafe { sys::lp_isa_select(isa.code()) })
}

/// "MAJOR.MINOR.PATCH" of the library.
pub fn version() -> &'static str {
    text(unsafe { sys::lp_version() })
}

fn text(constant: *const c_char) -> &'static str {
    // The library's constants are ASCII and live as long as it does.
    unsafe { CStr::from_ptr(constant) }.to_str().unwrap_or("")
}
