/*
 * tokenizer_parts.h - what a tokenizer is made of, shared by the files that read it, encode, decode and train.
 */
#ifndef REINI_TOKENIZER_PARTS_H
#define REINI_TOKENIZER_PARTS_H

#include <jansson.h>
#include "lm/tokenizer.h"

/* ---- Unicode ------------------------------------------------------------------------------------------- */

enum {
    REINI_LETTER = 1,
    REINI_NUMBER = 2,
    REINI_SPACE = 4
}; /* \p{L}, \p{N}, \p{White_Space}; 0 = none of them */

/* Of every code point; filled by reini_unicode_ready. */
extern uint8_t reini_char_class[0x110000];
/* Fails, naming what to install, where the build lacks PCRE2 or utf8proc. Safe from several threads. */
rein_status reini_unicode_ready(void);

/* The code point at p, of text known to be UTF-8. */
static inline uint32_t reini_char_at(const char *p, int *length) {
    const unsigned char *b = (const unsigned char *)p;
    if (b[0] < 0x80) {
        *length = 1;
        return b[0];
    }
    if (b[0] < 0xe0) {
        *length = 2;
        return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
    }
    if (b[0] < 0xf0) {
        *length = 3;
        return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    }
    *length = 4;
    return (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
}
/* Bytes of the code point written to p (4 at most). */
int reini_char_put(char *p, uint32_t c);
/* Length of the UTF-8 character at p, 0 when there is none; then *bad is how many bytes make one U+FFFD, and with `cut`
 * not NULL *cut says that more bytes could still complete it. */
int reini_char_check(const char *p, size_t n, int *bad, bool *cut);
/* Position of the first byte that is not UTF-8, n when there is none. */
size_t reini_text_valid(const char *text, size_t n);
/* NFC. False when the text is in it already, as all text below U+0300 is; else out (emptied first) holds it. */
rein_status reini_text_nfc(const char *text, size_t n, reini_bytes *out, bool *changed);

/* ---- regular expressions ------------------------------------------------------------------------------- */

typedef struct reini_regex reini_regex;
typedef struct reini_regex_state reini_regex_state; /* a thread's */

/* A pattern as Oniguruma understands it, literal or expression; constructs that PCRE2 reads differently are refused. */
rein_status reini_regex_new(const char *pattern, bool literal, const char *where, reini_regex **out);
void reini_regex_free(reini_regex *regex);
rein_status reini_regex_state_new(const reini_regex *regex, reini_regex_state **out);
void reini_regex_state_free(reini_regex_state *state);
/* The next match from `start` on; begin = n when there is none. */
rein_status reini_regex_match(const reini_regex *regex, reini_regex_state *state, const char *text, size_t n,
                              size_t start, size_t *begin, size_t *end);

/* ---- pre-tokenizers ------------------------------------------------------------------------------------ */

/* End of the first piece of [p, end), which is not empty. */
typedef const char *reini_scan(const char *p, const char *end);

/* Patterns that have a hand-written scanner, proven equal to PCRE2 by a test. */
typedef struct reini_known_pattern {
    const char *name, *pattern;
    reini_scan *scan;
} reini_known_pattern;
extern const reini_known_pattern reini_known_patterns[];
extern const int reini_known_pattern_count;
reini_scan *reini_scan_find(const char *pattern);
/* GPT-2's, which ByteLevel has inside. */
extern const char reini_gpt2_pattern[];

typedef enum reini_stage_kind {
    REINI_STAGE_SCAN,   /* a known pattern, Isolated */
    REINI_STAGE_REGEX,  /* any other pattern, Isolated */
    REINI_STAGE_DIGITS, /* every number character on its own, or runs of them */
    REINI_STAGE_PREFIX, /* a space is put before a piece that has none */
} reini_stage_kind;

typedef struct reini_stage {
    reini_stage_kind kind;
    bool individual; /* DIGITS */
    reini_scan *scan;
    reini_regex *regex;
} reini_stage;

enum { REINI_STAGES = 8 };

/* ---- the tokenizer ------------------------------------------------------------------------------------- */

typedef struct reini_added {
    const char *text; /* what is looked for: normalised for normalised tokens */
    size_t length;
    int32_t id;
    bool special, single_word, lstrip, rstrip;
} reini_added;

/* Added tokens that are cut out of text, longest first among those with the same first byte. */
typedef struct reini_cutter {
    reini_added *tokens;
    int n;
    int first[257]; /* tokens[first[b] .. first[b + 1]) begin with byte b */
    uint8_t *pairs; /* bit of the first two bytes, 8 KB; NULL when there are no tokens */
} reini_cutter;

typedef struct reini_token {
    const char *text, *bytes; /* as written in the file; what it decodes to */
    uint32_t length, n_bytes;
    uint8_t there, special, model; /* model: of the BPE vocabulary, not only added */
} reini_token;

typedef struct reini_merge {
    uint64_t pair; /* left << 32 | right; REINI_NO_PAIR = empty */
    int32_t rank, id;
} reini_merge;
#define REINI_NO_PAIR UINT64_MAX
#define REINI_NO_RANK INT32_MAX

struct reini_tokenizer {
    reini_token *tokens;
    int size, room;
    int32_t *by_text,
        *by_bytes; /* hash tables of ids, -1 = empty; by_bytes: whole pieces, for ignore_merges */
    uint32_t mask;
    reini_merge *merges;
    uint32_t merge_mask;
    int n_merges;
    int32_t byte_id[256]; /* -1: the vocabulary has no token for it, and the byte is left out */
    bool ignore_merges, nfc;
    reini_stage stages[REINI_STAGES];
    int n_stages;
    reini_cutter raw, normalized;
    int32_t *before, *after; /* what the post-processor adds */
    int n_before, n_after;
    int bos, eos, pad;
    char *chat_template;
    char **texts; /* every string owned */
    size_t n_texts, texts_capacity;
};

uint64_t reini_token_hash(const char *text, size_t n);
/* -1 when absent. */
int32_t reini_token_find(const reini_tokenizer *t, const char *text, size_t n);
int32_t reini_token_find_bytes(const reini_tokenizer *t, const char *bytes, size_t n);
/* Rank and result of joining two tokens; NULL when they do not join. */
const reini_merge *reini_merge_find(const reini_tokenizer *t, int32_t left, int32_t right);
/* A copy of the text that lives as long as the tokenizer; NULL when out of memory. */
char *reini_token_keep(reini_tokenizer *t, const char *text, size_t n);

/* Byte -> the code point that stands for it in token texts, and back (-1 = no byte). */
uint32_t reini_byte_letter(int byte);
int reini_letter_byte(uint32_t c);

/* Parts of reading. */
rein_status reini_tokenizer_read_vocabulary(reini_tokenizer *t, const json_t *root, const char *where);
/* One more token, behind all others. */
rein_status reini_tokenizer_extend(reini_tokenizer *t, const char *text, int32_t *id);
rein_status reini_tokenizer_read_merges(reini_tokenizer *t, const json_t *model, const char *where);
rein_status reini_tokenizer_read_stages(reini_tokenizer *t, const json_t *root, const char *where);
rein_status reini_tokenizer_read_post(reini_tokenizer *t, const json_t *root, const char *where);
rein_status reini_tokenizer_read_config(reini_tokenizer *t, json_t *root, json_t *config);
rein_status reini_cutter_build(reini_tokenizer *t, const json_t *added, bool normalized, reini_cutter *out);
void reini_cutter_release(reini_cutter *cutter);
/* First match in [from, n): its token, begin and end; NULL when there is none. */
const reini_added *reini_cutter_find(const reini_cutter *cutter, const char *text, size_t n, size_t from,
                                     size_t *begin);
/* Is the last (first) character of a text one of a word, as \w? */
bool reini_word_at_end(const char *text, size_t n);
bool reini_word_at_start(const char *text, size_t n);

/* ---- merging and pieces -------------------------------------------------------------------------------- */

/* Scratch of the merge loop, grown as needed. */
typedef struct reini_merger {
    int32_t *ids, *ranks, *results, *next, *previous;
    uint64_t *heap;
    size_t room;
} reini_merger;
/* BPE of a piece of n bytes into merger->ids; how many ids, or -1 when out of memory. */
int64_t reini_merger_run(reini_merger *merger, const reini_tokenizer *t, const char *piece, size_t n);
void reini_merger_release(reini_merger *merger);

/* Splits text by stages[at ..] and hands every piece on; stops when `piece` returns false. */
typedef bool reini_piece_fn(void *user, const char *piece, size_t n);
typedef struct reini_splitter {
    const reini_stage *stages;
    int n_stages;
    reini_regex_state *states[REINI_STAGES];
    reini_bytes prefixed;
    reini_piece_fn *piece;
    void *user;
    rein_status status;
} reini_splitter;
rein_status reini_splitter_init(reini_splitter *s, const reini_stage *stages, int n, reini_piece_fn *fn,
                                void *user);
void reini_splitter_release(reini_splitter *s);
bool reini_split(reini_splitter *s, int at, const char *text, size_t n);

#endif
