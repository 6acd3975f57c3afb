/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* logprob: log-probabilities from raw logits in one read of each row, with the same bits on every CPU. */
#ifndef LOGPROB_H
#define LOGPROB_H
#include <stddef.h>
#include <stdint.h>

#ifndef LP_API
#if defined(_WIN32) && defined(LP_BUILD_SHARED)
#define LP_API __declspec(dllexport)
#elif defined(_WIN32) && defined(LP_SHARED)
#define LP_API __declspec(dllimport)
#elif defined(__GNUC__)
#define LP_API __attribute__((visibility("default")))
#else
#define LP_API
#endif
#endif
#define LP_VERSION_MAJOR 0
#define LP_VERSION_MINOR 1
#define LP_VERSION_PATCH 0
#define LP_NUMERICS 5 /* result bits, LP_BLOCK included, change only when this changes */
#define LP_BLOCK 2048 /* elements: rows are summed in blocks of this many ids */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Rules that hold for every call --------------------------------------------------------------------------------
 * Natural logarithms, nats. Element strides. Ids are int32_t, vocab <= INT32_MAX. No alignment is required of any pointer
 * to logits (bytes are enough) or of stream memory. Elements between vocab and stride are never read, inputs never
 * written. Nothing allocates, locks, prints, aborts, or touches errno; everything is reentrant and async-signal-safe.
 * A zeroed struct means defaults; `reserved` members must be 0 (else LP_ERR_ARG), so struct sizes never change within a
 * SOVERSION. Output pointers inside structs may be NULL: not wanted, not computed. Outputs overlap neither inputs nor
 * each other, except lp_log_softmax with out == data (f32, same stride) and lp_exp / lp_renormalize with equal pointers.
 * rows == 0 is LP_OK and touches nothing.
 *
 * Call errors (ARG, SPACE, ISA, STATE): found first, nothing was written. Row results (NAN, INF, EMPTY, TOKEN): every row
 * was processed and written, the call returns the code of the lowest bad row; within a row NAN > INF > EMPTY > TOKEN.
 * A row with NaN, with +inf in an allowed place, or without mass (all -inf, or vocab == 0) gives NaN values and id -1; other
 * rows are right. -inf logits are legal: logprob -inf. An id < 0 means "no token": its logprob is NaN, its rank 0, status
 * OK, and sequences treat it as not kept. An id >= vocab: NaN for that id alone, status TOKEN.
 *
 * Every NaN that is returned is the quiet NaN 0x7FC00000 (double: 0x7FF8000000000000). The caller's rounding mode,
 * flush-to-zero bits and exception flags are left as found and change no result.
 *
 * One formula: with x' the transformed f32 logit, max_logit the largest x' of the row and
 * log_norm = ln(sum of e^(x' - max_logit)) = log1p(sum over all but the maximum), rounded to f32,
 *     logprob(x') = fl(fl(x' - max_logit) - log_norm)
 * in every function: two float operations, never above 0, never -0. log_norm is accurate relative to itself, also where
 * it is 1e-30, so the logprob of a near-certain token is right to its last bits. A logprob or a log_norm below 2^-126 is 0.
 * Order (top-k, rank, ties, greedy) is on x', both zeros are equal, ties go to the lowest id.
 *
 * The same logits give the same bits on every ISA, with every supported compiler, for any rows, stride, alignment, thread,
 * k or choice of outputs; for streams also at any boundary and in any order. LP_NUMERICS names these bits.
 *
 * ---- Accuracy, found / proven ---------------------------------------------------------------------------------------
 * R: the sum of e^(x' - max_logit) over all but one maximum. An ulp is that of the larger of result and exact value.
 *     logsumexp              0.5 ulp + 2.4e-7 / 0.5 ulp + 2.8e-7 R / (1 + R)
 *     log_norm, relative     0.5 ulp + 2.5e-7 / 0.5 ulp + 2.8e-7
 *     logprob of p >= 0.5    3.8 ulp / 5.2 ulp, and 2.1 where one element carries the rest
 *     logprob of p < 0.5     2.4 ulp / 1.25 ulp + 2.8e-7 R / (1 + R)
 *     entropy, relative      0.5 ulp + 2.4e-7 / 0.5 ulp + 5.8e-7
 * Worst rows, by a climbing search against MPFR (tests/worst/<name>.txt, measured again on every ISA):
 *     logsumexp    256 logits, got 0x1.d07c4p-3, exact 0x1.d07c608744081p-3
 *     log_norm     256 logits, got 0x1.729bfp-14, exact 0x1.729be90404149p-14
 *     top_logprob  256 logits, element 224: got -0x1.fff804p-8, exact -0x1.fff80b9867b5cp-8
 *     log_softmax  2304 logits, element 724: got -0x1.fd744cp-1, exact -0x1.fd74472551e06p-1
 *     entropy      1039 logits, got 0x1.34bacap-10, exact 0x1.34bacfc9e49cap-10
 * docs/accuracy.md derives the bounds and shows what other libraries give for the same rows.
 *
 * Stack: at most 57 KiB a call; a thread of 64 KiB has enough for any.
 * Time: one read of each row; see docs/performance.md.
 */
typedef int32_t lp_status;
enum {
    LP_OK = 0,
    LP_ERR_ARG = 1,
    LP_ERR_TOKEN = 2,
    LP_ERR_NAN = 3,
    LP_ERR_INF = 4,
    LP_ERR_EMPTY = 5,
    LP_ERR_SPACE = 6,
    LP_ERR_ISA = 7,
    LP_ERR_STATE = 8
};
LP_API const char *lp_status_string(lp_status); /* never NULL, unknown values too */
LP_API const char *lp_version(void);            /* "MAJOR.MINOR.PATCH" */

/* The kernels in use: chosen at the first call, by the CPU and operating system, or by the environment variable
 * LOGPROB_ISA (read once; an unknown or unsupported value leaves the choice automatic). Choosing is thread-safe; a call that
 * runs keeps the kernels it began with. There is no need to choose: every ISA gives the same bits. The one getenv of a process
 * minds setenv: where another thread may call that, or a signal handler interrupt it, call lp_isa_active() before. */
typedef int32_t lp_isa;
enum { LP_ISA_SCALAR = 0, LP_ISA_AVX2 = 1, LP_ISA_AVX512 = 2, LP_ISA_NEON = 3 };
LP_API lp_isa lp_isa_active(void);      /* what the next call uses */
LP_API int lp_isa_supported(lp_isa);    /* built in, and this CPU and OS have it */
LP_API lp_status lp_isa_select(lp_isa); /* LP_ERR_ISA where unsupported; then nothing changes */
LP_API const char *lp_isa_name(lp_isa); /* "scalar" "avx2" "avx512" "neon", the words of LOGPROB_ISA too */

typedef int32_t lp_dtype;
enum { LP_F32 = 0, LP_BF16 = 1, LP_F16 = 2 };

/* A [rows, vocab] matrix of logits that the caller owns, and what is applied to it while it is read, in this order:
 *     widen to f32                   exact, f16 subnormals included
 *     softcap                        c * tanh(x / c); infinities and NaN stay what they are; tanh within 3 ulp
 *     times inv_temperature          one f32 rounding; a product that overflows is an infinity: -inf is legal, +inf is
 *                                    the row result LP_ERR_INF
 *     mask                           a disallowed position is -inf whatever lies there, NaN included; bits beyond vocab
 *                                    are ignored
 * Raw logprobs together with the top-k of the processed row are two calls, best row by row while the row is in cache. */
typedef struct lp_logits {
    const void *data;
    size_t rows, vocab, stride;       /* stride 0 means vocab */
    const uint32_t *allowed;          /* [rows, allowed_stride] words, bit (id % 32) of word id / 32; NULL: all */
    size_t allowed_stride;            /* words; 0 means ceil(vocab / 32) */
    const float *row_inv_temperature; /* [rows]; overrides the scalar; an entry 0 means 1 */
    lp_dtype dtype;
    float inv_temperature; /* 0 means 1; NaN, inf or negative: LP_ERR_ARG */
    float softcap;         /* 0 means off; NaN, inf or negative: LP_ERR_ARG */
    uint32_t flags;        /* 0 */
    const void *reserved[3];
} lp_logits;

/* The logits as every other function sees them: widened, capped, scaled and masked, in that order. For tests, and for
 * callers that want the processed row itself. out may be data (f32, same stride). Status: only LP_ERR_ARG. */
LP_API lp_status lp_transform(const lp_logits *in, float *out /* [rows, out_stride] */,
                              size_t out_stride /* 0: vocab */);

/* ---- one result each ---------------------------------------------------------------------------------------------
 * Common to the five. in: [rows, vocab], rows `stride` elements apart. vocab == 0: every row is LP_ERR_EMPTY, and `data`
 * may be NULL. Status: LP_ERR_ARG (a NULL that is needed, a stride below vocab, a vocab above INT32_MAX, a bad
 * temperature, softcap, dtype, flag or reserved member, sizes that overflow), else the row results of the rules above.
 * Accuracy: the table above, found and proven. Alignment: none. Threads: any number, on disjoint outputs. */

/* logsumexp[row] = ln(sum over the row of e^x'), in nats.
 * Range: [max_logit, max_logit + ln vocab]. -inf logits add nothing. No mass, NaN, +inf: NaN.
 * Source: sums in blocks of LP_BLOCK ids over 32 lanes, deposited in an exact accumulator; docs/adr. */
LP_API lp_status lp_logsumexp(const lp_logits *in, float *out /* [rows] */);

/* The whole row of logprobs, by the one formula above; e^ of a row sums to 1 within its roundings.
 * out: rows `out_stride` elements apart (0: vocab; else at least vocab); elements between vocab and out_stride are not
 * written. out may be data itself (f32, same stride); otherwise it must not overlap it. Reads the row a second time, from
 * cache; output of more than 16 MiB a call goes past the cache. Range: [-inf, 0]. A bad row is all NaN. */
LP_API lp_status lp_log_softmax(const lp_logits *in, float *out /* [rows, out_stride] */, size_t out_stride);

/* entropy[row] = - sum of p ln p, in nats, p = e^logprob; p = 0 adds nothing.
 * Range: [0, ln vocab]; both parts of log1p(R) + D / (1 + R) are sums of one sign, so that a small entropy (1e-19) has the
 * same relative accuracy as a large one. R, D: the mass of all but the maximum, and its mean distance, held out. */
LP_API lp_status lp_entropy(const lp_logits *in, float *out /* [rows] */);

/* The k most probable tokens of each row, best first, ties lowest id first.
 * logprob, token: [rows, k]. k may be anything, 0 and above vocab included; what a row does not have (small vocab, -inf,
 * mask) is id -1 with logprob -inf. The first j of k are the top-j. A bad row is NaN and -1. The outputs are the only
 * memory used. Cost: small k nothing that is seen, k = vocab a sort. */
LP_API lp_status lp_topk(const lp_logits *in, size_t k, float *logprob /* [rows, k] */, int32_t *token /* [rows, k] */);

/* The logprobs of n given tokens a row: the bits that lp_log_softmax would write at those ids.
 * token, logprob: [rows, n]; n = 0 is legal. Ids below 0: NaN, status OK. Ids not below vocab: NaN, LP_ERR_TOKEN. */
LP_API lp_status lp_gather(const lp_logits *in, const int32_t *token /* [rows, n] */, size_t n,
                           float *logprob /* [rows, n] */);

/* ---- everything a server's logprobs response needs, from one read of each row -------------------------------------
 * Every member that is NULL is not wanted and not computed; every value has the bits of the single functions above. */
typedef struct lp_scores {
    float *logsumexp, *entropy, *max_logit, *log_norm; /* [rows] */
    size_t tokens_per_row;                             /* of token and token_logprob; 0 means 1 */
    float *token_logprob;                              /* [rows, tokens_per_row] */
    int32_t *token_rank;                               /* [rows], of each row's first token: 1 + count(x' > its) */
    int32_t *token_rank_ties;                          /* [rows]: count(x' >= its) */
    float *top_logprob;                                /* [rows, top_stride], the first k used; both or neither */
    int32_t *top_token;
    size_t top_stride; /* 0 means k */
    lp_status *status; /* [rows] */
    void *reserved[4];
} lp_scores;
/* Scores each row: see the members of lp_scores.
 * token may be NULL where no member about tokens is wanted. k counts for top_logprob and top_token alone; where rows want
 * different k, pass the largest. token_rank is 1 for the most probable token (strictly above count), token_rank_ties what
 * some servers report instead (not below count); on bf16 logits they differ often. A token of logit -inf ranks behind all
 * that have mass, with ties vocab. Both are 0 for an id below 0, not below vocab, or in a bad row.
 * status[row] is the row's own result; the call returns that of the lowest bad row. */
LP_API lp_status lp_score(const lp_logits *in, const int32_t *token /* [rows, tokens_per_row] or NULL */, size_t k,
                          const lp_scores *out);

/* ---- a row that arrives in pieces, or lies in shards ---------------------------------------------------------------
 * Logits come in chunks (a tiled LM head, a network, ranks that hold parts of the vocabulary); the results are bit for bit
 * those of one lp_score over the whole row, whatever the chunks, the shards' bounds and the order of merging. The state is
 * plain bytes in the caller's memory, at any alignment: copy it, map it, send it (docs/streams.md has its layout). Ids that
 * were not pushed count as -inf. Ranks of tokens cannot be had: whether a logit is above the token's is known only once the
 * token came, and the others are gone by then.
 *
 * Sums go by blocks of LP_BLOCK ids, cut at absolute ids. A block of which not all ids have come is a fragment: its logits
 * wait in the state, transformed, as f32. A stream has at most two, at its first and its last id; merging gathers them and
 * runs those that become complete. Capacity: LP_STREAM_FRAGMENTS fragments, and LP_STREAM_RANGES ranges of ids that are not
 * adjacent (adjacent ones are one); beyond it LP_ERR_SPACE. So up to 8 shards, with any bounds, merge in any order, and any
 * number of them in the order of their ids.
 *
 * Size: 512 bytes, 8k of the list rounded up to a multiple of 64, and 8 fragments of 4 * LP_BLOCK bytes: 66,240 bytes for
 * k = 20. Only the first lp_stream_used bytes are set, read and sent: 704 for k = 20 while no fragment is there.
 *
 * Damage: head, row, list and fragments have checksums. A changed byte (among those in use) is LP_ERR_STATE in
 * lp_stream_check, _merge and _finish, which look at everything. lp_stream_push verifies what it uses; damage that it does
 * not see stays for the others to find, but for changed values of list and fragments, which it may overwrite or use: a state
 * from outside is to be checked before it is used. No bytes make any of them touch memory outside a state of its size.
 *
 * Errors of the call leave the state untouched. One thread at a time for a state that is written; reading (merge's `from`,
 * finish, check) any number. Stack: that of lp_score and 10 KiB. */
#define LP_STREAM_FRAGMENTS 8 /* incomplete blocks that a state holds */
#define LP_STREAM_RANGES 16   /* ranges of ids, not adjacent, that a state holds */
/* lp_stream_size(k) as a constant, for k that does not overflow: unsigned char state[LP_STREAM_SIZE(20)]; */
#define LP_STREAM_SIZE(k) ((size_t)512 + ((size_t)(k)*8 + 63) / 64 * 64 + (size_t)LP_STREAM_FRAGMENTS * LP_BLOCK * 4)
typedef struct lp_stream lp_stream;

/* The results so far. Accuracy, ranges, NaN and infinities are lp_score's. `reserved` is written as 0. */
typedef struct lp_row {
    float logsumexp, entropy, max_logit, log_norm;
    float token_logprob; /* NaN until the token was pushed */
    lp_status status;    /* LP_OK, LP_ERR_NAN, LP_ERR_INF, LP_ERR_EMPTY */
    uint64_t count;      /* ids pushed, masked ones too */
    uint64_t reserved[4];
} lp_row;

/* The bytes that a state with a top-k list of k entries needs; 0 where that is more than half the address space. */
LP_API size_t lp_stream_size(size_t k);

/* Begins a stream in memory of `bytes` bytes. Its ids count up from first_token (0: the row's start, a shard's first id
 * otherwise); the logprob of `token` is kept when it comes (negative: none). k = 0: no list.
 * Status: LP_OK; LP_ERR_ARG (memory NULL, first_token negative, a k whose size overflows); LP_ERR_SPACE (bytes below
 * lp_stream_size(k)). */
LP_API lp_status lp_stream_init(void *memory, size_t bytes, size_t k, int32_t first_token,
                                int32_t token /* -1: none */);

/* Whether memory holds a state that may be trusted, before one from outside is used. Reads no byte behind `bytes`, nor behind
 * those in use. Cost: one look at each byte in use.
 * Status: LP_OK; LP_ERR_ARG (memory NULL); LP_ERR_STATE (bytes below the state's size, not a state, of another version,
 * LP_NUMERICS or byte order, damaged). The checksums are no signature: they find accidents, not intent, and a forged state
 * can give wrong numbers, but no more. */
LP_API lp_status lp_stream_check(const void *memory, size_t bytes);

/* The bytes of a state that are in use, from its first on: those that have to be kept or sent. Who gets them needs memory of
 * lp_stream_size(k) bytes, the rest of which may hold anything. 0: not a state. */
LP_API size_t lp_stream_used(const lp_stream *stream);

/* Takes the next logits: chunk's element i gets the id after all that came before, plus i.
 * chunk: rows 1, vocab its length, in any form; bit 0 of `allowed` is the chunk's first element. All chunks have the dtype,
 * inv_temperature (row_inv_temperature[0] where given) and softcap of the first one, and a mask all or none of them; the
 * masks' contents may differ. Length 0 (or rows 0) is LP_OK and changes nothing. NaN and +inf are kept until finish.
 * Cost: that of lp_score for whole blocks; a copy more for others. Ragged chunks are fine, chunks from a multiple of LP_BLOCK
 * on are best.
 * Status: LP_OK; LP_ERR_ARG (what makes lp_score's `in` wrong, more than one row, another form than the first chunk's, ids
 * beyond INT32_MAX - 1); LP_ERR_STATE (a state that was merged into takes no more logits; damage). */
LP_API lp_status lp_stream_push(lp_stream *stream, const lp_logits *chunk);

/* Adds what `from` has to `into`; `from` stays. Their ids must be disjoint, and need not be adjacent. From then on `into` takes
 * merges, but no pushes, also where `from` was empty. dtype and masks may differ between the two.
 * Cost: one look at each byte in use, and a block's sums for each fragment that becomes complete.
 * Status: LP_OK; LP_ERR_ARG (NULL); LP_ERR_STATE (an id in both, another k or token, another inv_temperature or softcap,
 * another version or byte order, damage: `into` is untouched); LP_ERR_SPACE (the capacity above; `into` is untouched). */
LP_API lp_status lp_stream_merge(lp_stream *into, const lp_stream *from);

/* The results of what came so far. Changes nothing: may be called at any time, for progressive results, and pushes go on.
 * top_logprob, top_token: [k], both or neither; best first, ties lowest id first; what the row does not have is id -1 with
 * logprob -inf; a bad row is NaN and -1. Alignment: that of float and int32_t. No overlap with the state.
 * Cost: at most LP_STREAM_FRAGMENTS blocks, and two additions for each entry of the list.
 * Status: LP_OK; LP_ERR_ARG (NULL stream or row, one of the lists alone); LP_ERR_STATE; LP_ERR_NAN, LP_ERR_INF, LP_ERR_EMPTY as
 * row->status: no logits yet are LP_ERR_EMPTY. A token that did not come is no error. */
LP_API lp_status lp_stream_finish(const lp_stream *stream, lp_row *row, float *top_logprob /* [k] */,
                                  int32_t *top_token /* [k] */);

/* ---- partial sets: the k log-probabilities that an API returned ------------------------------------------------------
 * Entries are log-probabilities of different tokens at one position: a token listed twice is counted twice, which is the
 * caller's business (pool or drop it first). Their probabilities may sum to more than 1 by rounding: up to
 * 1 + LP_MASS_EXCESS (f32 log-softmax of the common libraries errs by up to 2e-4, logprobs printed with four digits by
 * 5e-5) the sum counts as 1, beyond it the call is LP_ERR_ARG: such entries are logits, duplicates or not logarithms of
 * base e. -inf entries are legal and have no mass. The computation is in double, on one entry after the other, without
 * memory of its own (at most 8 KiB of stack): results depend neither on the ISA nor, up to 2^30 entries, on the order of
 * the entries. Beyond 2^30 the order may touch the last bit of a double. */
#define LP_MASS_EXCESS 0.0009765625 /* 2^-10 */

/* The mass of a set: kept = sum of e^logprob, log_kept = ln kept, tail = 1 - kept. `reserved` is written as 0. */
typedef struct lp_mass {
    double log_kept, kept, tail;
    double reserved[2];
} lp_mass;

/* Renormalises a partial set, and tells how much of the whole it holds.
 *     out[i] = logprob[i] - ln(sum over j of e^logprob[j])
 * Shapes: logprob and out are [n]; out or mass NULL: not wanted, not computed. n = 0: mass {-inf, 0, 1}, LP_ERR_EMPTY.
 * Range: out in [-inf, 0]; kept and tail in [0, 1], log_kept in [-inf, 0]. Entries that sum to more than 1 (within
 * LP_MASS_EXCESS) give the mass {0, 1, 0}, while out is still divided by the whole sum, so that it sums to 1.
 * The set is one row: NaN in it gives NaN everywhere (out and mass), LP_ERR_NAN; else +inf the same, LP_ERR_INF; without
 * mass (all -inf) out is NaN, mass {-inf, 0, 1}, LP_ERR_EMPTY. A -inf entry beside others gives -inf. Ties: no role.
 * Accuracy, found (worst input of two entries) / proven, with q = 1 - e^(largest entry):
 *     out       0.5 + 1e-9 ulp  {-0x1.f5faeep+4, -0x1.02996cp+6}     0.5 + 2^-22 ulp, also near 0
 *     tail      2.2e-16 q       {-0x1.02affep-52, -0x1.4b6954p+5}    4.5e-16 q
 *     kept      3.4e-16 of it   {-0x1.d1c07ep+7, -0x1.ec4354p+7}     1e-15 of it, above 2^-1022
 *     log_kept  1.1e-16 L       {-0x1.009754p+9, -0x1.01571ep+9}     1e-15 L, L = 1 + |log_kept| + ln n; where kept > 1/2
 *                                                                    also the tail's error / kept
 * so that a kept of 1 - 1e-9 gives a tail of 1e-9 to 1.4e-7 / 4.5e-7 relative, and one of 1 - 1e-30 too where one entry has
 * nearly all the mass.
 * Aliasing: out == logprob is allowed, no other overlap. Alignment: that of float. Reentrant; any thread.
 * Status: LP_OK; LP_ERR_ARG (logprob NULL with n > 0; more than LP_MASS_EXCESS above 1); LP_ERR_NAN, LP_ERR_INF,
 * LP_ERR_EMPTY as above.
 * Source: the largest entry is held out, 1 - kept = -expm1(largest) - sum of the others, all sums exact. */
LP_API lp_status lp_renormalize(const float *logprob, size_t n, float *out, lp_mass *mass);

/* Pools entries that mean the same ("yes", " Yes", "YES") into one logprob for each label.
 *     out[l] = ln(sum over i with label[i] == l of e^logprob[i])
 * Shapes: logprob and label are [n], out is [labels]. label[i] < 0: the entry belongs to no label and its logprob is not
 * looked at. n = 0: every label is absent. labels = 0: every label[i] must be negative, out may be NULL.
 * Labels may number several positions at once (position * labels_per_position + label): each pools for itself.
 * Range: [-inf, 0]; a label without entries, or with none but -inf, gives -inf and LP_OK. A label whose entries sum to more
 * than 1 (within LP_MASS_EXCESS) gives 0. NaN in a label gives NaN for that label alone, LP_ERR_NAN; else +inf NaN,
 * LP_ERR_INF; the call returns the status of the lowest bad label. Order of the entries: no role.
 * Accuracy, found and proven: 0.5 ulp + 1e-15 (1 + |out| + ln n).
 * Time: O(n * ceil(labels / 32) + labels), twice that above 32 labels. No memory.
 * Aliasing: none. Alignment: that of float and int32_t. Reentrant; any thread.
 * Status: LP_OK; LP_ERR_ARG (NULL where something must be read or written; label[i] >= labels; a label more than
 * LP_MASS_EXCESS above 1); LP_ERR_NAN, LP_ERR_INF.
 * To normalise over the labels, give out to lp_renormalize; the complement of one answer (1 - p) is the tail of lp_renormalize
 * over the entries that spell it. */
LP_API lp_status lp_label_logprob(const float *logprob, const int32_t *label /* [n], < 0: none */, size_t n,
                                  size_t labels, float *out /* [labels] */);

/* Sharp bounds of the entropy of a whole distribution of which the n largest logprobs are known.
 *     lower = K + m c + r,  upper = K + tail ln((vocab - n) / tail)
 * with K = -sum of p ln p over the entries, c = -p ln p of the smallest one, and the tail shared by m missing tokens as likely
 * as the smallest entry and one that has the rest (entropy r), or evenly by all vocab - n.
 * Shapes: logprob is [n], n <= vocab <= INT32_MAX; lower or upper NULL: not wanted. n = 0: bounds 0 and ln vocab.
 * The entries must be the n most likely tokens, in any order: leave out a chosen token that is not among them. n == vocab
 * (and -inf among the entries) means that nothing is missing: lower and upper then differ by the slack only.
 * Nats; 0 <= lower <= upper <= ln vocab, but for rounding (1e-13 relative).
 * Slack: both bounds give way to the rounding of the entries: each logprob may be off by 2.4e-7 of itself plus 4e-7 times the
 * sum of the others' probabilities plus 2^-126, which covers what this library returns. The entropy of the exact distribution
 * is then always inside; the extremal distributions attain the bounds to 1e-6 (20 + ln vocab - smallest logprob) relative, or
 * 1e-34. Logprobs rounded more coarsely (by bf16, by printing) move the bounds as much as their rounding moves the entropy.
 * NaN in the set gives NaN, LP_ERR_NAN; +inf NaN, LP_ERR_INF; all -inf, or vocab == 0, NaN, LP_ERR_EMPTY. Ties: no role.
 * Aliasing: none. Alignment: that of float and double. Reentrant; any thread.
 * Status: LP_OK; LP_ERR_ARG (logprob NULL with n > 0; n > vocab; vocab > INT32_MAX; the entries sum to more than
 * 1 + LP_MASS_EXCESS, or the missing mass exceeds (vocab - n) times the smallest entry by more than LP_MASS_EXCESS: such
 * entries are not the largest of a distribution); LP_ERR_NAN, LP_ERR_INF, LP_ERR_EMPTY.
 * Source: -p ln p is concave, so under a cap on each p the sum is least at a vertex and largest at the centre. */
LP_API lp_status lp_partial_entropy(const float *logprob, size_t n, size_t vocab, double *lower, double *upper);

/* Probabilities: prob[i] = e^logprob[i].
 * Shapes: [n] both; n = 0: LP_OK, nothing touched.
 * Range: [0, 1] for logprobs; a positive entry (a ratio of probabilities, or rounding) gives its exp, +inf from 88.73 on;
 * -inf gives 0. NaN gives NaN, LP_ERR_NAN; +inf gives NaN, LP_ERR_INF: each entry is a row of its own, the lowest bad one is
 * returned. Ties: no role.
 * Accuracy: 0.5 ulp for every float from -105 to 0, subnormal results included (exhaustive); 0.5 + 2^-27 ulp proven.
 * Aliasing: prob == logprob is allowed, no other overlap. Alignment: that of float. Reentrant; any thread.
 * Status: LP_OK; LP_ERR_ARG (a NULL with n > 0); LP_ERR_NAN, LP_ERR_INF. */
LP_API lp_status lp_exp(const float *logprob, size_t n, float *prob);

/* ---- sequences ------------------------------------------------------------------------------------------------------
 * Sequence i is rows offset[i] .. offset[i+1]-1. Rows not kept, or outside every sequence, are never read. Empty: logprob 0,
 * tokens 0, mean, perplexity and min NaN, argmin UINT64_MAX, greedy 1. argmin indexes the flat rows.
 *
 * Of the kept rows of a sequence: logprob = sum of their token logprobs, mean = logprob / tokens, perplexity = e^-mean, min
 * the smallest and argmin its row (the first on ties), nats. -inf is legal: logprob, mean and min -inf, perplexity +inf. A
 * perplexity beyond double (mean below -709.78) is +inf. A bad kept row makes the sequence bad: logprob, mean, perplexity
 * and min NaN, argmin UINT64_MAX, greedy -1, tokens still counted, status that of the worst row (NAN > INF > EMPTY > TOKEN);
 * other sequences are right, and the call returns the status of the first bad one. `reserved` is written as 0.
 * Sums are exact until one last rounding: up to 2^30 kept rows in a sequence they do not depend on the order of the rows,
 * beyond that the order may touch the last bit. Accuracy, found / proven: logprob 0.5 / 2 ulp of double (where all logprobs
 * have one sign), mean one rounding more, perplexity 1.3 * 2^-53 / 2^-52 relative to e^-mean of the mean that is returned.
 * What others print follows in one line: bits per byte = -logprob / (ln 2 * bytes of the text); bits per token =
 * -mean / ln 2; length-normalised score (GNMT) = logprob / pow((5 + tokens) / 6.0, alpha), or logprob / pow(tokens, alpha);
 * geometric-mean probability = e^mean; of a corpus: sum the logprobs and tokens of its sequences, then e^(-sum / tokens). */
typedef struct lp_sequence {
    double logprob, mean, perplexity;
    uint64_t tokens, argmin;
    float min;
    int32_t greedy; /* every kept token is its row's top-1 (lowest id on ties); -1: not known */
    lp_status status;
    int32_t reserved[5];
} lp_sequence;

/* Sums token logprobs that are already at hand: from lp_score, lp_gather or an API.
 * Shapes: token_logprob is [rows], keep is [rows] (0: not kept) or NULL (all kept), offset is [n + 1], not decreasing, out is
 * [n], with rows >= offset[n]. n = 0: LP_OK, nothing touched. token_logprob may be NULL if every sequence is empty.
 * NaN in a kept row: LP_ERR_NAN for its sequence (what has no logprob, such as a first token, is for `keep` to leave out);
 * +inf: LP_ERR_INF. Positive finite values are summed like others. greedy is -1 where a token is kept: the other logits were
 * not seen.
 * Aliasing: none. Alignment: that of each type. Reentrant; any thread; sequences may be split over threads.
 * Status: LP_OK; LP_ERR_ARG (NULL offset, out or token_logprob, decreasing offsets); LP_ERR_NAN, LP_ERR_INF of the first bad
 * sequence. */
LP_API lp_status lp_sequence_sum(const float *token_logprob, const uint8_t *keep /* or NULL */,
                                 const size_t *offset /* [n+1] */, size_t n, lp_sequence *out /* [n] */);

/* Scores sequences from their logits: one read of each kept row, nothing of size rows is needed.
 * As lp_sequence_sum on lp_score's token logprobs, bit for bit, and greedy is known.
 * Shapes: token and token_logprob are [rows of in], keep and offset as above, offset[n] <= in->rows. Row t must predict
 * token[t]: shift before calling. A token < 0 is not kept; token_logprob is NaN where a row is not kept, in no sequence, or
 * bad. A kept token >= vocab: its sequence is bad, LP_ERR_TOKEN. Rows with NaN, +inf or without mass: LP_ERR_NAN,
 * LP_ERR_INF, LP_ERR_EMPTY. n = 0 and rows = 0: LP_OK, nothing touched.
 * Aliasing: none. Alignment: none for logits, that of the type for the rest. Reentrant; any thread.
 * Status: LP_OK; LP_ERR_ARG (what makes lp_score's `in` wrong; NULL token, offset or out; offsets decreasing or above rows);
 * LP_ERR_NAN, LP_ERR_INF, LP_ERR_EMPTY, LP_ERR_TOKEN of the first bad sequence. */
LP_API lp_status lp_sequence_score(const lp_logits *in, const int32_t *token /* [rows] */, const uint8_t *keep,
                                   const size_t *offset, size_t n, lp_sequence *out,
                                   float *token_logprob /* [rows] or NULL */);

/* ---- two models on the same positions ---------------------------------------------------------------------------------- */
typedef struct lp_divergence { /* all [rows] */
    double *kl, *reverse_kl, *cross_entropy;
    float *max_abs_diff; /* of logprobs; -inf against -inf is 0 */
    float *p_token_logprob, *q_token_logprob;
    int32_t *p_top, *q_top;
    lp_status *status;
    void *reserved[4];
} lp_divergence;
/* Compares two models row by row. With p and q the probabilities of a row in each,
 *     kl            sum of p ln(p / q)                 reverse_kl    sum of q ln(q / p)
 *     cross_entropy - sum of p ln q                    max_abs_diff  largest |ln p - ln q|
 * and the logprob of token[row] and the most probable token in each, with the bits of lp_gather and lp_topk.
 * Shapes: p and q have the same rows and vocab; dtype, stride, temperature, softcap and mask are each one's own. All members
 * are [rows]; NULL: not wanted, not computed. token may be NULL where no logprob of it is wanted. An id below 0: NaN, status
 * OK.
 * Range: nats, at least 0; kl, reverse_kl and max_abs_diff exactly 0 for equal rows. p = 0 adds nothing; q = 0 < p makes kl and
 * cross_entropy +inf, p = 0 < q reverse_kl, either max_abs_diff.
 * A row that is bad in either has NaN, tops -1, and the worse status (NAN > INF > EMPTY). An id not below vocab: NaN for its
 * logprobs alone, LP_ERR_TOKEN. status[row] is the row's own; the call returns that of the lowest bad row. Ties: the tops are
 * the lowest ids.
 * Accuracy, found / tested as bound, absolute (and 4e-15 relative): kl and reverse_kl 2.7e-7 / 3e-7, cross_entropy
 * 3.4e-6 / 1e-5; max_abs_diff 1e-6 and its own rounding to f32. Worst rows: of two or three different logits, searched for; kl 4,096
 * of them, got 0x1.04363110cf02p-5, exact 0x1.0436bda1434f4p-5; cross_entropy 2,048, got 0x1.cb41523f3c6p+1, exact
 * 0x1.cb41362c41cf4p+1. Of rows of many different logits kl 1.2e-7.
 * Cost: one read of both, at whatever levels up to 256 the logits of either model lie, masked with -inf or with a number: half as
 * much again with -inf, twice where a logit is beyond some 80. A second read, in double, eight times as slow, where a level is
 * beyond 256, the two are more than 64 apart, or the first read might miss the bound: seldom where the divergence is below 0.25
 * nats, above 1 where few elements have the mass, always above 16, or where p / q is beyond e^256 somewhere. Aliasing: p and q may be
 * the same; outputs overlap nothing. Alignment: none for logits, that of the type for the rest. Reentrant; any thread.
 * Status: LP_OK; LP_ERR_ARG (what makes lp_score's `in` wrong, in either; other rows or vocab; NULL out; a logprob of the token
 * wanted without token); LP_ERR_NAN, LP_ERR_INF, LP_ERR_EMPTY, LP_ERR_TOKEN of the lowest bad row.
 * Source: Kullback and Leibler 1951; each term of w d + u, w = e^a, d = a - b, u = e^b - e^a, is at least 0. */
LP_API lp_status lp_compare(const lp_logits *p, const lp_logits *q, const int32_t *token /* [rows] or NULL */,
                            const lp_divergence *out);

#ifdef __cplusplus
}
#endif
#endif
