// Speed of the kernels: products per second of linear layers and attention over shapes, tokens and threads, and how near
// a one-token product that streams its weights from memory comes to the machine's read bandwidth.
//
// clang -O2 -ISources/CKernels/include scripts/kernel-bench.c $(find Sources/CKernels -name '*.c') -lm -lpthread -o kernel-bench
// kernel-bench [SET] [GROUP] [QUICK]      SET: a name or "all" (default); GROUP: 128; QUICK: 1 for fewer shapes
//
// Products are the best of several runs: on a shared machine the others only take away.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "ckernels.h"

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void *memory(size_t bytes) {
    size_t size = (bytes + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1);
    void *p = aligned_alloc(2 << 20, size ? size : 2 << 20);
    madvise(p, size, MADV_HUGEPAGE);
    memset(p, 1, size);
    return p;
}

// --- Threads: `body(context, part, parts)` on each, timed from a common start -------------------------------------------
typedef struct {
    void (*body)(void *, int, int);
    void *context;
    int part, parts;
    pthread_barrier_t *barrier;
} job;

static void *run_job(void *argument) {
    job *j = argument;
    pthread_barrier_wait(j->barrier);
    j->body(j->context, j->part, j->parts);
    pthread_barrier_wait(j->barrier);
    return NULL;
}

static double timed(void (*body)(void *, int, int), void *context, int parts) {
    pthread_t threads[64];
    job jobs[64];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)parts);
    for (int i = 0; i < parts; i++) jobs[i] = (job){body, context, i, parts, &barrier};
    for (int i = 1; i < parts; i++) pthread_create(&threads[i], NULL, run_job, &jobs[i]);
    pthread_barrier_wait(&barrier);
    double start = seconds();
    body(context, 0, parts);
    pthread_barrier_wait(&barrier);
    double spent = seconds() - start;
    for (int i = 1; i < parts; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    return spent;
}

static double best(void (*body)(void *, int, int), void *context, int parts, int runs) {
    double least = 1e30;
    for (int i = 0; i < runs; i++) {
        double spent = timed(body, context, parts);
        if (spent < least) least = spent;
    }
    return least;
}

// --- Memory ------------------------------------------------------------------------------------------------------------
typedef struct {
    const uint64_t *words;
    size_t count;
    uint64_t sink;
} reading;

static void read_all(void *context, int part, int parts) {
    reading *r = context;
    size_t each = r->count / (size_t)parts;
    typedef uint64_t vector __attribute__((vector_size(32)));
    const vector *from = (const vector *)(r->words + each * (size_t)part);
    vector a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + 4 <= each / 4; i += 4) {
        __builtin_prefetch((const char *)(from + i) + 2048);
        __builtin_prefetch((const char *)(from + i) + 2112);
        a += from[i], b += from[i + 1], c += from[i + 2], d += from[i + 3];
    }
    a += b + c + d;
    __atomic_fetch_add(&r->sink, a[0] + a[1] + a[2] + a[3], __ATOMIC_RELAXED);
}

// --- Products -----------------------------------------------------------------------------------------------------------
typedef struct {
    const qk_kernels *k;
    qk_weights w[64];
    int copies, repeats;
    qk_activations x;
    float *out;
} product;

static product make_product(const qk_kernels *k, int bits, int rows, int cols, int group, int tokens, int copies) {
    product p = {.k = k, .copies = copies, .repeats = 1};
    int groups = (cols + group - 1) / group, block = k->row_block, blocks = (rows + block - 1) / block;
    size_t size = k->weights_size(bits, rows, groups, group);
    for (int c = 0; c < copies; c++) {
        p.w[c] = (qk_weights){.bits = bits, .rows = rows, .cols = cols, .group = group, .groups = groups,
                              .row_block = block, .row_blocks = blocks, .quants = memory(size),
                              .bfloat_scales = memory(sizeof(uint16_t) * (size_t)blocks * (size_t)groups * (size_t)block)};
    }
    p.x = (qk_activations){.tokens = tokens, .cols = cols, .group = group, .groups = groups,
                           .quants = memory((size_t)tokens * (size_t)groups * (size_t)group),
                           .scales = memory(sizeof(float) * (size_t)tokens * (size_t)groups),
                           .sums = memory(sizeof(int32_t) * (size_t)tokens * (size_t)groups)};
    p.out = memory(sizeof(float) * (size_t)tokens * (size_t)rows);
    return p;
}

