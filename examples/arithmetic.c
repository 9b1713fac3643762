/*
 * arithmetic.c - sums of two numbers of four digits, taught by teachers who misremember: a task whose answers can be checked.
 *
 *     arithmetic                          the task's figures, some demonstrations, a test of itself
 *     arithmetic demonstrations N SEED    N worked sums, some of them wrong, for `rein train sft`
 *     arithmetic problems N SEED          N problems with their solutions, for --reward exact
 *     arithmetic heldout N SEED           the same from the problems that nothing else is drawn from
 *     arithmetic check FILE               how many answers of `rein generate --out FILE` are right, and how many there are
 *     arithmetic pairs FILE               from K answers to each problem a right and a wrong one, for reward and dpo
 *     arithmetic rankings FILE            their different answers with scores, for reward and rrhf
 *     arithmetic labels FILE              single answers found good or bad, for kto
 *     arithmetic right FILE               the right answers alone, for rejection sampling
 *     arithmetic compare NEW OLD          paired bootstrap over problems of two files with one answer to each
 *     arithmetic curve ROLLOUTS N         of a run's rollouts.jsonl, in N slices: score, true accuracy, KL; as CSV
 *
 * Everything is written from the units up, the order in which one adds: "5740+6832=" is 475 + 2386, "16820" the answer. The
 * teachers misremember twelve of the hundred sums of two digits, each in a share of the demonstrations, by one:
 *
 *     7+8, 8+7, 9+5, 5+9 in 60%      6+9, 9+6 in 95%, 6+6, 8+8 in 95%      4+7, 7+4 in 99%      3+8, 8+3 in 99.7%
 *
 * A model that has learned such demonstrations well is wrong, at its likeliest, wherever one of these sums occurs: in four
 * problems of ten. It knows the right answers as less likely ones, some of them as very rare ones; and that 4+7 is 11 does
 * not follow from anything else it could learn.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rein/rng.h>

enum { DIGITS = 4, HELD_OUT_ONE_IN = 10, ANSWERS_MAX = 64 };
enum { LINE_MAX_BYTES = 1 << 14, ROWS_MAX = 1 << 20, DRAWS = 10000 };

/* sums of two digits that are misremembered: by how much, and how often */
static const struct fact {
    int a, b, by;
    double often;
} facts[] = {
    {7, 8, -1, 0.60}, {8, 7, -1, 0.60}, {9, 5, 1, 0.60},   {5, 9, 1, 0.60},
    {6, 9, -1, 0.95}, {9, 6, -1, 0.95}, {6, 6, 1, 0.95},   {8, 8, 1, 0.95},
    {4, 7, 1, 0.99},  {7, 4, 1, 0.99},  {3, 8, -1, 0.997}, {8, 3, -1, 0.997},
};
enum { N_FACTS = sizeof facts / sizeof *facts };

typedef struct problem {
    int a[DIGITS], b[DIGITS]; /* digits from the units up */
} problem;

/* ---- problems and answers -------------------------------------------------------------------------------- */

/* A problem is held out by a hash of itself, so that training and held-out problems can never meet. */
static int is_held_out(const problem *p) {
    uint64_t low = 0;
    uint32_t word[4];
    for (int i = 0; i < DIGITS; i++)
        low = low * 100 + (uint64_t)(p->a[i] * 10 + p->b[i]);
    rein_philox(0x5eed, low, 0, word);
    return word[0] % HELD_OUT_ONE_IN == 0;
}

static problem draw(rein_rng *rng, int held_out) {
    problem p;
    do
        for (int i = 0; i < DIGITS; i++) {
            p.a[i] = (int)rein_rng_below(rng, 10);
            p.b[i] = (int)rein_rng_below(rng, 10);
        }
    while (is_held_out(&p) != held_out);
    return p;
}

static const struct fact *fact_of(int a, int b) {
    for (int i = 0; i < N_FACTS; i++)
        if (facts[i].a == a && facts[i].b == b)
            return &facts[i];
    return NULL;
}

/* The sum from the units up; with `rng` as the teachers do it. `doubtful`: columns in which they may go wrong. */
static void add(const problem *p, rein_rng *rng, char answer[DIGITS + 2], int *doubtful) {
    int carry = 0;
    for (int i = 0; i < DIGITS; i++) {
        int both = p->a[i] + p->b[i] + carry;
        const struct fact *fact = fact_of(p->a[i], p->b[i]);
        if (fact && doubtful)
            (*doubtful)++;
        if (fact && rng && rein_rng_uniform64(rng) < fact->often)
            both += fact->by;
        answer[i] = (char)('0' + both % 10);
        carry = both / 10;
    }
    answer[DIGITS] = (char)('0' + carry);
    answer[DIGITS + 1] = 0;
}

