// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where logits lie, and what is applied to them while they are read.
use crate::buffers::product;
use crate::error::require;
use crate::{Error, Result};
use logprob_sys as sys;
use std::marker::PhantomData;

/// Numbers, in one of the forms that are read. 16-bit floats are their bits.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    F32(&'a [f32]),
    Bf16(&'a [u16]),
    F16(&'a [u16]),
}

impl Data<'_> {
    fn len(&self) -> usize {
        match self {
            Data::F32(x) => x.len(),
            Data::Bf16(x) | Data::F16(x) => x.len(),
        }
    }
}

impl<'a> From<&'a [f32]> for Data<'a> {
    fn from(x: &'a [f32]) -> Self {
        Data::F32(x)
    }
}

impl<'a> From<&'a Vec<f32>> for Data<'a> {
    fn from(x: &'a Vec<f32>) -> Self {
        Data::F32(x)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Data<'a> {
    fn from(x: &'a [f32; N]) -> Self {
        Data::F32(x)
    }
}

/// Rows of logits that stay where they are. What is applied to each, in this order: widening to f32, soft cap,
/// temperature, mask.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    pub(crate) raw: sys::lp_logits,
    borrowed: PhantomData<&'a [f32]>,
}

// The pointers are those of shared slices.
unsafe impl Send for Logits<'_> {}
unsafe impl Sync for Logits<'_> {}

impl<'a> Logits<'a> {
    /// Rows of `vocab` elements, one behind the other: as many as `data` has.
    pub fn new(data: impl Into<Data<'a>>, vocab: usize) -> Result<Self> {
        let data = data.into();
        require(vocab != 0 && data.len() % vocab == 0, "data is no whole number of rows of vocab elements")?;
        Self::strided(data, data.len() / vocab, vocab, vocab)
    }

    /// One row, which may be empty.
    pub fn row(data: impl Into<Data<'a>>) -> Result<Self> {
        let data = data.into();
        Self::strided(data, 1, data.len(), data.len())
    }

    /// `rows` rows of `vocab` elements that begin `stride` elements apart. The last one needs no padding.
    pub fn strided(data: impl Into<Data<'a>>, rows: usize, vocab: usize, stride: usize) -> Result<Self> {
        let data = data.into();
        require(vocab <= i32::MAX as usize, "vocab is above i32::MAX")?;
        require(stride >= vocab, "stride is below vocab")?;
        if rows != 0 {
            let end = product(rows - 1, stride)?.checked_add(vocab);
            require(matches!(end, Some(end) if end <= data.len()), "data ends before the last row")?;
        }
        let (data, dtype) = match data {
            Data::F32(x) => (x.as_ptr().cast(), sys::LP_F32),
            Data::Bf16(x) => (x.as_ptr().cast(), sys::LP_BF16),
            Data::F16(x) => (x.as_ptr().cast(), sys::LP_F16),
        };
        let raw = sys::lp_logits { data, rows, vocab, stride, dtype, ..Default::default() };
        Ok(Logits { raw, borrowed: PhantomData })
    }

    /// c * tanh(x / c), c > 0.
    pub fn softcap(mut self, c: f32) -> Result<Self> {
        require(c.is_finite() && c >= 0.0, "softcap is not a finite number from 0 on")?;
        self.raw.softcap = c;
        Ok(self)
    }

    /// 1 / T, which logits are multiplied by; 0 means 1.
    pub fn inv_temperature(mut self, factor: f32) -> Result<Self> {
        require(factor.is_finite() && factor >= 0.0, "inv_temperature is not a finite number from 0 on")?;
        self.raw.inv_temperature = factor;
        Ok(self)
    }

    /// A 1 / T for each row.
    pub fn row_inv_temperature(mut self, factor: &'a [f32]) -> Result<Self> {
        require(factor.len() == self.rows(), "row_inv_temperature has not one element for each row")?;
        self.raw.row_inv_temperature = factor.as_ptr();
        Ok(self)
    }

    /// Which tokens may be, the others are -inf: bit id % 32 of word id / 32; rows begin `stride` words apart.
    pub fn allowed(mut self, words: &'a [u32], stride: usize) -> Result<Self> {
        let needed = (self.vocab() + 31) / 32;
        require(stride >= needed, "the stride of the mask is below vocab / 32")?;
        if self.rows() != 0 {
            let end = product(self.rows() - 1, stride)?.checked_add(needed);
            require(matches!(end, Some(end) if end <= words.len()), "the mask ends before the last row")?;
        }
        self.raw.allowed = words.as_ptr();
        self.raw.allowed_stride = stride;
        Ok(self)
    }

    pub fn rows(&self) -> usize {
        self.raw.rows
    }

    pub fn vocab(&self) -> usize {
        self.raw.vocab
    }

    /// The stride that rows of output may have: what `len` elements hold.
    pub(crate) fn check_output(&self, len: usize, stride: usize) -> Result<()> {
        require(stride >= self.vocab(), "stride of the output is below vocab")?;
        let end = product(self.rows().saturating_sub(1), stride)?.checked_add(self.vocab());
        let fits = self.rows() == 0 || matches!(end, Some(end) if end <= len);
        if fits {
            Ok(())
        } else {
            Err(Error::argument("the output ends before the last row"))
        }
    }
}