static void free_product(product *p) {
    for (int c = 0; c < p->copies; c++) free(p->w[c].quants), free(p->w[c].bfloat_scales);
    free(p->x.quants), free(p->x.scales), free(p->x.sums), free(p->out);
}

static void multiply(void *context, int part, int parts) {
    product *p = context;
    int blocks = p->w[0].row_blocks;
    for (int i = 0; i < p->repeats; i++) {
        for (int c = 0; c < p->copies; c++) {
            p->k->linear(&p->w[c], &p->x, p->out, p->w[c].rows, blocks * part / parts, blocks * (part + 1) / parts);
        }
    }
}

static void products(const qk_kernels *k, int group, int quick) {
    static const int shapes[][2] = {{576, 576}, {1536, 576}, {1536, 1536}, {8960, 1536}, {1536, 8960}, {4096, 4096}};
    static const int tokens[] = {1, 4, 16, 128, 512};
    for (int bits = 8; bits >= 4; bits -= 4) {
        printf("\n%s int%d group %d, GMAC/s\n%-12s", k->name, bits, group, "rows x cols");
        for (int threads = 1; threads <= 2; threads++) {
            for (int t = 0; t < 5; t++) printf("  %dth T=%-4d", threads, tokens[t]);
        }
        printf("\n");
        for (int s = quick ? 2 : 0; s < (quick ? 4 : 6); s++) {
            printf("%5dx%-6d", shapes[s][0], shapes[s][1]);
            for (int threads = 1; threads <= 2; threads++) {
                for (int t = 0; t < 5; t++) {
                    product p = make_product(k, bits, shapes[s][0], shapes[s][1], group, tokens[t], 1);
                    double macs = (double)shapes[s][0] * shapes[s][1] * tokens[t];
                    double once = best(multiply, &p, threads, 2);
                    p.repeats = once > 0.02 ? 1 : (int)(0.02 / once) + 1;
                    printf("  %10.1f", macs * p.repeats / best(multiply, &p, threads, 7) * 1e-9);
                    fflush(stdout);
                    free_product(&p);
                }
            }
            printf("\n");
        }
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/// Products of one token and plain reads take turns, so that the ratio of a pair means something on a machine whose
/// bandwidth comes and goes with its neighbours.
static void streaming(const qk_kernels *k, int group, reading *r) {
    enum { ROWS = 8960, COLS = 1536, COPIES = 24, PAIRS = 25 };
    for (int bits = 8; bits >= 4; bits -= 4) {
        product p = make_product(k, bits, ROWS, COLS, group, 1, COPIES);
        double bytes = (double)ROWS * COLS * COPIES * (bits / 8.0 + 4.0 / group);
        for (int threads = 1; threads <= 2; threads++) {
            double speed[PAIRS], ratio[PAIRS];
            for (int i = 0; i < PAIRS; i++) {
                double bandwidth = (double)(r->count * 8) / timed(read_all, r, threads);
                speed[i] = bytes / timed(multiply, &p, threads);
                ratio[i] = speed[i] / bandwidth;
            }
            qsort(speed, PAIRS, sizeof(double), ascending);
            qsort(ratio, PAIRS, sizeof(double), ascending);
            printf("%s int%d one token, %d thread(s), %.0f MB of weights: %.1f GB/s (best %.1f), %.0f %% of reading "
                   "(quartiles %.0f, %.0f)\n",
                   k->name, bits, threads, bytes * 1e-6, speed[PAIRS / 2] * 1e-9, speed[PAIRS - 1] * 1e-9,
                   100 * ratio[PAIRS / 2], 100 * ratio[PAIRS / 4], 100 * ratio[PAIRS * 3 / 4]);
        }
        free_product(&p);
    }
}

// --- Attention ---------------------------------------------------------------------------------------------------------
typedef struct {
    const qk_kernels *k;
    qk_attention a;
    float *scratch[2];
    int repeats;
} attending;

/// Blocks of 16 tokens of a KV head, as the runtime divides them.
static void attend(void *context, int part, int parts) {
    attending *t = context;
    int blocks = (t->a.tokens + 15) / 16;
    for (int i = 0; i < t->repeats; i++) {
        for (int task = part; task < blocks * t->a.kv_heads; task += parts) {
            int begin = task / t->a.kv_heads * 16, end = begin + 16 < t->a.tokens ? begin + 16 : t->a.tokens;
            int head = task % t->a.kv_heads;
            t->k->attend(&t->a, t->scratch[part], begin, end, head, head + 1);
        }
    }
}

static void attention(const qk_kernels *k) {
    static const struct {
        int tokens, first, heads, kv_heads, head_dim;
    } shapes[] = {{512, 0, 9, 3, 64}, {512, 3584, 9, 3, 64}, {1, 600, 9, 3, 64}, {512, 0, 12, 2, 128}, {1, 600, 12, 2, 128}};
    printf("\n%s attention, GMAC/s of scores and values, causal\n", k->name);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int tokens = shapes[s].tokens, first = shapes[s].first, kv_heads = shapes[s].kv_heads, dim = shapes[s].head_dim;
        int width = shapes[s].heads * dim, pages = (first + tokens + QK_PAGE - 1) / QK_PAGE;
        for (int type = QK_CACHE_F32; type <= QK_CACHE_F16; type++) {
            size_t page_bytes = (size_t)kv_heads * (size_t)dim * QK_PAGE * (type == QK_CACHE_F16 ? 2 : 4);
            char *cache = memory(page_bytes * (size_t)pages * 2);
            const void **list = malloc(sizeof *list * (size_t)pages * 2);
            for (int i = 0; i < pages * 2; i++) list[i] = cache + page_bytes * (size_t)i;
            float *q = memory(sizeof(float) * (size_t)(tokens * width)), *out = memory(sizeof(float) * (size_t)(tokens * width));
            size_t scratch = sizeof(float) * k->attention_scratch(first + tokens, shapes[s].heads, kv_heads, dim);
            attending t = {.k = k, .repeats = 1, .scratch = {memory(scratch), memory(scratch)},
                           .a = {.tokens = tokens, .first_position = first, .heads = shapes[s].heads,
                                 .kv_heads = kv_heads, .head_dim = dim, .scale = 0.1f, .type = (qk_cache_type)type,
                                 .q = q, .q_stride = width, .key_pages = list, .value_pages = list + pages,
                                 .out = out, .out_stride = width}};
            double macs = 2.0 * width * ((double)tokens * first + (double)tokens * (tokens + 1) / 2);
            printf("%4d tokens from %4d, heads %2d/%d of %3d, f%d", tokens, first, shapes[s].heads, kv_heads, dim,
                   type == QK_CACHE_F16 ? 16 : 32);
            for (int threads = 1; threads <= 2; threads++) {
                t.repeats = 1;
                double once = best(attend, &t, threads, 2);
                t.repeats = once > 0.02 ? 1 : (int)(0.02 / once) + 1;
                printf("  %dth %6.1f", threads, macs * t.repeats / best(attend, &t, threads, 7) * 1e-9);
            }
            printf("\n");
            free(t.scratch[0]), free(t.scratch[1]), free(cache), free(list), free(q), free(out);
        }
    }
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "all";
    int group = argc > 2 ? atoi(argv[2]) : 128, quick = argc > 3 && atoi(argv[3]);
    reading r = {.count = (320u << 20) / 8};
    r.words = memory(r.count * 8);
    for (int threads = 1; threads <= 2; threads++) {
        double bandwidth = (double)(r.count * 8) / best(read_all, &r, threads, 12) * 1e-9;
        printf("read bandwidth, %d thread(s): %.1f GB/s\n", threads, bandwidth);
    }
    const qk_set *sets;
    size_t count = qk_sets(&sets);
    for (size_t i = 0; i < count; i++) {
        const char *set = sets[i].kernels->name;
        if (strcmp(name, "all") == 0 ? strcmp(set, "generic") == 0 : strcmp(name, set) != 0) continue;
        if (!sets[i].supported) {
            printf("%s: not supported by this machine\n", set);
            continue;
        }
        streaming(sets[i].kernels, group, &r);
        products(sets[i].kernels, group, quick);
        attention(sets[i].kernels);
    }
    return 0;
}
