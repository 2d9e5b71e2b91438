/* A 3 x 3 convolution with bias and ReLU, and a 2 x 2 maximum, for WebAssembly with SIMD.

Winograd's short convolution F(4x4, 3x3) (Lavin and Gray 2016, "Fast algorithms for convolutional neural
networks", section 4.1): a tile of 6 x 6 inputs gives 4 x 4 outputs with 36 products instead of 144. Each of
the 36 is a matrix product over the channels. Arrays are float32 with the channels last, as in Keras.

TensorFlow.js and ONNX Runtime Web were tried first: two and fourteen megabytes, and three to four times the
processor's time for VGG-16, whose kernels are all 3 x 3.

Several threads may call with the same memory: each works on its share, and waits for the others where it
needs what they made. tools/explorer_engine.py builds engine.wasm and engine_threads.wasm from this file. */

#include <wasm_simd128.h>

typedef v128_t V;
#define ADD wasm_f32x4_add
#define SUB wasm_f32x4_sub
#define MUL(a, x) wasm_f32x4_mul(wasm_f32x4_splat(a), x)
#define LOAD(p) wasm_v128_load(p)
#define STORE(p, x) wasm_v128_store(p, x)

enum { TILE = 4, PATCH = 6, FREQUENCIES = 36, OUTPUTS = 16, STRIP_BYTES = 2 << 20 };

#ifdef THREADS
static int arrived, generation;

/* Wait until all `threads` have come here. */
static void meet(int threads) {
    if (threads < 2) return;
    int now = __atomic_load_n(&generation, __ATOMIC_SEQ_CST);
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == threads) {
        arrived = 0;
        __atomic_add_fetch(&generation, 1, __ATOMIC_SEQ_CST);
        __builtin_wasm_memory_atomic_notify(&generation, threads);
    } else {
        while (__atomic_load_n(&generation, __ATOMIC_SEQ_CST) == now)
            __builtin_wasm_memory_atomic_wait32(&generation, now, -1);
    }
}
#else
static void meet(int threads) { (void)threads; }
#endif

/* Floats from one of the 36 matrices to the next: not a power of two, which would crowd a cache's same places. */
static int apart(int floats) { return floats + 48; }

/* G g, for three values of a kernel. */
static void kernel_side(const V g[3], V out[6]) {
    V even = ADD(g[0], g[2]), quarter = ADD(MUL(1.f / 24, g[0]), MUL(1.f / 6, g[2]));
    V half = MUL(1.f / 12, g[1]);
    out[0] = MUL(.25f, g[0]);
    out[1] = MUL(-1.f / 6, ADD(even, g[1]));
    out[2] = MUL(-1.f / 6, SUB(even, g[1]));
    out[3] = ADD(quarter, half);
    out[4] = SUB(quarter, half);
    out[5] = g[2];
}

/* B^T d, for six values of the input. */
static void input_side(const V d[6], V out[6]) {
    V a = SUB(d[4], MUL(4, d[2])), b = SUB(d[3], MUL(4, d[1]));
    V c = SUB(d[4], d[2]), e = MUL(2, SUB(d[3], d[1]));
    out[0] = ADD(MUL(4, SUB(d[0], d[2])), SUB(d[4], d[2]));
    out[1] = ADD(a, b);
    out[2] = SUB(a, b);
    out[3] = ADD(c, e);
    out[4] = SUB(c, e);
    out[5] = ADD(MUL(4, SUB(d[1], d[3])), SUB(d[5], d[3]));
}

/* A^T m, for six products. */
static void output_side(const V m[6], V out[4]) {
    V a = ADD(m[1], m[2]), b = SUB(m[1], m[2]), c = ADD(m[3], m[4]), e = SUB(m[3], m[4]);
    out[0] = ADD(ADD(m[0], a), c);
    out[1] = ADD(b, MUL(2, e));
    out[2] = ADD(a, MUL(4, c));
    out[3] = ADD(ADD(b, MUL(8, e)), m[5]);
}

/* Kernels (3, 3, C, K) to 36 matrices (C, 16), for the 16 outputs from `first` on. */
static void transform_kernels(const float *kernel, float *u, int c, int k, int first) {
    for (int i = 0; i < c; i++)
        for (int o = 0; o < OUTPUTS; o += 4) {
            V half[3][6], full[6], column[3];
            for (int x = 0; x < 3; x++) {
                for (int y = 0; y < 3; y++) column[y] = LOAD(kernel + ((y * 3 + x) * c + i) * k + first + o);
                kernel_side(column, half[x]);
            }
            float *to = u + i * OUTPUTS + o;
            for (int y = 0; y < PATCH; y++) {
                for (int x = 0; x < 3; x++) column[x] = half[x][y];
                kernel_side(column, full);
                for (int x = 0; x < PATCH; x++) STORE(to + (y * PATCH + x) * apart(c * OUTPUTS), full[x]);
            }
        }
}

