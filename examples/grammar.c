/*
 * grammar.c - a small English whose entropy is known: sentences to learn from, and a judge of what was learned.
 *
 *     grammar                        the grammar's figures, some sentences, a test of itself
 *     grammar jsonl N SEED           N sentences as training data for `rein train sft`
 *     grammar text N SEED            the same as plain lines, for `rein tokenizer train`
 *     grammar check FILE             how many lines of a file are sentences, and how many lines; exit code 1 for none
 *     grammar completions FILE       the completions of `rein generate --out FILE`, a line each
 *
 * A sentence is drawn from the rules below, each chosen with its probability. No sentence can be derived in two ways, so
 * the entropy of sentences is that of derivations: with H(A) the entropy of the choice of A's rule,
 *
 *     h(A) = H(A) + sum over rules r of A: p(r) sum over symbols B of r: h(B)
 *
 * which is a linear system, solved here by repetition. No model can have a lower loss; a perfect one has this.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rein/rng.h>

enum { WORDS_MAX = 120, SYMBOLS_MAX = 5, NAMES_MAX = 32 };

/* Upper case begins the name of a kind of phrase, everything else is a word. 1, 2: singular, plural. */
static const struct rule {
    const char *from;
    double p; /* of this rule among those of `from`; words are equally likely */
    const char *to;
} rules[] = {
    {"S", 0.6, "N1 V1 ."},
    {"S", 0.4, "N2 V2 ."},
    {"N1", 0.5, "D1 Noun1"},
    {"N1", 0.25, "D1 Adjective Noun1"},
    {"N1", 0.12, "D1 Noun1 that V1"},
    {"N1", 0.08, "D1 Noun1 that N1 Sees1"},
    {"N1", 0.05, "D1 Noun1 that N2 Sees2"},
    {"N2", 0.5, "D2 Noun2"},
    {"N2", 0.25, "D2 Adjective Noun2"},
    {"N2", 0.12, "D2 Noun2 that V2"},
    {"N2", 0.08, "D2 Noun2 that N1 Sees1"},
    {"N2", 0.05, "D2 Noun2 that N2 Sees2"},
    {"V1", 0.3, "Sleeps1"},
    {"V1", 0.15, "Sleeps1 Adverb"},
    {"V1", 0.33, "Sees1 N1"},
    {"V1", 0.22, "Sees1 N2"},
    {"V2", 0.3, "Sleeps2"},
    {"V2", 0.15, "Sleeps2 Adverb"},
    {"V2", 0.33, "Sees2 N1"},
    {"V2", 0.22, "Sees2 N2"},
};
enum { N_RULES = sizeof rules / sizeof *rules };

