/*
 * blackjack.c - Blackjack-v1: draw cards up to 21, then let the dealer draw.
 *
 * Source: Sutton and Barto, "Reinforcement Learning: An Introduction", Example 5.1, as Gymnasium's Blackjack-v1. Cards
 * come from 13 ranks with replacement. The observation is (player's sum, dealer's showing card, usable ace); actions: 0
 * stick, 1 hit. Beyond 21 the player loses at once; after a stick the dealer draws until 17 or more. Win 1, draw 0, loss
 * -1. The settings are Gymnasium's, with its defaults of the registered id: sab, the book's rules, in which a natural
 * (an ace and a ten dealt) beats every dealer's hand but a natural; without it, `natural` pays 1.5 for winning with one.
 *
 * Tables (mdp): with both settings off. Under sab or natural the reward for sticking on 21 depends on whether the 21 was
 * dealt or drawn, which the observation does not show, so that no MDP on the observations is exact. States are the
 * observations' indices; those that no hand shows are terminal with value 0, those beyond 21 are the lost hands, and a
 * stick leads to the unused state (0, 0, 0), where the hand is over.
 */
#include "env/tabular/blackjack.h"

#include <math.h>
#include "env/env_types.h"
#include "env/tabular/mdp_env.h"

#define BLACKJACK_FIELDS(F, E)                                                                               \
    F(BOOL, natural, "false", 0, 1,                                                                          \
      "whether winning with a natural earns 1.5 (without sab); no planning then")                            \
    F(BOOL, sab, "true", 0, 1,                                                                               \
      "Sutton and Barto's rules: a natural wins but against a natural; no planning then")

typedef struct blackjack_config {
    REIN_FIELDS_STRUCT(BLACKJACK_FIELDS)
} blackjack_config;

#define REIN_FIELD_OWNER blackjack_config
static const rein_field blackjack_fields[] = {REIN_FIELDS_TABLE(BLACKJACK_FIELDS)};
#undef REIN_FIELD_OWNER

typedef struct blackjack_model {
    reini_mdp_env env; /* mdp: NULL where the observation hides the reward */
    reini_blackjack_rules rules;
} blackjack_model;

enum { SUMS = 32, CARDS = 11, BEST = 21, DEALER_STANDS = 17, OVER = 0 };

/* ---- the rules ------------------------------------------------------------------------------------------------- */

void reini_blackjack_deal(reini_blackjack *state, const reini_deck *deck) {
    *state = (reini_blackjack){.cards = 2};
    state->showing = (int16_t)deck->draw(deck->source);
    state->hidden = (int16_t)deck->draw(deck->source);
    for (int i = 0; i < 2; i++)
        state->player = reini_hand_add(state->player, deck->draw(deck->source));
}

static int sign(int x) {
    return (x > 0) - (x < 0);
}

static bool is_natural(reini_hand hand, int cards) {
    return cards == 2 && hand.ace && hand.hard == 11;
}

/* the player sticks: the dealer's hand, and who wins */
static float show_hands(const reini_blackjack_rules *rules, const reini_blackjack *state,
                        const reini_deck *deck) {
    int usable, cards = 2, player = reini_hand_sum(state->player, &usable), sum;
    reini_hand dealer = reini_hand_add(reini_hand_add((reini_hand){0}, state->showing), state->hidden);
    while ((sum = reini_hand_sum(dealer, &usable)) < DEALER_STANDS) {
        dealer = reini_hand_add(dealer, deck->draw(deck->source));
        cards++;
    }
    int result = sign(player - (sum > BEST ? 0 : sum));
    bool natural = is_natural(state->player, state->cards);
    if (rules->sab)
        return natural && !is_natural(dealer, cards) ? 1 : (float)result;
    return rules->natural && natural && result > 0 ? 1.5f : (float)result;
}

rein_step reini_blackjack_play(const reini_blackjack_rules *rules, reini_blackjack *state, int32_t action,
                               const reini_deck *deck) {
    if (action == 0)
        return (rein_step){.reward = show_hands(rules, state, deck), .terminated = true};
    state->player = reini_hand_add(state->player, deck->draw(deck->source));
    state->cards++;
    bool bust = state->player.hard > BEST;
    return (rein_step){.reward = bust ? -1 : 0, .terminated = bust};
}

