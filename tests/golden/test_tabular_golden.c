/*
 * test_tabular_golden.c - the tables of the tabular environments are Gymnasium's, and so is every hand of Blackjack.
 *
 * Rows are compared outcome by outcome (next state, reward, terminated; equal ones merged) in Gymnasium's order, with
 * probabilities within 1e-15, for every state that is not terminal here. Whether an outcome terminates may differ only
 * in states that no episode visits: Gymnasium terminates Taxi on the delivery, we on its outcome. Hands are played with
 * the recorded cards, from the recorded deal.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <rein/env.h>
#include "env/tabular/blackjack.h"
#include "support/check.h"
#include "support/temp_dir.h"

#define TOLERANCE 1e-15

enum { WORDS = 2048, OUTCOMES = 16 };

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static FILE *golden;
static char *line;
static size_t line_room;
static char *word[WORDS];
static int n_words;

static void golden_open(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/%s", REIN_SOURCE_DIR, name);
    golden = fopen(path, "r");
    if (golden == NULL)
        fail_msg("%s cannot be read", path);
}

static void golden_close(void) {
    free(line);
    line = NULL;
    fclose(golden);
}

/* the words of the next line; false at the end */
static bool next_line(void) {
    char *rest = NULL;
    if (getline(&line, &line_room, golden) < 0)
        return false;
    n_words = 0;
    for (char *w = strtok_r(line, " \n", &rest); w; w = strtok_r(NULL, " \n", &rest)) {
        assert_true(n_words < WORDS);
        word[n_words++] = w;
    }
    return true;
}

static double number(int i) {
    assert_true(i < n_words);
    return strtod(word[i], NULL);
}

