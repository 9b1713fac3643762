/*
 * cmd_tokenizer.c - rein tokenizer: learn a tokenizer from text, and see what one makes of a text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rein/tokenizer.h>
#include "cli.h"

enum { TEXTS_MAX = 64 };

static const cli_option options[] = {
    CLI_TEXT("model", "DIR", "model folder or tokenizer.json, for encode and decode"),
    CLI_TEXT("file", "FILE", "encode or decode what is in this file instead of words"),
    CLI_SWITCH("add_special", "encode: with the tokens that the post-processor adds"),
    CLI_SWITCH("skip_special", "decode: without special tokens"),
    CLI_TEXT("data", "FILE[,FILE]", "train: UTF-8 texts to learn from, separated by commas"),
    CLI_COUNT("vocab_size", "8192", 257, 1 << 24, "train: tokens, with the 256 bytes and the special ones"),
    CLI_COUNT("min_frequency", "0", 0, 1e15, "train: least count of a pair that becomes a token"),
    CLI_TEXT("family", "NAME", "train: gpt2, llama3, qwen2 or smollm2 (gpt2)"),
    CLI_TEXT("special_tokens", "A[,B]",
             "train: special tokens besides the family's own, separated by commas"),
    CLI_TEXT("out", "DIR", "train: folder for tokenizer.json and tokenizer_config.json"),
    CLI_SWITCH("json", "end with one JSON object on stdout"),
};

/* cuts a copy of the text at its commas; the caller frees the copy */
static char *cut(const char *text, const char **parts, int *n) {
    char *copy = strdup(text ? text : ""), *rest = copy;
    *n = 0;
    for (char *part; copy && *n < TEXTS_MAX && (part = strsep(&rest, ","));)
        if (*part)
            parts[(*n)++] = part;
    return copy;
}

static int train(const cli_args *args) {
    const char *files[TEXTS_MAX], *special[TEXTS_MAX];
    rein_tokenizer_opts opts = {.family = cli_text(args, "family"),
                                .vocab_size = cli_count(args, "vocab_size"),
                                .min_frequency = cli_count(args, "min_frequency"),
                                .files = files,
                                .special = special,
                                .out = cli_text(args, "out")};
    int vocabulary = 0, merges = 0;
    if (!cli_text(args, "data") || !opts.out)
        return cli_usage("rein tokenizer train needs --data FILE and --out DIR");
    char *data = cut(cli_text(args, "data"), files, &opts.n_files);
    char *tokens = cut(cli_text(args, "special_tokens"), special, &opts.n_special);
    rein_status status = rein_tokenizer_train(&opts, &vocabulary, &merges);
    free(data);
    free(tokens);
    if (status != REIN_OK)
        return cli_failed(status);
    if (!cli_switch(args, "json")) {
        printf("%s: %d tokens, %d merges\n", opts.out, vocabulary, merges);
        return CLI_DONE;
    }
    json_t *result = json_object();
    cli_json_text(result, "out", opts.out);
    cli_json_whole(result, "vocabulary", vocabulary);
    cli_json_whole(result, "merges", merges);
    cli_json_print(result);
    return CLI_DONE;
}

/* the words joined by spaces, or the file; malloc'ed, NULL after printing an error */
static char *read_input(const cli_args *args, size_t *n) {
    const char *path = cli_text(args, "file");
    char *text = NULL;
    FILE *file = path ? fopen(path, "rb") : NULL;
    FILE *out = open_memstream(&text, n);
    if (path && !file)
        cli_usage("%s: %s", path, strerror(errno));
    else if (!path && args->n_words < 2)
        cli_usage("nothing to read: give it as words, or --file FILE");
    bool there = out && (path ? file != NULL : args->n_words > 1);
    for (int i = 1; there && !path && i < args->n_words; i++)
        fprintf(out, "%s%s", i > 1 ? " " : "", args->words[i]);
    char block[4096];
    for (size_t k; there && path && (k = fread(block, 1, sizeof block, file)) > 0;)
        fwrite(block, 1, k, out);
    if (file)
        fclose(file);
    if (out)
        fclose(out);
    if (there)
        return text;
    free(text);
    return NULL;
}

static json_t *json_ids(const rein_tokenizer *t, const int32_t *ids, size_t n) {
    json_t *result = json_object(), *list = json_array(), *tokens = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_integer(ids[i]));
        json_array_append_new(tokens, json_string(rein_tokenizer_token(t, ids[i])));
    }
    json_object_set_new(result, "ids", list);
    json_object_set_new(result, "tokens", tokens);
    return result;
}

