/*
 * describe.c - what algorithms there are, as plain data for the command and for bindings.
 */
#include <rein/run.h>
#include "algo/language/lm_algo.h"
#include "base/base.h"

static const char *family_text(reini_algo_family family) {
    static const char *const names[] = {
        [REINI_PLANNING] = "planning",     [REINI_TABULAR] = "tabular",   [REINI_ON_POLICY] = "on-policy",
        [REINI_OFF_POLICY] = "off-policy", [REINI_OFFLINE] = "offline",   [REINI_MODEL_BASED] = "model-based",
        [REINI_PREFERENCE] = "preference", [REINI_LANGUAGE] = "language",
    };
    return names[family];
}

static void fill_info(rein_algo_info *info, const reini_algo *algo) {
    const reini_language *text = algo->language;
    bool only_text = algo->family == REINI_LANGUAGE;
    *info = (rein_algo_info){.name = algo->name,
                             .doc = algo->doc,
                             .family = family_text(algo->family),
                             .fields = only_text ? text->fields : algo->fields,
                             .n_fields = only_text ? text->n_fields : algo->n_fields,
                             .text_fields = text ? text->fields : NULL,
                             .n_text_fields = text ? text->n_fields : 0};
}

int rein_algo_at(int i, rein_algo_info *info) {
    const reini_algo *algo = i >= 0 ? reini_algo_at(i) : NULL;
    if (algo)
        fill_info(info, algo);
    return algo != NULL;
}

rein_status rein_algo_find(const char *name, rein_algo_info *info) {
    const reini_algo *algo = reini_algo_find(name);
    if (!algo)
        return REIN_USAGE;
    fill_info(info, algo);
    return REIN_OK;
}