/* The patches of `count` tiles, transformed: 36 matrices (padded, C). Beyond the picture lie zeros. */
static void transform_tiles(const float *in, float *v, int h, int w, int c, int tile, int count, int padded) {
    int across = (w + TILE - 1) / TILE;
    for (int t = 0; t < count; t++) {
        int top = (tile + t) / across * TILE - 1, left = (tile + t) % across * TILE - 1;
        for (int i = 0; i < c; i += 4) {
            V half[6][6], full[6], column[6];
            for (int x = 0; x < PATCH; x++) {
                for (int y = 0; y < PATCH; y++) {
                    int row = top + y, col = left + x;
                    int inside = row >= 0 && row < h && col >= 0 && col < w;
                    column[y] = inside ? LOAD(in + (row * w + col) * c + i) : wasm_f32x4_splat(0);
                }
                input_side(column, half[x]);
            }
            float *to = v + t * c + i;
            for (int y = 0; y < PATCH; y++) {
                for (int x = 0; x < PATCH; x++) column[x] = half[x][y];
                input_side(column, full);
                for (int x = 0; x < PATCH; x++) STORE(to + (y * PATCH + x) * apart(padded * c), full[x]);
            }
        }
    }
}

/* One of the 36 products, (tiles, C) times (C, 16): four tiles and eight outputs at a time. */
static void multiply(const float *v, const float *u, float *m, int tiles, int c) {
    for (int o = 0; o < OUTPUTS; o += 8)
        for (int t = 0; t < tiles; t += 4) {
            const float *a = v + t * c, *b = u + o;
            V s[8];
            for (int j = 0; j < 8; j++) s[j] = wasm_f32x4_splat(0);
            for (int i = 0; i < c; i++, a++, b += OUTPUTS) {
                V left = LOAD(b), right = LOAD(b + 4);
                for (int j = 0; j < 4; j++) {
                    V value = wasm_v128_load32_splat(a + j * c);
                    s[2 * j] = ADD(s[2 * j], wasm_f32x4_mul(value, left));
                    s[2 * j + 1] = ADD(s[2 * j + 1], wasm_f32x4_mul(value, right));
                }
            }
            for (int j = 0; j < 8; j++) STORE(m + (t + j / 2) * OUTPUTS + o + j % 2 * 4, s[j]);
        }
}

/* The products of `count` tiles back to pixels, plus bias, cut at zero. */
static void finish_tiles(const float *m, const float *bias, float *out, int h, int w, int k, int tile, int count,
                         int padded) {
    int across = (w + TILE - 1) / TILE, step = apart(padded * OUTPUTS);
    V zero = wasm_f32x4_splat(0);
    for (int t = 0; t < count; t++) {
        int top = (tile + t) / across * TILE, left = (tile + t) % across * TILE;
        for (int o = 0; o < OUTPUTS; o += 4) {
            V half[6][4], full[4], column[6], add = LOAD(bias + o);
            for (int x = 0; x < PATCH; x++) {
                for (int y = 0; y < PATCH; y++) column[y] = LOAD(m + (y * PATCH + x) * step + t * OUTPUTS + o);
                output_side(column, half[x]);
            }
            for (int y = 0; y < TILE && top + y < h; y++) {
                for (int x = 0; x < PATCH; x++) column[x] = half[x][y];
                output_side(column, full);
                for (int x = 0; x < TILE && left + x < w; x++)
                    STORE(out + ((top + y) * w + left + x) * k + o, wasm_f32x4_pmax(zero, ADD(full[x], add)));
            }
        }
    }
}

/* Tiles that are worked on at once: their patches stay in a processor's cache. */
static int strip(int c) {
    int tiles = STRIP_BYTES / (FREQUENCIES * 4 * c) / 4 * 4;
    return tiles < 64 ? 64 : tiles > 256 ? 256 : tiles;
}

/* Floats of scratch memory that each thread needs for `convolve`; the more, the larger c. */
int scratch(int c) {
    return FREQUENCIES * (apart(strip(c) * c) + apart(c * OUTPUTS) + apart(strip(c) * OUTPUTS));
}

