/*
 * run_dir.h - the directory of a run: choosing, making, replacing and holding it.
 *
 * A directory is a run when its config.json names an algorithm, an environment and settings. Anything else
 * that exists is never touched, an empty directory excepted.
 */
#ifndef REINI_RUN_DIR_H
#define REINI_RUN_DIR_H

#include <rein/run.h>
#include "run/settings.h"

#define REINI_DIR_MAX  1024 /* as rein_summary.run_dir */
#define REINI_PATH_MAX 1280 /* a file in a run directory */

typedef enum reini_dir_kind {
    REINI_DIR_ABSENT,
    REINI_DIR_FILE, /* not a directory */
    REINI_DIR_EMPTY,
    REINI_DIR_RUN,
    REINI_DIR_FOREIGN, /* files of others */
} reini_dir_kind;
rein_status reini_dir_look(const char *dir, reini_dir_kind *kind);

/* The directory of a new run, made and held: opts->out, or the first free runs/<algo>-<env>-<seed>-<n>. An
 * existing run is emptied with opts->force and refused without. *hold: for reini_dir_let_go. */
rein_status reini_dir_claim(const reini_setup *setup, const rein_train_opts *opts, char dir[REINI_DIR_MAX],
                            int *hold);
/* The same; stem: of the names under runs/, "sft-model-0". */
rein_status reini_dir_claim_as(const char *stem, const rein_train_opts *opts, char dir[REINI_DIR_MAX],
                               int *hold);
/* Holds the directory of an existing run, so that no two processes train in it. */
rein_status reini_dir_hold(const char *dir, int *hold);
void reini_dir_let_go(int hold); /* -1 is accepted */
/* The name without slashes at its end (shells add them), checked for its length. */
rein_status reini_dir_plain_path(char out[REINI_DIR_MAX], const char *dir);
/* "seed-7" below dir. */
rein_status reini_dir_of_seed(char out[REINI_DIR_MAX], const char *dir, int64_t seed);

/* Writes and reads config.json. */
rein_status reini_dir_write_config(const char *dir, const reini_setup *setup);
rein_status reini_dir_read_config(const char *dir, const reini_algo *algo, reini_setup *setup);

#endif
