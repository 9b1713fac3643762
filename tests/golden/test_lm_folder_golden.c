/*
 * test_lm_folder_golden.c - folders of Transformers and adapters of PEFT (tests/reference/lm_folders.py): every
 * parameter is what the original libraries hold, also after a save and after merging an adapter.
 */
#include <math.h>
#include <stdio.h>
#include "base/file.h"
#include "lm/lora.h"
#include "support/check.h"
#include "support/temp_dir.h"

#define GOLDEN REIN_SOURCE_DIR "/tests/golden/lm_folders"

static json_t *expected;

static int read_expected(void **state) {
    return temp_dir_make(state) == 0 && reini_json_read(GOLDEN "/expected.json", &expected) == REIN_OK ? 0
                                                                                                       : -1;
}

static int forget_expected(void **state) {
    json_decref(expected);
    return temp_dir_remove(state);
}

/* parameter p in floats, whatever the weights are held in */
static float *values(const reini_lm_weights *w, int p) {
    rein_param_info info = rein_layout_at(w->layout, p);
    float *out = calloc((size_t)info.count, sizeof *out);
    if (w->store)
        memcpy(out, (const float *)rein_store_view(w->store) + info.offset, (size_t)info.count * sizeof *out);
    else if (w->vector_offset[p] >= 0)
        memcpy(out, w->vectors + w->vector_offset[p], (size_t)info.count * sizeof *out);
    else
        reini_widen(NULL, out, w->narrow + info.offset, info.count);
    return out;
}

static void close_to(const char *name, const char *fact, double got, double want, double error) {
    if (!(fabs(got - want) <= error))
        fail_msg("%s: %s is %.9g, expected %.9g (error allowed: %g)", name, fact, got, want, error);
}

/* error: of each number, relative to its size */
static void check_parameter(const reini_lm_weights *w, int p, const json_t *facts, double error) {
    rein_param_info info = rein_layout_at(w->layout, p);
    const json_t *shape = json_object_get(facts, "shape");
    assert_int_equal(json_array_size(shape), info.ndim);
    for (int i = 0; i < info.ndim; i++)
        assert_int_equal(json_integer_value(json_array_get(shape, (size_t)i)), info.dims[i]);
    float *x = values(w, p);
    double sum = 0, by_place = 0, room = 1e-12, room_by_place = 1e-9;
    for (int64_t i = 0; i < info.count; i++) {
        double weight = (double)(i % 1009 + 1);
        sum += x[i];
        by_place += weight * x[i];
        room += error * fabs((double)x[i]);
        room_by_place += weight * error * fabs((double)x[i]);
    }
    close_to(info.name, "the sum", sum, json_number_value(json_object_get(facts, "sum")), room);
    close_to(info.name, "the sum by place", by_place, json_number_value(json_object_get(facts, "by_place")),
             room_by_place);
    close_to(info.name, "the last number", (double)x[info.count - 1],
             json_number_value(json_object_get(facts, "last")),
             error * fabs((double)x[info.count - 1]) + 1e-12);
    free(x);
}

static void check_all(const reini_lm_weights *w, const char *name, double error) {
    json_t *parameters = json_object_get(expected, name), *facts;
    const char *parameter;
    assert_true(json_is_object(parameters));
    assert_int_equal(json_object_size(parameters), rein_layout_count(w->layout));
    json_object_foreach(parameters, parameter, facts) {
        int p = rein_layout_find(w->layout, parameter);
        if (p < 0)
            fail_msg("%s: no parameter %s", name, parameter);
        check_parameter(w, p, facts, error);
    }
}

static const char *in_golden(const char *name) {
    static char path[2][1024];
    static int next;
    char *out = path[next++ & 1];
    snprintf(out, sizeof path[0], GOLDEN "/%s", name);
    return out;
}

static const struct {
    const char *name;
    bool bf16; /* numbers that are exact in bf16 */

} folders[] = {{"gpt2", false},  {"gpt2_hub", false}, {"llama", true},    {"llama_old", false},
               {"qwen2", false}, {"qwen3", true},     {"qwen2_rm", false}};
enum { FOLDERS = sizeof folders / sizeof *folders };

static void loads_in_float(void **state) {
    (void)state;
    for (int i = 0; i < FOLDERS; i++) {
        reini_lm_weights *w;
        assert_ok(reini_lm_weights_load(in_golden(folders[i].name), REIN_F32, i % 2 == 0, -1, &w, NULL));
        check_all(w, folders[i].name, 0);
        reini_lm_weights_free(w);
    }
}