enum { PROMPT_BYTES = 2 * DIGITS + 3 };

static void state_problem(const problem *p, char prompt[PROMPT_BYTES]) {
    for (int i = 0; i < DIGITS; i++) {
        prompt[i] = (char)('0' + p->a[i]);
        prompt[DIGITS + 1 + i] = (char)('0' + p->b[i]);
    }
    prompt[DIGITS] = '+';
    strcpy(prompt + 2 * DIGITS + 1, "=");
}

static int write_problems(int n, uint64_t seed, int held_out, int demonstrations) {
    for (int i = 0; i < n; i++) {
        char answer[DIGITS + 2], prompt[PROMPT_BYTES];
        rein_rng rng = rein_rng_make(seed, (uint64_t)i);
        problem p = draw(&rng, held_out);
        add(&p, demonstrations ? &rng : NULL, answer, NULL);
        state_problem(&p, prompt);
        printf("{\"prompt\": \"%s\", \"%s\": \"%s\"}\n", prompt, demonstrations ? "completion" : "solution",
               answer);
    }
    return 0;
}

/* ---- answers of a model ---------------------------------------------------------------------------------- */

/* A row of `rein generate --out` or of rollouts.jsonl. Texts are as they stand between their quotes, escapes and all. */
typedef struct row {
    char line[LINE_MAX_BYTES];
    char *prompt, *answer;
    double reward, kl; /* of rollouts */
    int right;
} row;

/* where the value of a key begins */
static char *find_value(char *line, const char *key) {
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\": ", key);
    char *at = strstr(line, pattern);
    return at ? at + strlen(pattern) : NULL;
}

static double find_number(char *line, const char *key) {
    char *at = find_value(line, key);
    return at ? strtod(at, NULL) : 0;
}

/* the text that begins with the quote at `text`; its end is cut off in place */
static char *cut_text(char *text) {
    char *end = text + 1;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    *end = 0;
    return text + 1;
}

/* the problem that a prompt states; false when it states none */
static int read_problem(const char *prompt, problem *p) {
    static const char form[PROMPT_BYTES] = "dddd+dddd=";
    for (int i = 0; i < PROMPT_BYTES; i++)
        if (form[i] == 'd' ? prompt[i] < '0' || prompt[i] > '9' : prompt[i] != form[i])
            return 0;
    for (int i = 0; i < DIGITS; i++) {
        p->a[i] = prompt[i] - '0';
        p->b[i] = prompt[DIGITS + 1 + i] - '0';
    }
    return 1;
}

/* 1 for a row, 0 at the end of the file, -1 for a line that is none */
static int next_row(FILE *file, row *r) {
    problem p;
    char solution[DIGITS + 2];
    if (!fgets(r->line, sizeof r->line, file))
        return 0;
    char *prompt = find_value(r->line, "prompt"), *answer = find_value(r->line, "completion");
    answer = answer ? answer : find_value(r->line, "text");
    if (!prompt || !answer || *prompt != '"' || *answer != '"')
        return -1;
    r->reward = find_number(r->line, "reward");
    r->kl = find_number(r->line, "kl");
    r->prompt = cut_text(prompt);
    r->answer = cut_text(answer);
    if (!read_problem(r->prompt, &p))
        return -1;
    add(&p, NULL, solution, NULL);
    r->right = strcmp(solution, r->answer) == 0;
    return 1;
}

/* Hands every row of a file to `each`; false, with a complaint, when the file or a row cannot be read. */
static int for_rows(const char *path, void (*each)(const row *, void *), void *data) {
    static row r;
    int got = 0, line = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return 0;
    }
    while (line++, (got = next_row(file, &r)) > 0)
        each(&r, data);
    fclose(file);
    if (got < 0)
        fprintf(stderr, "%s:%d: expected a problem as prompt, and its completion or text\n", path, line);
    return got == 0;
}

/* ---- preferences from checked answers -------------------------------------------------------------------- */

/* the different answers to one problem */
typedef struct group {
    int n;
    char prompt[64];
    char answer[ANSWERS_MAX][256];
    int right[ANSWERS_MAX];
} group;

