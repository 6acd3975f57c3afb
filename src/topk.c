/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sorting and merging of top-k candidates. No allocation; stack bounded by the radix sort's counters. */
#include "topk.h"

static uint64_t get(const topk *t, size_t i)
{
    float x;
    int32_t id;
    memcpy(&x, t->logit + i * sizeof x, sizeof x);
    memcpy(&id, t->id + i * sizeof id, sizeof id);
    return topk_key(x, id);
}

static void put(topk *t, size_t i, uint64_t key)
{
    float x = topk_key_logit(key);
    int32_t id = topk_key_id(key);
    memcpy(t->logit + i * sizeof x, &x, sizeof x);
    memcpy(t->id + i * sizeof id, &id, sizeof id);
}

enum { RUN = 16 };

/* Sorting has no branches that depend on the keys: each would be mispredicted once in two. */

static inline void order_pair(uint64_t *a, uint64_t *b)
{
    uint64_t x = *a, y = *b;
    *a = x > y ? x : y;
    *b = x > y ? y : x;
}

/* a few keys, largest first: at most half of a run, for which branches cost less than the network's exchanges */
static void sort_insertion(uint64_t *key, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = key[i];
        size_t j = i;
        for (; j > 0 && key[j - 1] < x; j--) {
            key[j] = key[j - 1];
        }
        key[j] = x;
    }
}

/* RUN keys, largest first: Batcher's odd-even merge sort */
static void sort_run(uint64_t key[RUN])
{
    static const uint8_t pair[][2] = {
        {0, 1},   {2, 3},  {4, 5},  {6, 7},   {8, 9},   {10, 11}, {12, 13}, {14, 15}, {0, 2},   {1, 3},   {4, 6},
        {5, 7},   {8, 10}, {9, 11}, {12, 14}, {13, 15}, {1, 2},   {5, 6},   {9, 10},  {13, 14}, {0, 4},   {1, 5},
        {2, 6},   {3, 7},  {8, 12}, {9, 13},  {10, 14}, {11, 15}, {2, 4},   {3, 5},   {10, 12}, {11, 13}, {1, 2},
        {3, 4},   {5, 6},  {9, 10}, {11, 12}, {13, 14}, {0, 8},   {1, 9},   {2, 10},  {3, 11},  {4, 12},  {5, 13},
        {6, 14},  {7, 15}, {4, 8},  {5, 9},   {6, 10},  {7, 11},  {2, 4},   {3, 5},   {6, 8},   {7, 9},   {10, 12},
        {11, 13}, {1, 2},  {3, 4},  {5, 6},   {7, 8},   {9, 10},  {11, 12}, {13, 14}};
    _Pragma("GCC unroll 63") for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
    {
        order_pair(key + pair[i][0], key + pair[i][1]);
    }
}

/* Two sorted runs of n keys into one, from both ends at once: each step waits for the one before, so two of them that do not
 * wait for each other take the time of one. */
static void merge_equal(uint64_t *to, const uint64_t *a, const uint64_t *b, size_t n)
{
    const uint64_t *a_last = a + n - 1, *b_last = b + n - 1;
    for (uint64_t *last = to + 2 * n - 1; to < last; to++, last--) {
        uint64_t x = *a, y = *b, v = *a_last, w = *b_last;
        size_t first_is_a = x > y, last_is_a = v < w;
        *to = x > y ? x : y;
        *last = v < w ? v : w;
        a += first_is_a;
        b += 1 - first_is_a;
        a_last -= last_is_a;
        b_last -= 1 - last_is_a;
    }
}

/* the same of runs of different lengths, either of which may end before half is done */
static void merge_runs(uint64_t *to, const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b)
{
    size_t n = n_a + n_b, i = 0, j = 0, i_end = n_a, j_end = n_b;
    if (n_a == n_b) {
        merge_equal(to, a, b, n_a);
        return;
    }
    for (size_t first = 0, last = n; first < n / 2; first++) {
        uint64_t x = a[i < n_a ? i : 0], y = b[j < n_b ? j : 0];
        uint64_t v = a[i_end > 0 ? i_end - 1 : 0], w = b[j_end > 0 ? j_end - 1 : 0];
        x = i < n_a ? x : 0;
        y = j < n_b ? y : 0;
        v = i_end > 0 ? v : UINT64_MAX;
        w = j_end > 0 ? w : UINT64_MAX;
        to[first] = x > y ? x : y;
        to[--last] = v < w ? v : w;
        i += x > y;
        j += x <= y;
        i_end -= v < w;
        j_end -= v >= w;
    }
    if (n % 2 != 0) {
        to[n / 2] = i < i_end ? a[i] : b[j];
    }
}