static int32_t integer(int i) {
    return (int32_t)number(i);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

typedef struct outcome {
    rein_outcome o;
    bool terminated;
} outcome;

typedef struct subject {
    char name[32]; /* of the environment, for messages */
    rein_env_type opened;
    void *config;
    uint8_t *visited;    /* (S) */
    int n_visited;       /* states an episode can visit, terminal ones included */
    int rows, unvisited; /* rows compared; differences of flags in states that no episode visits */
} subject;

/* the environment of an "env" line, with the map of the line after it when there is one; the line after that is read */
static void open_subject(subject *u) {
    const rein_env_type *type = rein_env_find(word[1]);
    int32_t states = integer(2), actions = integer(3), horizon = integer(4);
    double threshold = number(5);
    assert_non_null(type);
    *u = (subject){.config = calloc(1, type->config_size + 1)};
    snprintf(u->name, sizeof u->name, "%s", word[1]);
    rein_fields_default(type->fields, type->n_fields, u->config);
    for (int i = 6; i < n_words; i++) {
        char *value = strchr(word[i], '=');
        *value = 0;
        assert_ok(rein_fields_set(type->fields, type->n_fields, u->config, word[i], value + 1));
    }
    assert_true(next_line());
    if (strcmp(word[0], "map") == 0) {
        char text[256] = "";
        for (int i = 1; i < n_words; i++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", word[i]);
        temp_write(temp_path("map.txt"), text, strlen(text));
        assert_ok(rein_fields_set(type->fields, type->n_fields, u->config, "map", temp_path("map.txt")));
        assert_true(next_line());
    }
    assert_ok(rein_env_open(type, u->config, &u->opened));
    assert_non_null(u->opened.mdp);
    assert_int_equal(rein_mdp_states(u->opened.mdp), states);
    assert_int_equal(rein_mdp_actions(u->opened.mdp), actions);
    assert_int_equal(u->opened.horizon, horizon);
    assert_true(isnan(threshold) ? isnan(u->opened.reward_threshold)
                                 : u->opened.reward_threshold == threshold);
}

static void close_subject(subject *u) {
    rein_env_close(&u->opened);
    free(u->config);
    free(u->visited);
}

/* Marks what can be visited from a first state on. */
static void visit(subject *u) {
    const rein_mdp *mdp = u->opened.mdp;
    int32_t states = rein_mdp_states(mdp), s, *queue = calloc((size_t)states, sizeof *queue);
    double p;
    u->visited = calloc((size_t)states, 1);
    for (int32_t i = 0; rein_mdp_start_at(mdp, i, &s, &p); i++) {
        u->visited[s] = 1;
        queue[u->n_visited++] = s;
    }
    for (int i = 0; i < u->n_visited; i++)
        for (int32_t a = 0; a < rein_mdp_actions(mdp); a++) {
            rein_outcome row[OUTCOMES];
            int n = rein_mdp_row(mdp, queue[i], a, row, OUTCOMES);
            for (int k = 0; k < n; k++)
                if (!u->visited[row[k].next]) {
                    u->visited[row[k].next] = 1;
                    queue[u->n_visited++] = row[k].next;
                }
        }
    free(queue);
}

/* adds an outcome to a set; returns the new size */
static int merge(outcome *set, int n, outcome add) {
    for (int i = 0; i < n; i++)
        if (set[i].o.next == add.o.next && set[i].o.reward == add.o.reward &&
            set[i].terminated == add.terminated) {
            set[i].o.probability += add.o.probability;
            return n;
        }
    assert_true(n < OUTCOMES);
    set[n] = add;
    return n + 1;
}

static int table_row(const rein_mdp *mdp, int32_t s, int32_t a, outcome *set) {
    rein_outcome row[OUTCOMES];
    int n = rein_mdp_row(mdp, s, a, row, OUTCOMES), size = 0;
    assert_in_range(n, 1, OUTCOMES);
    for (int k = 0; k < n; k++)
        size = merge(set, size, (outcome){row[k], rein_mdp_is_terminal(mdp, row[k].next, NULL)});
    return size;
}

static void check_row(subject *u, int32_t s, int32_t a) {
    outcome set[OUTCOMES];
    int n = table_row(u->opened.mdp, s, a, set), expected = (n_words - 1) / 4;
    if (n != expected)
        fail_msg("%s, state %d, action %d: %d outcomes, %d expected", u->name, s, a, n, expected);
    for (int i = 0; i < expected; i++) {
        int32_t next = integer(1 + 4 * i);
        double p = number(2 + 4 * i), reward = number(3 + 4 * i);
        if (set[i].o.next != next || set[i].o.reward != reward ||
            !(fabs(set[i].o.probability - p) <= TOLERANCE))
            fail_msg("%s, state %d, action %d: outcome %d is not next %d, reward %g with %.17g", u->name, s,
                     a, i, next, reward, p);
        if (set[i].terminated != integer(4 + 4 * i)) {
            if (u->visited[s])
                fail_msg("%s, state %d, action %d: next %d terminates here or there", u->name, s, a, next);
            u->unvisited++;
        }
    }
    u->rows++;
}

static void check_starts(const rein_mdp *mdp) {
    int32_t s;
    double p;
    assert_string_equal(word[0], "start");
    for (int32_t i = 0; i < (n_words - 1) / 2; i++) {
        assert_true(rein_mdp_start_at(mdp, i, &s, &p));
        assert_int_equal(s, integer(1 + 2 * i));
        assert_true(fabs(p - number(2 + 2 * i)) <= TOLERANCE);
    }
    assert_false(rein_mdp_start_at(mdp, (n_words - 1) / 2, &s, &p));
}

static void check_masks(const rein_env_type *opened) {
    int32_t actions = rein_mdp_actions(opened->mdp);
    assert_non_null(opened->mask);
    assert_int_equal(n_words - 1, rein_mdp_states(opened->mdp));
    for (int32_t s = 0; s < n_words - 1; s++) {
        uint8_t mask[8];
        opened->mask(opened->model, &s, mask);
        for (int32_t a = 0; a < actions; a++)
            assert_int_equal(mask[a], word[1 + s][a] - '0');
    }
}

/* The table at the current line; the line after it is read, false when there is none. */
static bool check_table(int *n_visited, int *n_unvisited) {
    subject u;
    bool more;
    open_subject(&u);
    visit(&u);
    check_starts(u.opened.mdp);
    more = next_line();
    if (more && strcmp(word[0], "masks") == 0) {
        check_masks(&u.opened);
        more = next_line();
    } else {
        assert_null(u.opened.mask);
    }
    for (int32_t i = 0; more && strcmp(word[0], "row") == 0; i++, more = next_line()) {
        int32_t s = i / rein_mdp_actions(u.opened.mdp), a = i % rein_mdp_actions(u.opened.mdp);
        if (!rein_mdp_is_terminal(u.opened.mdp, s, NULL))
            check_row(&u, s, a);
    }
    assert_int_not_equal(u.rows, 0);
    print_message("%s: %d rows, %d states visited, %d flags differ where no episode comes\n", u.name, u.rows,
                  u.n_visited, u.unvisited);
    *n_visited = u.n_visited;
    *n_unvisited = u.unvisited;
    close_subject(&u);
    return more;
}

/* all tables of a file; returns how many there were */
static int check_tables(const char *name, int *n_visited, int *n_unvisited) {
    int n = 0;
    golden_open(name);
    bool more = next_line();
    for (; more; n++)
        more = check_table(n_visited, n_unvisited);
    golden_close();
    return n;
}

static void test_frozen_lake(void **state) {
    int visited, unvisited;
    assert_int_equal(check_tables("tabular_lake.txt", &visited, &unvisited), 7);
    assert_int_equal(unvisited, 0);
}

static void test_cliff_walking(void **state) {
    int visited, unvisited;
    assert_int_equal(check_tables("tabular_cliff.txt", &visited, &unvisited), 3);
    assert_int_equal(unvisited, 0);
}

/* 400 states of episodes under way and the 4 of deliveries, as Gymnasium's documentation has it */
static void check_taxi(const char *name) {
    int visited, unvisited;
    assert_int_equal(check_tables(name, &visited, &unvisited), 1);
    assert_int_equal(visited, 404);
    assert_true(unvisited > 0);
}

static void test_taxi(void **state) {
    check_taxi("tabular_taxi.txt");
}

static void test_taxi_rain(void **state) {
    check_taxi("tabular_taxi_rain.txt");
    check_taxi("tabular_taxi_storm.txt");
}

/* ---- hands of Blackjack ------------------------------------------------------------------------------------------ */

/* the words of the line that hold cards yet to draw */
typedef struct recorded_cards {
    int at;
} recorded_cards;

static int draw_recorded(void *source) {
    recorded_cards *cards = source;
    if (cards->at >= n_words)
        fail_msg("more cards are drawn than Gymnasium drew");
    return integer(cards->at++);
}

static void check_observation(const reini_blackjack *hand, int at) {
    int32_t obs[3];
    reini_blackjack_observe(hand, obs);
    for (int k = 0; k < 3; k++)
        assert_int_equal(obs[k], integer(at + k));
}

static void check_defaults(const reini_blackjack_rules *rules) {
    const rein_env_type *type = rein_env_find("Blackjack-v1");
    int config[2], natural = rein_fields_find(type->fields, type->n_fields, "natural");
    int sab = rein_fields_find(type->fields, type->n_fields, "sab");
    assert_int_equal(type->config_size, sizeof config);
    rein_fields_default(type->fields, type->n_fields, config);
    assert_int_equal(config[type->fields[natural].offset / sizeof(int)], rules->natural);
    assert_int_equal(config[type->fields[sab].offset / sizeof(int)], rules->sab);
}

static void play_line(const reini_blackjack_rules *rules, reini_blackjack *hand) {
    recorded_cards cards = {7};
    rein_step step = reini_blackjack_play(rules, hand, integer(1), &(reini_deck){draw_recorded, &cards});
    assert_true((double)step.reward == number(2));
    assert_int_equal(step.terminated, integer(3));
    assert_false(step.truncated);
    check_observation(hand, 4);
    assert_int_equal(cards.at, n_words);
}

static void test_blackjack(void **state) {
    reini_blackjack_rules rules = {0};
    reini_blackjack hand = {0};
    int deals = 0, plays = 0, more_than_a_win = 0;
    golden_open("tabular_blackjack.txt");
    while (next_line()) {
        if (strcmp(word[0], "rules") == 0) {
            rules = (reini_blackjack_rules){.natural = integer(1), .sab = integer(2)};
            if (integer(3))
                check_defaults(&rules);
        } else if (strcmp(word[0], "deal") == 0) {
            recorded_cards cards = {1};
            reini_blackjack_deal(&hand, &(reini_deck){draw_recorded, &cards});
            assert_int_equal(cards.at, 5);
            check_observation(&hand, 5);
            deals++;
        } else {
            play_line(&rules, &hand);
            more_than_a_win += number(2) > 1;
            plays++;
        }
    }
    golden_close();
    assert_int_equal(deals, 3200 + 4 * 8 * 9); /* at random, and laid out */
    assert_true(plays > deals && more_than_a_win > 0);
    print_message("Blackjack-v1: %d hands, %d plays\n", deals, plays);
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

/* Taxi-v3 has the tables of Taxi-v4, which are Gymnasium's. */
static void test_taxi_v3(void **state) {
    rein_env_type old, new;
    assert_ok(rein_env_open(rein_env_find("Taxi-v3"), NULL, &old));
    assert_ok(rein_env_open(rein_env_find("Taxi-v4"), NULL, &new));
    assert_true(old.horizon == new.horizon &&old.reward_threshold == new.reward_threshold);
    for (int32_t s = 0; s < 500; s++) {
        uint8_t mask[2][6];
        assert_int_equal(rein_mdp_is_terminal(old.mdp, s, NULL), rein_mdp_is_terminal(new.mdp, s, NULL));
        old.mask(old.model, &s, mask[0]);
        new.mask(new.model, &s, mask[1]);
        assert_memory_equal(mask[0], mask[1], 6);
        for (int32_t a = 0; a < 6; a++) {
            rein_outcome x[OUTCOMES], y[OUTCOMES];
            int n = rein_mdp_row(old.mdp, s, a, x, OUTCOMES);
            assert_int_equal(n, rein_mdp_row(new.mdp, s, a, y, OUTCOMES));
            for (int k = 0; k < n; k++)
                assert_true(x[k].next == y[k].next && x[k].reward == y[k].reward &&
                            x[k].probability == y[k].probability);
        }
    }
    rein_env_close(&old);
    rein_env_close(&new);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frozen_lake), cmocka_unit_test(test_cliff_walking),
        cmocka_unit_test(test_taxi),        cmocka_unit_test(test_taxi_rain),
        cmocka_unit_test(test_blackjack),   cmocka_unit_test(test_taxi_v3),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
