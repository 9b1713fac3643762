/*
 * test_cliff_walking.c - Sutton and Barto's Example 6.6: on the cliff walk, with epsilon 0.1 throughout, Q-learning
 * learns the shortest path along the edge and falls off it while it explores; SARSA learns to keep away and earns more.
 *
 * Step size 0.5, no discount, 500 episodes, 100 seeds, compared in pairs.
 */
#include <math.h>
#include "support/learner_rig.h"

enum { SEEDS = 100, EPISODES = 500, FROM = 100, WIDTH = 12, MOST_STEPS = 100 };

static rein_env_type cliff;
static const char *const settings = "gamma=1 learning_rate=0.5 epsilon=0.1 n_episodes=1 episodes=500";

/* the greedy path from the start: its return, and how many of its steps it spends in the row above the cliff */
typedef struct path {
    double total;
    int along_the_edge;
    bool arrives;
} path;

static path walk_greedily(const learner *l) {
    static const int down[] = {-1, 0, 1, 0}, right[] = {0, 1, 0, -1};
    path p = {0};
    int row = 3, col = 0;
    for (int k = 0; k < MOST_STEPS && !p.arrives; k++) {
        int32_t a = reini_argmax(learner_table(l)->q + 4 * (row * WIDTH + col), 4, NULL);
        row = row + down[a] < 0 ? 0 : row + down[a] > 3 ? 3 : row + down[a];
        col = col + right[a] < 0 ? 0 : col + right[a] > WIDTH - 1 ? WIDTH - 1 : col + right[a];
        bool falls = row == 3 && col > 0 && col < WIDTH - 1;
        p.total -= falls ? 100 : 1;
        if (falls)
            col = 0;
        p.along_the_edge += row == 2 && col > 0 && col < WIDTH - 1;
        p.arrives = row == 3 && col == WIDTH - 1;
    }
    return p;
}

/* mean return of the episodes from FROM on, while learning */
static double learn(const char *algo, uint64_t seed, path *greedy) {
    learner l = learner_new(algo, &cliff, settings, 10000000, seed);
    double sum = 0;
    for (int k = 0; k < EPISODES; k++) {
        learner_iterate(&l);
        assert_int_equal(l.report.episodes, k + 1);
        sum += k >= FROM ? (double)learner_tabular(&l)->episodes.returns[k % REINI_WINDOW] : 0;
    }
    assert_true(l.report.done);
    *greedy = walk_greedily(&l);
    learner_free(&l);
    return sum / (EPISODES - FROM);
}

static double online[3][SEEDS];
static path greedy[3][SEEDS];
static const char *const algos[3] = {"q-learning", "sarsa", "expected-sarsa"};

static int play(void **state) {
    for (int i = 0; i < 3; i++)
        for (int s = 0; s < SEEDS; s++)
            online[i][s] = learn(algos[i], (uint64_t)s, &greedy[i][s]);
    return 0;
}

/* lower end of the 95% interval of the mean of learner i's return less that of Q-learning */
static double gain(int i, double *mean) {
    double sum = 0, squares = 0;
    for (int s = 0; s < SEEDS; s++)
        sum += online[i][s] - online[0][s];
    *mean = sum / SEEDS;
    for (int s = 0; s < SEEDS; s++)
        squares += pow(online[i][s] - online[0][s] - *mean, 2);
    return *mean - 1.96 * sqrt(squares / (SEEDS - 1) / SEEDS);
}

static void on_line_sarsa_earns_more(void **state) {
    for (int i = 1; i < 3; i++) {
        double mean, low = gain(i, &mean);
        print_message("# %s earns %.1f more than q-learning (at least %.1f)\n", algos[i], mean, low);
        assert_true(low > 15);
    }
}

static void q_learning_walks_the_edge(void **state) {
    int optimal = 0;
    for (int s = 0; s < SEEDS; s++)
        optimal += greedy[0][s].total == -13 && greedy[0][s].arrives && greedy[0][s].along_the_edge == 10;
    print_message("# q-learning: %d of %d greedy paths return -13\n", optimal, SEEDS);
    assert_true(optimal >= 98);
}

/* a step size of 0.5 leaves noise in Q: a few greedy paths walk in circles, most arrive by a longer way */
static void sarsa_keeps_away(void **state) {
    for (int i = 1; i < 3; i++) {
        int arrive = 0, away = 0;
        double steps = 0;
        for (int s = 0; s < SEEDS; s++)
            if (greedy[i][s].arrives) {
                arrive++;
                steps -= greedy[i][s].total;
                away += greedy[i][s].total <= -15 && greedy[i][s].along_the_edge < 5;
            }
        print_message("# %s: %d of %d greedy paths arrive, %d of them away from the edge, %.1f steps\n",
                      algos[i], arrive, SEEDS, away, steps / arrive);
        assert_true(arrive >= 70 && away >= arrive * 9 / 10 && steps / arrive >= 14.5);
    }
}

static int open_cliff(void **state) {
    return rein_env_open(rein_env_find("CliffWalking-v1"), NULL, &cliff) == REIN_OK ? play(state) : -1;
}

static int close_cliff(void **state) {
    rein_env_close(&cliff);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_line_sarsa_earns_more),
        cmocka_unit_test(q_learning_walks_the_edge),
        cmocka_unit_test(sarsa_keeps_away),
    };
    return cmocka_run_group_tests_name("cliff walking", tests, open_cliff, close_cliff);
}