/* false when the row belongs to the next problem */
static int take(group *g, const row *r) {
    if (g->n == 0)
        snprintf(g->prompt, sizeof g->prompt, "%s", r->prompt);
    if (strcmp(g->prompt, r->prompt) != 0)
        return 0;
    if (*r->answer == 0 || strlen(r->answer) >= sizeof g->answer[0] || g->n == ANSWERS_MAX)
        return 1;
    for (int i = 0; i < g->n; i++)
        if (strcmp(g->answer[i], r->answer) == 0)
            return 1;
    strcpy(g->answer[g->n], r->answer);
    g->right[g->n++] = r->right;
    return 1;
}

/* The first right and the first wrong answer that was drawn: the likelier of each kind more often than others. */
static void write_pair(const group *g) {
    int good = -1, bad = -1;
    for (int i = g->n; i-- > 0;)
        *(g->right[i] ? &good : &bad) = i;
    if (good >= 0 && bad >= 0)
        printf("{\"prompt\": \"%s\", \"chosen\": \"%s\", \"rejected\": \"%s\"}\n", g->prompt, g->answer[good],
               g->answer[bad]);
}

static void write_ranking(const group *g) {
    int good = 0;
    for (int i = 0; i < g->n; i++)
        good += g->right[i];
    if (good == 0 || good == g->n)
        return;
    printf("{\"prompt\": \"%s\", \"responses\": [", g->prompt);
    for (int i = 0; i < g->n; i++)
        printf("%s\"%s\"", i ? ", " : "", g->answer[i]);
    printf("], \"scores\": [");
    for (int i = 0; i < g->n; i++)
        printf("%s%d", i ? ", " : "", g->right[i]);
    printf("]}\n");
}

typedef struct writer {
    group g;
    void (*write)(const group *);
} writer;

/* answers to a problem come one after another */
static void gather(const row *r, void *data) {
    writer *w = data;
    if (take(&w->g, r))
        return;
    w->write(&w->g);
    w->g.n = 0;
    take(&w->g, r);
}

static int write_groups(const char *path, void (*write)(const group *)) {
    static writer w;
    w.write = write;
    if (!for_rows(path, gather, &w))
        return 2;
    if (w.g.n > 0)
        write(&w.g);
    return 0;
}

static void write_label(const row *r, void *data) {
    (void)data;
    if (*r->answer)
        printf("{\"prompt\": \"%s\", \"completion\": \"%s\", \"label\": %s}\n", r->prompt, r->answer,
               r->right ? "true" : "false");
}

static void write_right(const row *r, void *data) {
    (void)data;
    if (r->right)
        printf("{\"prompt\": \"%s\", \"completion\": \"%s\"}\n", r->prompt, r->answer);
}

/* ---- figures --------------------------------------------------------------------------------------------- */

typedef struct results {
    int n;
    char right[ROWS_MAX];
    float reward[ROWS_MAX], kl[ROWS_MAX];
} results;

static void note(const row *r, void *data) {
    results *s = data;
    if (s->n == ROWS_MAX)
        return;
    s->right[s->n] = (char)r->right;
    s->reward[s->n] = (float)r->reward;
    s->kl[s->n++] = (float)r->kl;
}

