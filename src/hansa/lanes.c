/* HMAC-MD5 and HMAC-SHA1 (RFC 1321, RFC 3174, RFC 2104) of many messages side by side.
 *
 * Each step of these hashes needs the result of the one before, so one message leaves most of a core idle.
 * Here every lane of a vector register holds another message: 16 with AVX-512, 8 with AVX2, 4 elsewhere. A
 * lane whose message ends takes the next one, the longest first. `lanes.py` builds, checks and calls this.
 *
 * The second half of this file is a template; the first half includes it once for each width.
 */
#ifndef LANES

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define BLOCK 64
#define ROTATE(x, n) (((x) << (n)) | ((x) >> (32 - (n))))
#define SWAP(x) ((ROTATE(x, 8) & 0x00ff00ffu) | (ROTATE(x, 24) & 0xff00ff00u))
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are loaded as they lie: little-endian machines only"
#endif

#if defined(__clang__) || __GNUC__ >= 12
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (VECTOR){__VA_ARGS__})
#endif

enum { MD5 = 0, SHA1 = 1 };
#define WORDS_MAX 5

static const uint32_t START[WORDS_MAX] = {
    0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
static const uint8_t ZEROS[BLOCK];

typedef struct {
    const uint8_t *data;
    uint64_t bytes;
    uint8_t *out;
} message;

/* One lane's message: its whole blocks, then one or two blocks with the rest and the padding. */
typedef struct {
    const uint8_t *at;
    uint64_t left; /* blocks from `at` on, of the stretch at hand */
    size_t step;   /* bytes to the next block; 0 while the lane has no message */
    const message *source;
    int in_tail;
    uint8_t tail[2 * BLOCK];
} lane;

static int words_of(int kind) { return kind == MD5 ? 4 : 5; }

static void put_word(uint8_t *out, uint32_t word, int kind) {
    if (kind == SHA1) word = __builtin_bswap32(word);
    memcpy(out, &word, 4);
}

/* Begin the last stretch: what is left, 0x80, zeros, the length in bits with the key's block counted. */
static void begin_tail(lane *l, int kind) {
    const message *m = l->source;
    size_t rest = m->bytes % BLOCK, size = rest < 56 ? BLOCK : 2 * BLOCK;
    uint64_t bits = (m->bytes + BLOCK) * 8;
    memset(l->tail, 0, sizeof l->tail);
    if (rest) memcpy(l->tail, m->data + (m->bytes - rest), rest);
    l->tail[rest] = 0x80;
    if (kind == SHA1) bits = __builtin_bswap64(bits);
    memcpy(l->tail + size - 8, &bits, 8);
    l->at = l->tail;
    l->left = size / BLOCK;
    l->in_tail = 1;
}

static void begin_message(lane *l, const message *m, int kind) {
    l->source = m;
    l->at = m->data;
    l->left = m->bytes / BLOCK;
    l->step = BLOCK;
    l->in_tail = 0;
    if (!l->left) begin_tail(l, kind);
}

static void rest_lane(lane *l) {
    l->source = NULL;
    l->at = ZEROS;
    l->step = 0;
}

#define LANES 1
#define TARGET
#include "lanes.c"
#define LANES 4
#define TARGET
#include "lanes.c"
#if defined(__x86_64__)
#define LANES 8
#define TARGET __attribute__((target("avx2")))
#include "lanes.c"
#define LANES 16
#define TARGET __attribute__((target("avx512f")))
#include "lanes.c"
#endif

typedef void run_function(const message *, size_t, const uint32_t *, int);

static int lanes_here(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return 16;
    if (__builtin_cpu_supports("avx2")) return 8;
#endif
    return 4;
}

static run_function *runner(int lanes) {
#if defined(__x86_64__)
    if (lanes == 16) return run_16;
    if (lanes == 8) return run_8;
#endif
    return lanes == 4 ? run_4 : run_1;
}

/* State after the key's block, and of a whole 20 or 16 byte inner digest behind the outer one. */
static void after_key(uint32_t *state, const uint8_t *key, uint8_t pad, int kind) {
    uint8_t block[BLOCK];
    for (int i = 0; i < BLOCK; i++) block[i] = key[i] ^ pad;
    memcpy(state, START, sizeof START);
    one_block(state, block, kind);
}

static void finish_hmac(const uint32_t *outer, uint8_t *digest, int kind) {
    message inner = {digest, 4u * (unsigned)words_of(kind), digest};
    uint32_t state[WORDS_MAX];
    lane l;
    memcpy(state, outer, sizeof state);
    begin_message(&l, &inner, kind);
    one_block(state, l.at, kind);
    for (int w = 0; w < words_of(kind); w++) put_word(digest + 4 * w, state[w], kind);
}

static int longest_first(const void *a, const void *b) {
    uint64_t x = ((const message *)a)->bytes, y = ((const message *)b)->bytes;
    return (x < y) - (x > y);
}

/* Lanes that this processor has. */
EXPORT int hansa_lanes_width(void) { return lanes_here(); }

/* Write HMAC-MD5 (16 bytes) and HMAC-SHA1 (20 bytes) of each message, 36 bytes each, in order. Keys: 64
 * bytes, padded with zeros. `lanes`: 1, 4, 8 or 16, at most what the processor has; 0 takes that. Returns
 * 0, or 1 if there is no memory or no such number of lanes. */
EXPORT int hansa_lanes_hmacs(const uint8_t *const *data, const uint64_t *bytes, size_t count,
                             const uint8_t *md5_key, const uint8_t *sha1_key, int lanes,
                             uint8_t *out) {
    const uint8_t *keys[2] = {md5_key, sha1_key};
    int here = lanes_here();
    if (!lanes) lanes = here;
    if (lanes > here || (lanes != 1 && lanes != 4 && lanes != 8 && lanes != 16)) return 1;
    if (!count) return 0;
    message *messages = malloc(count * sizeof *messages);
    if (!messages) return 1;
    for (size_t i = 0; i < count; i++)
        messages[i] = (message){data[i], bytes[i], out + 36 * i};
    qsort(messages, count, sizeof *messages, longest_first);
    for (int kind = MD5; kind <= SHA1; kind++) {
        uint32_t inner[WORDS_MAX], outer[WORDS_MAX];
        after_key(inner, keys[kind], 0x36, kind);
        after_key(outer, keys[kind], 0x5c, kind);
        runner(lanes)(messages, count, inner, kind);
        for (size_t i = 0; i < count; i++) {
            finish_hmac(outer, messages[i].out, kind);
            messages[i].out += 16;
        }
    }
    free(messages);
    return 0;
}

#else /* the template: LANES, TARGET */

#define NAME(x) JOIN(x##_, LANES)
#define VECTOR NAME(vector)
#define INLINE static inline __attribute__((always_inline)) TARGET

#if LANES == 1
typedef uint32_t VECTOR;
#define GET(v, i) (v)
#define SET(v, i, x) ((v) = (x))
#else
typedef uint32_t VECTOR __attribute__((vector_size(4 * LANES)));
#define GET(v, i) ((v)[i])
#define SET(v, i, x) ((v)[i] = (x))
#endif

/* Load a block of each lane: words[i] holds the i-th word of all. */
INLINE void NAME(load)(VECTOR *words, const uint8_t *const *at) {
#if LANES == 1
    memcpy(words, at[0], BLOCK);
#else
    for (int part = 0; part < 16; part += LANES) {
        VECTOR rows[LANES], next[LANES];
        for (int i = 0; i < LANES; i++) memcpy(&rows[i], at[i] + 4 * part, sizeof(VECTOR));
        /* A transposition: interleaving the halves turns the bits of an element's place by one. */
        for (int turn = 1; turn < LANES; turn *= 2) {
            for (int i = 0; i < LANES / 2; i++) {
                VECTOR a = rows[i], b = rows[i + LANES / 2];
#if LANES == 4
                next[2 * i] = PICK(a, b, 0, 4, 1, 5);
                next[2 * i + 1] = PICK(a, b, 2, 6, 3, 7);
#elif LANES == 8
                next[2 * i] = PICK(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
                next[2 * i + 1] = PICK(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
                next[2 * i] = PICK(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                next[2 * i + 1] =
                    PICK(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#endif
            }
            memcpy(rows, next, sizeof rows);
        }
        memcpy(words + part, rows, sizeof rows);
    }
#endif
}

#define FF(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define FG(b, c, d) ((c) ^ ((d) & ((b) ^ (c))))
#define FH(b, c, d) ((b) ^ (c) ^ (d))
#define FI(b, c, d) ((c) ^ ((b) | ~(d)))
#define FM(b, c, d) (((b) & (c)) | ((d) & ((b) | (c))))

#define MD5_STEP(f, a, b, c, d, k, s, t)   \
    a += words[k] + (t##u) + f(b, c, d);   \
    a = ROTATE(a, s) + b;
#define MD5_FOUR(f, k0, k1, k2, k3, s0, s1, s2, s3, t0, t1, t2, t3) \
    MD5_STEP(f, a, b, c, d, k0, s0, t0)                             \
    MD5_STEP(f, d, a, b, c, k1, s1, t1)                             \
    MD5_STEP(f, c, d, a, b, k2, s2, t2)                             \
    MD5_STEP(f, b, c, d, a, k3, s3, t3)

INLINE void NAME(md5)(VECTOR *state, const VECTOR *words) {
    VECTOR a = state[0], b = state[1], c = state[2], d = state[3];
    MD5_FOUR(FF, 0, 1, 2, 3, 7, 12, 17, 22, 0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee)
    MD5_FOUR(FF, 4, 5, 6, 7, 7, 12, 17, 22, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501)
    MD5_FOUR(FF, 8, 9, 10, 11, 7, 12, 17, 22, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be)
    MD5_FOUR(FF, 12, 13, 14, 15, 7, 12, 17, 22, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821)
    MD5_FOUR(FG, 1, 6, 11, 0, 5, 9, 14, 20, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa)
    MD5_FOUR(FG, 5, 10, 15, 4, 5, 9, 14, 20, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8)
    MD5_FOUR(FG, 9, 14, 3, 8, 5, 9, 14, 20, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed)
    MD5_FOUR(FG, 13, 2, 7, 12, 5, 9, 14, 20, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a)
    MD5_FOUR(FH, 5, 8, 11, 14, 4, 11, 16, 23, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c)
    MD5_FOUR(FH, 1, 4, 7, 10, 4, 11, 16, 23, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70)
    MD5_FOUR(FH, 13, 0, 3, 6, 4, 11, 16, 23, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05)
    MD5_FOUR(FH, 9, 12, 15, 2, 4, 11, 16, 23, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665)
    MD5_FOUR(FI, 0, 7, 14, 5, 6, 10, 15, 21, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039)
    MD5_FOUR(FI, 12, 3, 10, 1, 6, 10, 15, 21, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1)
    MD5_FOUR(FI, 8, 15, 6, 13, 6, 10, 15, 21, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1)
    MD5_FOUR(FI, 4, 11, 2, 9, 6, 10, 15, 21, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391)
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

#define SHA1_NEXT(t)                                                                        \
    (words[(t) & 15] = ROTATE(words[((t) + 13) & 15] ^ words[((t) + 8) & 15] ^              \
                                  words[((t) + 2) & 15] ^ words[(t) & 15], 1))
#define SHA1_STEP(f, k, w, a, b, c, d, e)            \
    e += ROTATE(a, 5) + f(b, c, d) + (k##u) + (w);   \
    b = ROTATE(b, 30);
#define SHA1_FIVE(f, k, w, t)                    \
    SHA1_STEP(f, k, w((t)), a, b, c, d, e)       \
    SHA1_STEP(f, k, w((t) + 1), e, a, b, c, d)   \
    SHA1_STEP(f, k, w((t) + 2), d, e, a, b, c)   \
    SHA1_STEP(f, k, w((t) + 3), c, d, e, a, b)   \
    SHA1_STEP(f, k, w((t) + 4), b, c, d, e, a)
#define SHA1_TWENTY(f, k, t)                                                 \
    SHA1_FIVE(f, k, SHA1_NEXT, t) SHA1_FIVE(f, k, SHA1_NEXT, (t) + 5)        \
    SHA1_FIVE(f, k, SHA1_NEXT, (t) + 10) SHA1_FIVE(f, k, SHA1_NEXT, (t) + 15)
#define SHA1_FIRST(t) words[(t)]

INLINE void NAME(sha1)(VECTOR *state, VECTOR *words) {
    VECTOR a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++) words[i] = SWAP(words[i]);
    SHA1_FIVE(FF, 0x5a827999, SHA1_FIRST, 0)
    SHA1_FIVE(FF, 0x5a827999, SHA1_FIRST, 5)
    SHA1_FIVE(FF, 0x5a827999, SHA1_FIRST, 10)
    SHA1_STEP(FF, 0x5a827999, words[15], a, b, c, d, e)
    SHA1_STEP(FF, 0x5a827999, SHA1_NEXT(16), e, a, b, c, d)
    SHA1_STEP(FF, 0x5a827999, SHA1_NEXT(17), d, e, a, b, c)
    SHA1_STEP(FF, 0x5a827999, SHA1_NEXT(18), c, d, e, a, b)
    SHA1_STEP(FF, 0x5a827999, SHA1_NEXT(19), b, c, d, e, a)
    SHA1_TWENTY(FH, 0x6ed9eba1, 20)
    SHA1_TWENTY(FM, 0x8f1bbcdc, 40)
    SHA1_TWENTY(FH, 0xca62c1d6, 60)
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

INLINE void NAME(blocks)(VECTOR *state, lane *lanes, uint64_t count, int kind) {
    const uint8_t *at[LANES];
    for (int i = 0; i < LANES; i++) at[i] = lanes[i].at;
    while (count--) {
        VECTOR words[16];
        NAME(load)(words, at);
        if (kind == MD5)
            NAME(md5)(state, words);
        else
            NAME(sha1)(state, words);
        for (int i = 0; i < LANES; i++) at[i] += lanes[i].step;
    }
    for (int i = 0; i < LANES; i++) lanes[i].at = at[i];
}

#if LANES == 1
static void one_block(uint32_t *state, const uint8_t *block, int kind) {
    uint32_t words[16];
    load_1(words, &block);
    if (kind == MD5)
        md5_1(state, words);
    else
        sha1_1(state, words);
}
#endif

/* Hash all messages from one starting state to their `out`. */
static TARGET void NAME(run)(const message *messages, size_t count, const uint32_t *start,
                             int kind) {
    lane lanes[LANES];
    VECTOR state[WORDS_MAX];
    size_t taken = 0;
    int busy = 0;
    for (int i = 0; i < LANES; i++) {
        for (int w = 0; w < WORDS_MAX; w++) SET(state[w], i, start[w]);
        rest_lane(&lanes[i]);
        if (taken < count) begin_message(&lanes[i], &messages[taken++], kind), busy++;
    }
    while (busy) {
        uint64_t least = UINT64_MAX;
        for (int i = 0; i < LANES; i++)
            if (lanes[i].source && lanes[i].left < least) least = lanes[i].left;
        NAME(blocks)(state, lanes, least, kind);
        for (int i = 0; i < LANES; i++) {
            lane *l = &lanes[i];
            if (!l->source || (l->left -= least)) continue;
            if (!l->in_tail) {
                begin_tail(l, kind);
                continue;
            }
            for (int w = 0; w < words_of(kind); w++) {
                put_word(l->source->out + 4 * w, GET(state[w], i), kind);
                SET(state[w], i, start[w]);
            }
            if (kind == MD5) SET(state[4], i, start[4]);
            if (taken < count) {
                begin_message(l, &messages[taken++], kind);
            } else {
                rest_lane(l), busy--;
            }
        }
    }
}

#undef NAME
#undef VECTOR
#undef INLINE
#undef GET
#undef SET
#undef LANES
#undef TARGET

#endif