static int encode(const cli_args *args, rein_tokenizer *t, const char *text, size_t length) {
    const int32_t *ids;
    size_t n;
    rein_status status = rein_tokenizer_encode(t, text, length, cli_switch(args, "add_special"), &ids, &n);
    if (status != REIN_OK)
        return cli_failed(status);
    if (cli_switch(args, "json")) {
        cli_json_print(json_ids(t, ids, n));
        return CLI_DONE;
    }
    for (size_t i = 0; i < n; i++)
        printf("%s%d", i > 0 ? " " : "", (int)ids[i]);
    puts("");
    return CLI_DONE;
}

/* Numbers separated by spaces, commas and brackets; how many, or -1 after printing an error. */
static int64_t read_ids(const rein_tokenizer *t, const char *text, int32_t *ids) {
    static const char separators[] = " \t\r\n,;[](){}";
    int64_t n = 0;
    for (const char *p = text; *(p += strspn(p, separators));) {
        char *end;
        int length = (int)strcspn(p, separators);
        unsigned long id = strtoul(p, &end, 10);
        if (*p < '0' || *p > '9' || end != p + length || id >= (unsigned long)rein_tokenizer_size(t)) {
            cli_usage("%.*s is no token, the tokenizer has %d, numbered from 0", length > 40 ? 40 : length, p,
                      rein_tokenizer_size(t));
            return -1;
        }
        ids[n++] = (int32_t)id;
        p = end;
    }
    return n;
}

static int decode(const cli_args *args, rein_tokenizer *t, const char *text) {
    size_t length;
    int32_t *ids = calloc(strlen(text) + 1, sizeof *ids);
    if (!ids)
        return cli_usage("out of memory");
    int64_t n = read_ids(t, text, ids);
    if (n < 0) {
        free(ids);
        return CLI_USAGE;
    }
    const char *found = "";
    rein_status status =
        rein_tokenizer_decode(t, ids, (size_t)n, cli_switch(args, "skip_special"), &found, &length);
    free(ids);
    if (status != REIN_OK)
        return cli_failed(status);
    if (cli_switch(args, "json")) {
        json_t *result = json_object();
        cli_json_text(result, "text", found);
        cli_json_print(result);
        return CLI_DONE;
    }
    fwrite(found, 1, length, stdout);
    puts("");
    return CLI_DONE;
}

static int use(const cli_args *args, bool encoding) {
    rein_tokenizer *t;
    size_t n = 0;
    if (!cli_text(args, "model"))
        return cli_usage("no tokenizer: name a model folder with --model DIR");
    char *text = read_input(args, &n);
    if (!text)
        return CLI_USAGE;
    rein_status status = rein_tokenizer_open(cli_text(args, "model"), &t);
    int code = status != REIN_OK ? cli_failed(status)
               : encoding        ? encode(args, t, text, n)
                                 : decode(args, t, text);
    if (status == REIN_OK)
        rein_tokenizer_close(t);
    free(text);
    return code;
}

static int tokenizer(const cli_args *args) {
    static const char actions[] = "train|encode|decode";
    if (args->n_words == 0)
        return cli_usage("what to do with a tokenizer is not said, expected one of %s", actions);
    int action = cli_choose("action", actions, args->words[0]);
    return action < 0 ? CLI_USAGE : action == 0 ? train(args) : use(args, action == 1);
}

static int run(int argc, char **argv) {
    cli_args args = {.command = "rein tokenizer",
                     .options = options,
                     .n_options = cli_verb_tokenizer.n_options,
                     .max_words = TEXTS_MAX};
    int code = CLI_USAGE;
    if (cli_args_read(&args, argc, argv)) {
        if (args.help)
            cli_help_verb(&cli_verb_tokenizer, NULL);
        code = args.help ? CLI_DONE : tokenizer(&args);
    }
    cli_args_release(&args);
    return code;
}

const cli_verb cli_verb_tokenizer = {
    "tokenizer",
    "tokenizer train|encode|decode [TEXT ...]",
    "learn a tokenizer from text, encode text, decode ids",
    "rein tokenizer train --data text.txt --vocab_size 4096 --family smollm2 --out tok/",
    CLI_OPTIONS(options),
    run,
};
