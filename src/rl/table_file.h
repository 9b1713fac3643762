/*
 * table_file.h - a table policy's file: the functions of its kind.
 */
#ifndef REINI_TABLE_FILE_H
#define REINI_TABLE_FILE_H

#include "rl/table_policy.h"

/* head: names and spaces. */
rein_status reini_table_new(const rein_policy *head, int parts, int32_t horizon, reini_table_policy **out);

bool reini_table_describe(const rein_policy *policy, json_t *description);
int reini_table_tensors_max(const rein_policy *policy);
int reini_table_tensors(const rein_policy *policy, reini_st_tensor *out, void **scratch);
rein_status reini_table_load(const rein_policy *head, const json_t *description, const reini_safetensors *st,
                             rein_policy **out);
void reini_table_digest(const rein_policy *policy, reini_sha256 *sha);

#endif
