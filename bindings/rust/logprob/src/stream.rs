// SPDX-License-Identifier: MIT OR Apache-2.0
//! A row that arrives in pieces, or lies in shards.
use crate::error::{check, require};
use crate::{Error, Logits, Result, Status};
use logprob_sys as sys;

/// The results of a stream so far: the bits of one [`score`](crate::score) of the whole row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub logsumexp: f32,
    pub entropy: f32,
    pub max_logit: f32,
    pub log_norm: f32,
    /// NaN until the token was pushed
    pub token_logprob: f32,
    /// ids pushed, masked ones too
    pub count: u64,
    /// `[k]`
    pub top_logprob: Vec<f32>,
    /// `[k]`
    pub top_token: Vec<i32>,
}

/// Logits of one row in chunks. The state is plain bytes: [`as_bytes`](Stream::as_bytes) may be sent, and
/// [`from_bytes`](Stream::from_bytes) takes them.
///
/// ```
/// # fn main() -> Result<(), logprob::Error> {
/// let mut stream = logprob::Stream::new(2, 0, Some(3))?;
/// for chunk in [[0.0f32, 3.0], [1.0, 2.0]] {
///     stream.push(&logprob::Logits::row(&chunk)?)?;
/// }
/// let whole = logprob::score(&logprob::Logits::row(&[0.0, 3.0, 1.0, 2.0])?, &[3], 2)?;
/// assert_eq!(stream.finish()?.token_logprob, whole.token_logprob[0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    state: Vec<u8>,
    k: usize,
}

/// Where docs/streams.md puts k, as u64, and the size of what precedes the list.
const K_AT: usize = 32;
const HEAD: usize = 512;

impl Stream {
    /// Ids count up from `first_token`; the logprob of `token` is kept when it comes, and the k best of all.
    pub fn new(k: usize, first_token: i32, token: Option<i32>) -> Result<Stream> {
        require(first_token >= 0, "first_token is negative")?;
        let size = unsafe { sys::lp_stream_size(k) };
        require(size != 0, "k is too large")?;
        let mut state = vec![0; size];
        check(unsafe { sys::lp_stream_init(state.as_mut_ptr().cast(), size, k, first_token, token.unwrap_or(-1)) })?;
        Ok(Stream { state, k })
    }

    fn raw(&self) -> *const sys::lp_stream {
        self.state.as_ptr().cast()
    }

    /// Takes the next logits, one row of any length; all chunks in the form of the first one.
    pub fn push(&mut self, chunk: &Logits) -> Result<()> {
        require(chunk.rows() <= 1, "a chunk is one row")?;
        check(unsafe { sys::lp_stream_push(self.state.as_mut_ptr().cast(), &chunk.raw) })
    }

    /// Adds what `other` has of other ids. From then on this one takes merges, but no pushes.
    pub fn merge(&mut self, other: &Stream) -> Result<()> {
        check(unsafe { sys::lp_stream_merge(self.state.as_mut_ptr().cast(), other.raw()) })
    }

    /// The results of what came so far; pushes may go on.
    pub fn finish(&self) -> Result<Row> {
        let (mut top_logprob, mut top_token) = (vec![0.0; self.k], vec![0; self.k]);
        let mut row = sys::lp_row::default();
        check(unsafe {
            sys::lp_stream_finish(self.raw(), &mut row, top_logprob.as_mut_ptr(), top_token.as_mut_ptr())
        })?;
        Ok(Row {
            logsumexp: row.logsumexp,
            entropy: row.entropy,
            max_logit: row.max_logit,
            log_norm: row.log_norm,
            token_logprob: row.token_logprob,
            count: row.count,
            top_logprob,
            top_token,
        })
    }

    /// The bytes in use: what has to be kept or sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.state[..unsafe { sys::lp_stream_used(self.raw()) }]
    }

    /// The stream whose [`as_bytes`](Stream::as_bytes) these are. Damage is found, intent is not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Stream> {
        let foreign = Error::of(Status::State, "not all of a stream's bytes");
        if bytes.len() < HEAD {
            return Err(foreign);
        }
        let mut k = [0; 8];
        k.copy_from_slice(&bytes[K_AT..K_AT + 8]);
        let k = match usize::try_from(u64::from_ne_bytes(k)) {
            Ok(k) if k <= bytes.len() / 8 => k,
            _ => return Err(foreign),
        };
        let size = unsafe { sys::lp_stream_size(k) };
        if size < bytes.len() {
            return Err(foreign);
        }
        let mut state = vec![0; size];
        state[..bytes.len()].copy_from_slice(bytes);
        check(unsafe { sys::lp_stream_check(state.as_ptr().cast(), size) })?;
        let stream = Stream { state, k };
        if stream.as_bytes().len() == bytes.len() {
            Ok(stream)
        } else {
            Err(foreign)
        }
    }
}
