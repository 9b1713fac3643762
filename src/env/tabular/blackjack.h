/*
 * blackjack.h - the rules of Blackjack-v1, with the cards from anywhere.
 */
#ifndef REINI_BLACKJACK_H
#define REINI_BLACKJACK_H

#include <stdbool.h>
#include <stdint.h>
#include <rein/env.h>

/* Where cards come from: 1 = ace, 2 to 9, and 10 for a ten or a picture. */
typedef struct reini_deck {
    int (*draw)(void *source);
    void *source;
} reini_deck;

typedef struct reini_blackjack_rules {
    bool natural; /* a win with a natural (ace and ten dealt) earns 1.5 */
    bool sab;     /* a natural wins against everything but a natural; `natural` does not count then */
} reini_blackjack_rules;

/* Sum of a hand with aces as 1, and whether it has one. */
typedef struct reini_hand {
    int16_t hard, ace;
} reini_hand;

typedef struct reini_blackjack {
    reini_hand player;
    int16_t cards;           /* the player's */
    int16_t showing, hidden; /* the dealer's cards */
} reini_blackjack;

/* Value of a hand, with an ace as 11 where that does not go beyond 21; *usable: whether it does. */
static inline int reini_hand_sum(reini_hand hand, int *usable) {
    *usable = hand.ace && hand.hard + 10 <= 21;
    return hand.hard + 10 * *usable;
}

static inline reini_hand reini_hand_add(reini_hand hand, int card) {
    return (reini_hand){(int16_t)(hand.hard + card), (int16_t)(hand.ace | (card == 1))};
}

/* Draws the dealer's two cards, the first one showing, then the player's two. */
void reini_blackjack_deal(reini_blackjack *state, const reini_deck *deck);
/* Action 0 sticks: the dealer draws to 17, and the hands are compared. Action 1 draws a card for the player. */
rein_step reini_blackjack_play(const reini_blackjack_rules *rules, reini_blackjack *state, int32_t action,
                               const reini_deck *deck);
/* The player's sum, the dealer's showing card, the player's usable ace. */
void reini_blackjack_observe(const reini_blackjack *state, int32_t obs[3]);

#endif