void reini_blackjack_observe(const reini_blackjack *state, int32_t obs[3]) {
    int usable;
    obs[0] = reini_hand_sum(state->player, &usable);
    obs[1] = state->showing;
    obs[2] = usable;
}

/* ---- playing --------------------------------------------------------------------------------------------------- */

static int draw_card(void *rng) {
    int rank = (int)rein_rng_below(rng, 13) + 1;
    return rank < 10 ? rank : 10;
}

static void blackjack_reset(const void *model, void *state, rein_rng *rng) {
    reini_deck deck = {draw_card, rng};
    reini_blackjack_deal(state, &deck);
}

static rein_step blackjack_step(const void *model, void *state, const void *action, rein_rng *rng) {
    const blackjack_model *m = model;
    reini_deck deck = {draw_card, rng};
    return reini_blackjack_play(&m->rules, state, *(const int32_t *)action, &deck);
}

static void blackjack_observe(const void *model, const void *state, void *obs) {
    reini_blackjack_observe(state, obs);
}

/* ---- the tables ------------------------------------------------------------------------------------------------ */

static double card_probability(int card) {
    return card == 10 ? 4.0 / 13.0 : 1.0 / 13.0;
}

static int32_t state_of(int sum, int showing, int usable) {
    return (sum * CARDS + showing) * 2 + usable;
}

static int32_t state_of_hand(reini_hand hand, int showing) {
    int usable, sum = reini_hand_sum(hand, &usable);
    return state_of(sum, showing, usable);
}

/* Adds to final the probabilities of the dealer's last sums, 0 for beyond 21, from a hand of probability p. */
static void play_dealer(reini_hand hand, double p, double final[BEST + 1]) {
    int usable, sum = reini_hand_sum(hand, &usable);
    if (sum >= DEALER_STANDS) {
        final[sum > BEST ? 0 : sum] += p;
        return;
    }
    for (int card = 1; card <= 10; card++)
        play_dealer(reini_hand_add(hand, card), p * card_probability(card), final);
}

static void dealer_sums(int showing, double final[BEST + 1]) {
    reini_hand hand = reini_hand_add((reini_hand){0}, showing);
    for (int sum = 0; sum <= BEST; sum++)
        final[sum] = 0;
    for (int card = 1; card <= 10; card++)
        play_dealer(reini_hand_add(hand, card), card_probability(card), final);
}

static rein_status add_stick(rein_mdp *mdp, int32_t state, int sum, const double final[BEST + 1]) {
    double p[3] = {0, 0, 0}; /* loss, draw, win */
    rein_outcome outcomes[3];
    int n = 0;
    for (int dealer = 0; dealer <= BEST; dealer++)
        p[1 + sign(sum - dealer)] += final[dealer];
    for (int i = 0; i < 3; i++)
        if (p[i] > 0)
            outcomes[n++] = (rein_outcome){OVER, p[i], i - 1};
    return rein_mdp_add(mdp, state, 0, n, outcomes);
}

static rein_status add_hit(rein_mdp *mdp, int32_t state, reini_hand hand, int showing) {
    rein_outcome outcomes[10];
    for (int card = 1; card <= 10; card++) {
        reini_hand next = reini_hand_add(hand, card);
        double reward = next.hard > BEST ? -1 : 0;
        outcomes[card - 1] = (rein_outcome){state_of_hand(next, showing), card_probability(card), reward};
    }
    return rein_mdp_add(mdp, state, 1, 10, outcomes);
}

/* The rows of an observation, or that it is terminal: sums of 4 to 21, and of 12 to 21 with a usable ace. */
static rein_status add_state(rein_mdp *mdp, int sum, int showing, int usable, const double final[BEST + 1]) {
    int32_t state = state_of(sum, showing, usable);
    if (showing == 0 || sum > BEST || sum < (usable ? 12 : 4))
        return rein_mdp_terminal(mdp, state, 0);
    /* without a usable ace it does not matter whether the hand has one */
    reini_hand hand = {(int16_t)(usable ? sum - 10 : sum), (int16_t)usable};
    REINI_TRY(add_stick(mdp, state, sum, final));
    return add_hit(mdp, state, hand, showing);
}