static void loads_in_bf16(void **state) {
    (void)state;
    for (int i = 0; i < FOLDERS; i++)
        for (int frozen = 0; frozen < 2; frozen++) {
            reini_lm_weights *w;
            assert_ok(reini_lm_weights_load(in_golden(folders[i].name), REIN_BF16, frozen, -1, &w, NULL));
            assert_true(frozen ? w->store == NULL : w->vectors == NULL);
            check_all(w, folders[i].name, frozen && !folders[i].bf16 ? 1.0 / 256 : 0);
            reini_lm_weights_free(w);
        }
}

static bool equal_values(const reini_lm_weights *a, const reini_lm_weights *b) {
    bool equal = rein_layout_count(a->layout) == rein_layout_count(b->layout);
    for (int p = 0; equal && p < rein_layout_count(a->layout); p++) {
        float *x = values(a, p), *y = values(b, p);
        equal = memcmp(x, y, (size_t)rein_layout_at(a->layout, p).count * sizeof *x) == 0;
        free(x);
        free(y);
    }
    return equal;
}

/* config.json keeps every number of the shape */
static void assert_same_shape(const reini_lm_shape *a, const reini_lm_shape *b) {
    reini_lm_shape x = *a, y = *b;
    if (x.labels > 0)
        x.pad = y.pad;
    assert_memory_equal(&x, &y, sizeof x);
}

static void round_trip(const char *name, rein_dtype products, bool frozen, rein_dtype dtype, int64_t shard) {
    reini_lm_weights *w, *again;
    temp_remove(temp_path("saved"));
    assert_ok(reini_lm_weights_load(in_golden(name), products, frozen, -1, &w, NULL));
    assert_ok(reini_lm_weights_save(w, temp_path("saved"), dtype, shard, in_golden(name)));
    assert_int_equal(reini_file_exists(temp_path("saved/model.safetensors.index.json")), shard > 0);
    assert_int_equal(reini_file_exists(temp_path("saved/model.safetensors")), shard == 0);
    assert_ok(reini_lm_weights_load(temp_path("saved"), products, frozen, -1, &again, NULL));
    assert_same_shape(&w->shape, &again->shape);
    assert_true(equal_values(w, again));
    reini_lm_weights_free(w);
    reini_lm_weights_free(again);
}

static void saves_and_loads_again(void **state) {
    (void)state;
    for (int i = 0; i < FOLDERS; i++)
        for (int64_t shard = 0; shard <= 4000; shard += 4000) {
            round_trip(folders[i].name, REIN_F32, true, REIN_F32, shard);
            round_trip(folders[i].name, REIN_BF16, false, REIN_F32, shard);
            round_trip(folders[i].name, REIN_BF16, true, REIN_F32, shard);
        }
    /* what is held in bf16 loses nothing in a bf16 file, norms of these two included */
    round_trip("llama", REIN_BF16, true, REIN_BF16, 0);
    round_trip("qwen3", REIN_F32, true, REIN_BF16, 4000);
}

/* ---- adapters ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *base;
} adapters[] = {{"lora_llama", "llama"},
                {"lora_llama_layer", "llama"},
                {"lora_gpt2", "gpt2"},
                {"lora_qwen2_rm", "qwen2_rm"}};
enum { ADAPTERS = sizeof adapters / sizeof *adapters };

static void check_merged(const char *folder, const char *base, const char *name) {
    reini_lm_weights *w;
    reini_lora *lora;
    assert_ok(reini_lm_weights_load(in_golden(base), REIN_F32, false, -1, &w, NULL));
    assert_ok(reini_lora_load(w, folder, &lora));
    assert_ok(reini_lora_merge(lora, w));
    check_all(w, name, 1e-6);
    reini_lora_free(lora);
    reini_lm_weights_free(w);
}

static void adapters_merge_as_in_peft(void **state) {
    (void)state;
    for (int i = 0; i < ADAPTERS; i++)
        check_merged(in_golden(adapters[i].name), adapters[i].base, adapters[i].name);
}

static void adapters_survive_a_save(void **state) {
    (void)state;
    for (int i = 0; i < ADAPTERS; i++) {
        reini_lm_weights *w;
        reini_lora *lora;
        assert_ok(reini_lm_weights_load(in_golden(adapters[i].base), REIN_BF16, true, -1, &w, NULL));
        assert_ok(reini_lora_load(w, in_golden(adapters[i].name), &lora));
        assert_ok(reini_lora_save(lora, w, adapters[i].base, temp_path(adapters[i].name)));
        reini_lora_free(lora);
        reini_lm_weights_free(w);
        if (strcmp(adapters[i].base, "qwen2_rm") != 0) /* its score head went through bf16 */
            check_merged(temp_path(adapters[i].name), adapters[i].base, adapters[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_in_float),          cmocka_unit_test(loads_in_bf16),
        cmocka_unit_test(saves_and_loads_again),   cmocka_unit_test(adapters_merge_as_in_peft),
        cmocka_unit_test(adapters_survive_a_save),
    };
    return cmocka_run_group_tests(tests, read_expected, forget_expected);
}