static const struct kind {
    const char *name, *words;
} kinds[] = {
    {"D1", "the a every"},
    {"D2", "the some all"},
    {"Noun1", "dog cat bird child teacher farmer mouse horse"},
    {"Noun2", "dogs cats birds children teachers farmers mice horses"},
    {"Adjective", "old young happy small clever"},
    {"Sleeps1", "sleeps runs sings waits"},
    {"Sleeps2", "sleep run sing wait"},
    {"Sees1", "sees likes follows hears"},
    {"Sees2", "see like follow hear"},
    {"Adverb", "quietly often today here"},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ---- texts of words -------------------------------------------------------------------------------------- */

typedef struct sentence {
    int n;
    char word[WORDS_MAX][16];
} sentence;

/* the words of a text between blanks; false when there are too many, or one is too long */
static int split(const char *text, sentence *out) {
    out->n = 0;
    while (*(text += strspn(text, " ")) != 0) {
        size_t length = strcspn(text, " ");
        if (out->n == WORDS_MAX || length >= sizeof out->word[0])
            return 0;
        memcpy(out->word[out->n], text, length);
        out->word[out->n++][length] = 0;
        text += length;
    }
    return 1;
}

static int is_phrase(const char *symbol) {
    return *symbol >= 'A' && *symbol <= 'Z';
}

static const struct kind *kind_of(const char *name) {
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- drawing --------------------------------------------------------------------------------------------- */

static void draw(const char *symbol, rein_rng *rng, sentence *out) {
    sentence parts;
    const struct kind *kind = kind_of(symbol);
    if (out->n == WORDS_MAX)
        return;
    if (!is_phrase(symbol)) {
        snprintf(out->word[out->n++], sizeof out->word[0], "%s", symbol);
        return;
    }
    if (kind) {
        split(kind->words, &parts);
        strcpy(out->word[out->n++], parts.word[rein_rng_below(rng, (uint32_t)parts.n)]);
        return;
    }
    double u = rein_rng_uniform64(rng);
    int chosen = -1;
    for (int i = 0; i < N_RULES && (chosen < 0 || u >= 0); i++)
        if (strcmp(rules[i].from, symbol) == 0) {
            chosen = i;
            u -= rules[i].p;
        }
    split(rules[chosen].to, &parts);
    for (int i = 0; i < parts.n; i++)
        draw(parts.word[i], rng, out);
}

/* "the dogs see a cat.", with its full stop at the last word */
static void print_sentence(const sentence *s) {
    for (int i = 0; i < s->n; i++)
        printf("%s%s", i > 0 && strcmp(s->word[i], ".") != 0 ? " " : "", s->word[i]);
}

/* ---- judging --------------------------------------------------------------------------------------------- */

/* Marks in `end` where a phrase that begins at word `at` may end. No rule begins with its own phrase, so it ends. */
static void ends_of(const char *symbol, const sentence *s, int at, char *end) {
    sentence parts;
    const struct kind *kind = kind_of(symbol);
    if (at >= s->n)
        return;
    if (!is_phrase(symbol)) {
        end[at + 1] |= strcmp(symbol, s->word[at]) == 0;
        return;
    }
    if (kind) {
        split(kind->words, &parts);
        for (int i = 0; i < parts.n; i++)
            end[at + 1] |= strcmp(parts.word[i], s->word[at]) == 0;
        return;
    }
    for (int r = 0; r < N_RULES; r++) {
        if (strcmp(rules[r].from, symbol) != 0)
            continue;
        char from[WORDS_MAX + 1] = {0};
        from[at] = 1;
        split(rules[r].to, &parts);
        for (int i = 0; i < parts.n; i++) {
            char to[WORDS_MAX + 1] = {0};
            for (int k = at; k < s->n; k++)
                if (from[k])
                    ends_of(parts.word[i], s, k, to);
            memcpy(from, to, sizeof from);
        }
        for (int k = 0; k <= s->n; k++)
            end[k] |= from[k];
    }
}

static int is_sentence(const sentence *s) {
    char end[WORDS_MAX + 1] = {0};
    ends_of("S", s, 0, end);
    return s->n > 0 && end[s->n];
}

/* a line of text; its full stop is a word of its own */
static int judge(const char *line) {
    char text[1024];
    sentence s;
    size_t length = strcspn(line, "\r\n");
    if (length == 0 || length > sizeof text - 4 || line[length - 1] != '.' || memchr(line, '.', length - 1))
        return 0;
    snprintf(text, sizeof text, "%.*s .", (int)length - 1, line);
    return split(text, &s) && is_sentence(&s);
}

/* ---- entropy --------------------------------------------------------------------------------------------- */

typedef struct table {
    int n;
    const char *name[NAMES_MAX];
    double h[NAMES_MAX], words[NAMES_MAX]; /* entropy in nats and mean number of words */
} table;

static int find(const table *t, const char *name) {
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->name[i], name) == 0)
            return i;
    return -1;
}