/* merge sort, largest first: runs by a network, then merged back and forth between key and scratch */
static void sort_keys(uint64_t *key, uint64_t *scratch, size_t n)
{
    size_t whole = n / RUN * RUN;
    for (size_t i = 0; i < whole; i += RUN) {
        sort_run(key + i);
    }
    if (n - whole <= RUN / 2) {
        sort_insertion(key + whole, n - whole);
    } else {
        uint64_t last[RUN] = {0};
        memcpy(last, key + whole, (n - whole) * sizeof *key);
        sort_run(last);
        memcpy(key + whole, last, (n - whole) * sizeof *key);
    }
    uint64_t *from = key, *to = scratch;
    for (size_t width = RUN; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t left = n - i < width ? n - i : width, right = n - i - left < width ? n - i - left : width;
            if (right == 0) {
                memcpy(to + i, from + i, left * sizeof *to);
            } else {
                merge_runs(to + i, from + i, left, from + i + left, right);
            }
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != key) {
        memcpy(key, from, n * sizeof *key);
    }
}

/* ---- long lists, where they lie ------------------------------------------------------------------------------------ */

enum { SPREAD = 1024, SPREAD_AGAIN = 256, SPREAD_ENTRIES = 64, SOME = 512, FEW = 4 * RUN };

/* The bytes of keys while a list is sorted by them: their halves lie where logits and ids are, so that no step converts them. */
static inline uint64_t get_key(const topk *t, size_t i)
{
    uint32_t upper, lower;
    memcpy(&upper, t->logit + i * sizeof upper, sizeof upper);
    memcpy(&lower, t->id + i * sizeof lower, sizeof lower);
    return (uint64_t)upper << 32 | lower;
}

static inline void put_key(topk *t, size_t i, uint64_t key)
{
    uint32_t upper = (uint32_t)(key >> 32), lower = (uint32_t)key;
    memcpy(t->logit + i * sizeof upper, &upper, sizeof upper);
    memcpy(t->id + i * sizeof lower, &lower, sizeof lower);
}

/* entries low .. high - 1, sorted in arrays that are given; as_halves: of keys, as they lie during a sort by bytes */
static inline __attribute__((always_inline)) void sort_copied(topk *t, size_t low, size_t high, uint64_t *key,
                                                              uint64_t *scratch, int as_halves)
{
    for (size_t i = low; i < high; i++) {
        key[i - low] = as_halves ? get_key(t, i) : get(t, i);
    }
    sort_keys(key, scratch, high - low);
    for (size_t i = low; i < high; i++) {
        if (as_halves) {
            put_key(t, i, key[i - low]);
        } else {
            put(t, i, key[i - low]);
        }
    }
}

static __attribute__((noinline)) void sort_few(topk *t, size_t low, size_t high)
{
    uint64_t few[FEW], scratch[FEW];
    sort_copied(t, low, high, few, scratch, 1);
}

static __attribute__((noinline)) void sort_some(topk *t, size_t low, size_t high)
{
    uint64_t some[SOME], scratch[SOME];
    sort_copied(t, low, high, some, scratch, 0);
}

/* what decides which part an entry belongs to: a byte of its key, or where its logit lies between the largest and the least, where
 * a larger one is never in a later part */
typedef struct parting {
    int by_byte, shift;
    float max, scale, last;
} parting;

static inline __attribute__((always_inline)) size_t part_of(const parting *p, uint64_t entry)
{
    if (p->by_byte) {
        return 255 - (entry >> p->shift & 255);
    }
    float at = (p->max - bits_float((uint32_t)(entry >> 32))) * p->scale;
    at = at >= 0 ? at : 0; /* NaN, where the logits are the same or far apart */
    return (size_t)(uint32_t)(int32_t)(at < p->last ? at : p->last);
}