/* out (h, w, K) = relu(in (h, w, C) * kernel (3, 3, C, K) + bias (K)); C divisible by 4, K by 16.
   Thread `me` of `threads` computes its share of the outputs, in scratch memory of its own. */
void convolve(const float *in, const float *kernel, const float *bias, float *out, float *work, int h, int w, int c,
              int k, int me, int threads) {
    int tiles = ((h + TILE - 1) / TILE) * ((w + TILE - 1) / TILE), most = strip(c), blocks = k / OUTPUTS;
    float *v = work, *u = v + FREQUENCIES * apart(most * c), *m = u + FREQUENCIES * apart(c * OUTPUTS);
    for (int tile = 0; tile < tiles; tile += most) {
        int count = tiles - tile < most ? tiles - tile : most, padded = (count + 3) / 4 * 4;
        transform_tiles(in, v, h, w, c, tile, count, padded);
        for (int block = blocks * me / threads; block < blocks * (me + 1) / threads; block++) {
            int o = block * OUTPUTS;
            transform_kernels(kernel, u, c, k, o);
            for (int f = 0; f < FREQUENCIES; f++)
                multiply(v + f * apart(padded * c), u + f * apart(c * OUTPUTS), m + f * apart(padded * OUTPUTS),
                         padded, c);
            finish_tiles(m, bias + o, out + o, h, w, k, tile, count, padded);
        }
    }
    meet(threads);
}

/* out (h / 2, w / 2, C): the largest of each 2 x 2 values of in (h, w, C); odd edges are left out. */
void pool(const float *in, float *out, int h, int w, int c) {
    for (int y = 0; y < h / 2; y++)
        for (int x = 0; x < w / 2; x++)
            for (int i = 0; i < c; i += 4) {
                const float *p = in + (2 * y * w + 2 * x) * c + i;
                V above = wasm_f32x4_pmax(LOAD(p), LOAD(p + c));
                V below = wasm_f32x4_pmax(LOAD(p + w * c), LOAD(p + (w + 1) * c));
                STORE(out + (y * (w / 2) + x) * c + i, wasm_f32x4_pmax(above, below));
            }
}

/* out (n, K) = in (n, C) * weights (C, K) + bias (K), cut at `least`. Up to three rows behind the last are read,
   and not used; `work` has the size of `scratch`. */
void dense(const float *in, const float *weights, const float *bias, float *out, float *work, int n, int c, int k,
           float least) {
    float *u = work, *m = work + c * OUTPUTS;
    for (int first = 0; first < k; first += OUTPUTS) {
        int wide = k - first < OUTPUTS ? k - first : OUTPUTS;
        for (int i = 0; i < c; i++)
            for (int o = 0; o < OUTPUTS; o++) u[i * OUTPUTS + o] = o < wide ? weights[i * k + first + o] : 0;
        for (int t = 0; t < n; t += 4) {
            multiply(in + t * c, u, m, 4, c);
            for (int j = 0; j < 4 && t + j < n; j++)
                for (int o = 0; o < wide; o++) {
                    float sum = m[j * OUTPUTS + o] + bias[first + o];
                    out[(t + j) * k + first + o] = sum > least ? sum : least;
                }
        }
    }
}

/* out (h, w, rows * columns * C): at each place of in (h, w, C) what a kernel of that many rows and columns, `step`
   places from one to the next, is multiplied with there; beyond the maps lie zeros. */
void patches(const float *in, float *out, int h, int w, int c, int rows, int columns, int step) {
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int i = 0; i < rows * columns; i++) {
                int row = y + (i / columns - rows / 2) * step, col = x + (i % columns - columns / 2) * step;
                int inside = row >= 0 && row < h && col >= 0 && col < w;
                for (int k = 0; k < c; k++) *out++ = inside ? in[(row * w + col) * c + k] : 0;
            }
}

/* The values of n float16 numbers, n divisible by 4, none of them infinite. They may lie in the upper half of `out`:
   nothing is written before it was read. */
void halves(const unsigned short *in, float *out, int n) {
    V magnitude = wasm_i32x4_splat(0x7fff), scale = wasm_f32x4_splat(0x1p112f); /* 127 - 15 in the exponent */
    for (int i = 0; i < n; i += 4) {
        V bits = wasm_u32x4_load16x4(in + i);
        V sign = wasm_i32x4_shl(wasm_v128_andnot(bits, magnitude), 16);
        V value = wasm_f32x4_mul(wasm_i32x4_shl(wasm_v128_and(bits, magnitude), 13), scale);
        STORE(out + i, wasm_v128_or(sign, value));
    }
}