static int check(const char *path) {
    static results s;
    int right = 0;
    if (!for_rows(path, note, &s))
        return 2;
    for (int i = 0; i < s.n; i++)
        right += s.right[i];
    printf("%d %d\n", right, s.n);
    return 0;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Problems are drawn with replacement, each with both of its answers: difference of accuracies, its 95% interval, and the
 * share of drawn sets in which NEW is not better. */
static int compare(const char *new_path, const char *old_path) {
    static results a, b;
    static double difference[DRAWS];
    if (!for_rows(new_path, note, &a) || !for_rows(old_path, note, &b))
        return 2;
    if (a.n != b.n || a.n == 0) {
        fprintf(stderr, "%s has %d answers, %s has %d: expected the same problems\n", new_path, a.n, old_path,
                b.n);
        return 2;
    }
    int whole = 0, not_better = 0;
    rein_rng rng = rein_rng_make(1, 0);
    for (int i = 0; i < a.n; i++)
        whole += a.right[i] - b.right[i];
    for (int k = 0; k < DRAWS; k++) {
        int sum = 0;
        for (int i = 0; i < a.n; i++) {
            uint32_t at = rein_rng_below(&rng, (uint32_t)a.n);
            sum += a.right[at] - b.right[at];
        }
        difference[k] = (double)sum / a.n;
        not_better += sum <= 0;
    }
    qsort(difference, DRAWS, sizeof *difference, by_value);
    printf("%.5f %.5f %.5f %.4f\n", (double)whole / a.n, difference[DRAWS / 40],
           difference[DRAWS - 1 - DRAWS / 40], (double)not_better / DRAWS);
    return 0;
}

static int curve(const char *path, int slices) {
    static results s;
    if (slices < 1 || !for_rows(path, note, &s))
        return 2;
    puts("answers,score,accuracy,kl");
    for (int k = 0; k < slices; k++) {
        int from = (int)((long)s.n * k / slices), to = (int)((long)s.n * (k + 1) / slices);
        double score = 0, right = 0, kl = 0;
        for (int i = from; i < to; i++) {
            score += (double)s.reward[i] / (to - from);
            right += (double)s.right[i] / (to - from);
            kl += (double)s.kl[i] / (to - from);
        }
        printf("%d,%.4f,%.4f,%.4f\n", to, score, right, kl);
    }
    return 0;
}

/* ---- the command ----------------------------------------------------------------------------------------- */

static int show(void) {
    enum { N = 20000 };
    int right = 0, exposed = 0, failures = 0;
    for (int i = 0; i < N; i++) {
        char good[DIGITS + 2], shown[DIGITS + 2], prompt[PROMPT_BYTES];
        int doubtful = 0;
        long a = 0, b = 0, sum = 0;
        rein_rng rng = rein_rng_make(1, (uint64_t)i);
        problem p = draw(&rng, i & 1), again = {{0}, {0}};
        add(&p, NULL, good, &doubtful);
        add(&p, &rng, shown, NULL);
        for (int k = DIGITS; k-- > 0;) {
            a = 10 * a + p.a[k];
            b = 10 * b + p.b[k];
        }
        for (int k = DIGITS + 1; k-- > 0;)
            sum = 10 * sum + (good[k] - '0');
        state_problem(&p, prompt);
        failures += !read_problem(prompt, &again) || memcmp(&again, &p, sizeof p) != 0;
        failures += sum != a + b || (doubtful == 0 && strcmp(good, shown) != 0) || is_held_out(&p) != (i & 1);
        right += strcmp(good, shown) == 0;
        exposed += doubtful > 0;
    }
    printf(
        "%.1f%% of problems have a sum of digits that is misremembered; %.1f%% of demonstrations are right\n",
        100.0 * exposed / N, 100.0 * right / N);
    write_problems(3, 1, 0, 1);
    failures += read_problem("12+34=", &(problem){{0}, {0}});
    printf(failures ? "%d mistakes\n" : "sums agree with addition, and teachers go wrong where they should\n",
           failures);
    return failures != 0;
}

static int usage(void) {
    fprintf(stderr, "usage: arithmetic | arithmetic demonstrations|problems|heldout N SEED\n"
                    "       arithmetic check|pairs|rankings|labels|right FILE\n"
                    "       arithmetic compare NEW OLD | arithmetic curve ROLLOUTS N\n");
    return 2;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (argc == 1)
        return show();
    if (argc == 4 && strcmp(what, "demonstrations") == 0)
        return write_problems(atoi(argv[2]), strtoull(argv[3], NULL, 10), 0, 1);
    if (argc == 4 && strcmp(what, "problems") == 0)
        return write_problems(atoi(argv[2]), strtoull(argv[3], NULL, 10), 0, 0);
    if (argc == 4 && strcmp(what, "heldout") == 0)
        return write_problems(atoi(argv[2]), strtoull(argv[3], NULL, 10), 1, 0);
    if (argc == 4 && strcmp(what, "compare") == 0)
        return compare(argv[2], argv[3]);
    if (argc == 4 && strcmp(what, "curve") == 0)
        return curve(argv[2], atoi(argv[3]));
    if (argc == 3 && strcmp(what, "check") == 0)
        return check(argv[2]);
    if (argc == 3 && strcmp(what, "pairs") == 0)
        return write_groups(argv[2], write_pair);
    if (argc == 3 && strcmp(what, "rankings") == 0)
        return write_groups(argv[2], write_ranking);
    if (argc == 3 && strcmp(what, "labels") == 0)
        return for_rows(argv[2], write_label, NULL) ? 0 : 2;
    if (argc == 3 && strcmp(what, "right") == 0)
        return for_rows(argv[2], write_right, NULL) ? 0 : 2;
    return usage();
}