static rein_status add_starts(rein_mdp *mdp) {
    for (int first = 1; first <= 10; first++)
        for (int second = 1; second <= 10; second++)
            for (int showing = 1; showing <= 10; showing++) {
                reini_hand hand = reini_hand_add(reini_hand_add((reini_hand){0}, first), second);
                double p = card_probability(first) * card_probability(second) * card_probability(showing);
                REINI_TRY(rein_mdp_start(mdp, state_of_hand(hand, showing), p));
            }
    return REIN_OK;
}

/* rows: the player's sum from 21 down; columns: the dealer's card from the ace up */
static rein_status add_panel(rein_mdp *mdp, const char *title, int lowest, int usable) {
    int32_t states[(BEST - 4 + 1) * 10];
    int n = 0;
    for (int sum = BEST; sum >= lowest; sum--)
        for (int showing = 1; showing <= 10; showing++)
            states[n++] = state_of(sum, showing, usable);
    rein_panel panel = {title, BEST - lowest + 1, 10, states, NULL};
    return rein_mdp_add_panel(mdp, &panel);
}

static rein_status fill(rein_mdp *mdp) {
    static const reini_action_label labels[] = {{"stick", 'S'}, {"hit", 'H'}};
    double final[CARDS][BEST + 1] = {{0}};
    REINI_TRY(reini_label_actions(mdp, labels, 2));
    for (int showing = 1; showing < CARDS; showing++)
        dealer_sums(showing, final[showing]);
    for (int sum = 0; sum < SUMS; sum++)
        for (int showing = 0; showing < CARDS; showing++)
            for (int usable = 0; usable < 2; usable++)
                REINI_TRY(add_state(mdp, sum, showing, usable, final[showing]));
    REINI_TRY(add_starts(mdp));
    REINI_TRY(add_panel(mdp, "usable ace: player 21 to 12 (down), dealer A to 10 (across)", 12, 1));
    return add_panel(mdp, "no usable ace: player 21 to 4 (down), dealer A to 10 (across)", 4, 0);
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static void blackjack_close(rein_env_type *opened) {
    reini_free(opened->model);
}

static rein_status open_tables(rein_env_type *opened) {
    rein_mdp *mdp = NULL;
    rein_space obs = opened->obs;
    rein_status status = rein_mdp_new(SUMS * CARDS * 2, 2, false, &mdp);
    if (status == REIN_OK)
        status = fill(mdp);
    status = reini_mdp_env_open(status, mdp, sizeof(blackjack_model), opened);
    opened->obs = obs;
    return status;
}

static rein_status blackjack_open(const void *config, rein_env_type *opened) {
    const blackjack_config *c = config;
    if (!c->natural && !c->sab)
        return open_tables(opened);
    blackjack_model *model = REINI_NEW(blackjack_model);
    if (!model)
        return reini_fail_memory(sizeof *model, "the model of an environment");
    model->rules = (reini_blackjack_rules){.natural = c->natural, .sab = c->sab};
    opened->model = model;
    opened->close = blackjack_close;
    opened->no_mdp =
        "its observation hides whether 21 was dealt or drawn, which these rules pay differently; "
        "--env.sab=false --env.natural=false makes it one";
    return REIN_OK;
}

const rein_env_type reini_env_blackjack = {
    .abi = REIN_ENV_ABI,
    .id = "Blackjack-v1",
    .doc = "draw cards up to 21, then let the dealer draw; reward 1, 0 or -1",
    .obs = {.kind = REIN_SPACE_MULTI_DISCRETE, .size = 3, .n = {SUMS, CARDS, 2}},
    .act = REINI_DISCRETE(2),
    .state_size = sizeof(reini_blackjack),
    REINI_ENV_FIELDS(blackjack_config, blackjack_fields),
    .reward_threshold = NAN,
    .reset = blackjack_reset,
    .step = blackjack_step,
    .observe = blackjack_observe,
    .open = blackjack_open,
};