/* Counts that were taken become where each of n parts begins and ends. Returns the largest. */
static uint32_t parts_place(uint32_t *start, uint32_t *end, size_t n)
{
    uint32_t sum = 0, most = 0;
    for (size_t b = 0; b < n; b++) {
        uint32_t count = start[b];
        most = count > most ? count : most;
        start[b] = sum;
        sum += count;
        end[b] = sum;
    }
    return most;
}

/* Swaps each entry in turn to where its part has room; what comes back is looked at in a later pass. No step waits for the one
 * before, which following the cycles of the permutation would do. */
static inline __attribute__((always_inline)) void parts_swap(topk *t, size_t low, const parting *p, size_t parts,
                                                             uint32_t *start, const uint32_t *end)
{
    for (int moved = 1; moved;) {
        moved = 0;
        for (size_t b = 0; b < parts; b++) {
            for (size_t i = start[b]; i < end[b]; i++) {
                uint64_t entry = get_key(t, low + i);
                size_t to = start[part_of(p, entry)]++;
                put_key(t, low + i, get_key(t, low + to));
                put_key(t, low + to, entry);
                moved = 1;
            }
        }
    }
}

static inline __attribute__((always_inline)) void parts_count(const topk *t, size_t low, size_t high, const parting *p,
                                                              uint32_t *start)
{
    for (size_t i = low; i < high; i++) {
        start[part_of(p, get_key(t, i))]++;
    }
}

/* entries low .. high - 1 in the order of the key's byte at `shift`, largest first; end[b] is where part b ends */
static __attribute__((noinline)) void part_by_byte(topk *t, size_t low, size_t high, int shift, uint32_t end[256])
{
    const parting p = {.by_byte = 1, .shift = shift};
    uint32_t start[256] = {0};
    parts_count(t, low, high, &p, start);
    parts_place(start, end, 256);
    parts_swap(t, low, &p, 256, start, end);
}

/* In-place radix sort by the key's byte at `shift` and below: at most 8 calls deep, 1 KiB of stack each. */
static void sort_radix(topk *t, size_t low, size_t high, int shift)
{
    uint32_t end[256];
    if (high - low <= FEW) {
        sort_few(t, low, high);
        return;
    }
    part_by_byte(t, low, high, shift, end);
    for (size_t b = 0, from = 0; b < 256 && shift > 0; from = end[b], b++) {
        if (end[b] - from > 1) {
            sort_radix(t, low + from, low + end[b], shift - 8);
        }
    }
}

/* any entries, by their bits */
static void sort_bits(topk *t, size_t low, size_t high)
{
    uint64_t first = get(t, low), differ = 0;
    for (size_t i = low; i < high; i++) {
        uint64_t key = get(t, i);
        differ |= key ^ first;
        put_key(t, i, key);
    }
    int shift = 56;
    for (; shift > 0 && differ >> shift == 0; shift -= 8) {
    }
    sort_radix(t, low, high, shift);
    for (size_t i = low; i < high; i++) {
        put(t, i, get_key(t, i));
    }
}

static inline float logit_of(const topk *t, size_t i)
{
    float x;
    memcpy(&x, t->logit + i * sizeof x, sizeof x);
    return x;
}

static parting parting_spread(const topk *t, size_t low, size_t high, size_t parts)
{
    float max[4], min[4];
    for (int j = 0; j < 4; j++) {
        max[j] = min[j] = logit_of(t, low);
    }
    /* up to three at the end may lie beyond: in the first part or the last */
    for (size_t i = low; i + 4 <= high; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            float x = logit_of(t, i + j);
            max[j] = x > max[j] ? x : max[j];
            min[j] = x < min[j] ? x : min[j];
        }
    }
    for (int j = 1; j < 4; j++) {
        max[0] = max[j] > max[0] ? max[j] : max[0];
        min[0] = min[j] < min[0] ? min[j] : min[0];
    }
    const parting p = {.max = max[0], .scale = (float)parts / (max[0] - min[0]), .last = (float)(parts - 1)};
    return p;
}