static void improve(table *t) {
    double h[NAMES_MAX] = {0}, words[NAMES_MAX] = {0};
    sentence parts;
    for (int r = 0; r < N_RULES; r++) {
        int from = find(t, rules[r].from);
        h[from] -= rules[r].p * log(rules[r].p);
        split(rules[r].to, &parts);
        for (int i = 0; i < parts.n; i++) {
            int to = find(t, parts.word[i]);
            h[from] += rules[r].p * (to < 0 ? 0 : t->h[to]);
            words[from] += rules[r].p * (to < 0 ? 1 : t->words[to]);
        }
    }
    for (int i = 0; i < t->n; i++)
        if (!kind_of(t->name[i])) {
            t->h[i] = h[i];
            t->words[i] = words[i];
        }
}

/* of a sentence: its entropy in nats, and words on average */
static void figures(double *entropy, double *words) {
    table t = {0};
    sentence parts;
    for (int i = 0; i < N_KINDS; i++) {
        split(kinds[i].words, &parts);
        t.name[t.n] = kinds[i].name;
        t.words[t.n] = 1;
        t.h[t.n++] = log(parts.n);
    }
    for (int r = 0; r < N_RULES; r++)
        if (find(&t, rules[r].from) < 0)
            t.name[t.n++] = rules[r].from;
    for (int k = 0; k < 2000; k++)
        improve(&t);
    *entropy = t.h[find(&t, "S")];
    *words = t.words[find(&t, "S")];
}

/* ---- the command ----------------------------------------------------------------------------------------- */

static int write_sentences(int n, uint64_t seed, const char *before, const char *after) {
    for (int i = 0; i < n; i++) {
        rein_rng rng = rein_rng_make(seed, (uint64_t)i);
        sentence s = {0};
        draw("S", &rng, &s);
        fputs(before, stdout);
        print_sentence(&s);
        puts(after);
    }
    return 0;
}

/* a plain line as it is; of a JSON object its completion, in place. What has escapes is no sentence and may be cut. */
static char *text_of(char *line) {
    static const char key[] = "\"completion\": \"";
    char *at = *line == '{' ? strstr(line, key) : NULL;
    if (!at)
        return line;
    at += sizeof key - 1;
    at[strcspn(at, "\"")] = 0;
    return at;
}

/* judges or prints every line */
static int read_file(const char *path, int print) {
    char line[4096];
    int n = 0, good = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return 2;
    }
    for (; fgets(line, sizeof line, file); n++) {
        good += judge(text_of(line));
        if (print)
            printf("%s\n", text_of(line));
    }
    fclose(file);
    if (!print)
        printf("%d %d\n", good, n);
    return good == 0;
}

static int show(void) {
    double entropy, words;
    int failures = 0;
    figures(&entropy, &words);
    printf("entropy %.6f nats a sentence, %.3f words a sentence\n", entropy, words);
    write_sentences(5, 1, "", "");
    static const char *const wrong[] = {"the dog sleep.",   "the dog that sees sleeps.",
                                        "dog sleeps.",      "the dogs sleep",
                                        "the dog sleeps..", "the old old dog runs."};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        failures += judge(wrong[i]);
    for (int i = 0; i < 300; i++) {
        rein_rng rng = rein_rng_make(2, (uint64_t)i);
        sentence s = {0};
        draw("S", &rng, &s);
        failures += !is_sentence(&s);
    }
    failures += !judge("the dog that the cats see runs quietly.");
    printf(failures ? "%d mistakes\n" : "the judge agrees with the rules\n", failures);
    return failures != 0;
}

int main(int argc, char **argv) {
    if (argc == 1)
        return show();
    if (argc == 4 && strcmp(argv[1], "jsonl") == 0)
        return write_sentences(atoi(argv[2]), strtoull(argv[3], NULL, 10), "{\"text\": \"<|endoftext|>",
                               "\"}");
    if (argc == 4 && strcmp(argv[1], "text") == 0)
        return write_sentences(atoi(argv[2]), strtoull(argv[3], NULL, 10), "", "");
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return read_file(argv[2], 0);
    if (argc == 3 && strcmp(argv[1], "completions") == 0)
        return read_file(argv[2], 1);
    fprintf(stderr, "usage: grammar | grammar jsonl|text N SEED | grammar check|completions FILE\n");
    return 2;
}