/* As part_by_byte, by where the logits lie. Returns 0, and leaves all as it is, where most are in one part. */
static __attribute__((noinline)) int part_by_spread(topk *t, size_t low, size_t high, size_t parts, uint32_t *end)
{
    const parting p = parting_spread(t, low, high, parts);
    uint32_t start[SPREAD];
    memset(start, 0, parts * sizeof *start);
    parts_count(t, low, high, &p, start);
    if (parts_place(start, end, parts) > (high - low) / 2) {
        return 0;
    }
    parts_swap(t, low, &p, parts, start, end);
    return 1;
}

/* so many parts that each has about SPREAD_ENTRIES, but for how unevenly logits are spread */
static size_t parts_for(size_t n, size_t most)
{
    return n / SPREAD_ENTRIES < most ? n / SPREAD_ENTRIES : most;
}

/* Logits are mostly spread so that parts of the same width hold few of them each; where they are not, their bits decide. longer
 * sorts a part that is not short. */
static inline __attribute__((always_inline)) void sort_spread(topk *t, size_t low, size_t high, uint32_t *end,
                                                              size_t most, void (*longer)(topk *, size_t, size_t))
{
    const size_t parts = parts_for(high - low, most);
    if (!part_by_spread(t, low, high, parts, end)) {
        sort_bits(t, low, high);
        return;
    }
    for (size_t b = 0, from = 0; b < parts; from = end[b], b++) {
        (end[b] - from > SOME ? longer : sort_some)(t, low + from, low + end[b]);
    }
}

static __attribute__((noinline)) void sort_again(topk *t, size_t low, size_t high)
{
    uint32_t end[SPREAD_AGAIN];
    sort_spread(t, low, high, end, SPREAD_AGAIN, sort_bits);
}

static __attribute__((noinline)) void sort_long(topk *t)
{
    uint32_t end[SPREAD];
    sort_spread(t, 0, t->n, end, SPREAD, sort_again);
}

void topk_sort(topk *t)
{
    if (t->sorted) {
        return;
    }
    if (t->n > SOME) {
        sort_long(t);
    } else {
        sort_some(t, 0, t->n);
    }
    t->sorted = 1;
}

static void set_limit(topk *t)
{
    if (t->n == t->k) {
        uint64_t last = get(t, t->k - 1);
        t->limit = topk_key_logit(last);
        t->limit_id = topk_key_id(last);
    }
}

/* the sorted keys into the sorted list, from the back, where little moves */
static void merge(topk *t, const uint64_t *key, size_t n)
{
    size_t total = t->n + n, kept = total < t->k ? total : t->k;
    size_t a = t->n, b = n;
    /* drop the worst until what is left fits */
    for (size_t drop = total - kept; drop > 0; drop--) {
        if (b == 0 || (a > 0 && get(t, a - 1) < key[b - 1])) {
            a--;
        } else {
            b--;
        }
    }
    t->n = kept;
    for (size_t o = kept; b > 0; o--) {
        uint64_t last = a > 0 ? get(t, a - 1) : 0;
        if (a > 0 && last < key[b - 1]) {
            put(t, o - 1, last);
            a--;
        } else {
            put(t, o - 1, key[b - 1]);
            b--;
        }
    }
}

void topk_offer_sorted(topk *t, const uint64_t *key, size_t n)
{
    if (t->k == 0 || n == 0) {
        return;
    }
    if (t->n == 0) {
        t->n = n < t->k ? n : t->k;
        for (size_t i = 0; i < t->n; i++) {
            put(t, i, key[i]);
        }
    } else {
        topk_sort(t);
        merge(t, key, n);
    }
    set_limit(t);
}

void topk_offer(topk *t, uint64_t *key, uint64_t *scratch, size_t n)
{
    if (t->n == 0 || !t->sorted) {
        /* not enough yet to be worth an order */
        size_t room = t->k - t->n;
        if (n < room) {
            for (size_t i = 0; i < n; i++) {
                put(t, t->n++, key[i]);
            }
            t->sorted = t->n == 0;
            return;
        }
    }
    sort_keys(key, scratch, n);
    topk_offer_sorted(t, key, n);
}
