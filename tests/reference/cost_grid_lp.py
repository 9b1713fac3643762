#!/usr/bin/env python3
"""Solves CostGrid-v1 under limits on its costs, for tests/golden/test_cost_grid.c.

    python3 cost_grid_lp.py > ../golden/cost_grid_lp.txt

A constrained Markov decision process is a linear program over occupancies x(s, a) >= 0, the expected discounted numbers
of times that a policy is in s and does a (Altman 1999, chapter 8):

    maximise   sum x(s, a) r(s, a)
    subject to sum_a x(s', a) - gamma sum x(s, a) P(s'|s, a) = mu(s')      for every s' that is not terminal
               sum x(s, a) c_k(s, a) <= d_k                                for every limited cost k

The best policy is x(s, a) / sum_a x(s, a), the prices of the limits are their dual values. The world is built here from
its description, apart from the C code. There is no time limit. Needs numpy and scipy (written with 1.17.1).

Per problem a line `limits GAMMA D_HAZARD D_MUD RETURN HAZARD MUD PRICE_HAZARD PRICE_MUD` (inf = no limit), then
`pi STATE p(left) p(down) p(right) p(up)` for every state that the best policy visits.
"""
import numpy as np
from scipy.optimize import linprog

MAP = """
###########
#         #
#    X    #
#   XXX   #
#S XXXXX G#
#   MMM   #
#   ###   #
#         #
###########
""".split("\n")[1:-1]
GOAL_REWARD, STEP_REWARD, SLIP = 1.0, -0.05, 0.1
MOVES = [(0, -1), (1, 0), (0, 1), (-1, 0)]
INF = float("inf")
PROBLEMS = [(1, d, INF) for d in (INF, 4, 3, 2, 1, 0.5, 0.25, 0)]
PROBLEMS += [(1, 2, 0.5), (1, 0.5, 0.25), (1, 0, 0), (1, INF, 0)]
PROBLEMS += [(0.99, INF, INF), (0.99, 1, INF), (0.99, 0.5, 0.25), (0.99, 0, 0)]


def build():
    cells = [(y, x) for y, row in enumerate(MAP) for x, letter in enumerate(row) if letter != "#"]
    number = {cell: s for s, cell in enumerate(cells)}
    letter = [MAP[y][x] for y, x in cells]
    p = np.zeros((len(cells), 4, len(cells)))
    for (y, x), s in number.items():
        for a in range(4):
            for turn, chance in ((0, 1 - SLIP), (1, SLIP / 2), (3, SLIP / 2)):
                dy, dx = MOVES[(a + turn) % 4]
                p[s, a, number.get((y + dy, x + dx), s)] += chance
    entering = np.array([GOAL_REWARD if c == "G" else STEP_REWARD for c in letter])
    costs = np.array([[float(c == kind) for c in letter] for kind in "XM"])
    return letter, p, p @ entering, np.stack([p @ c for c in costs])


def solve(gamma, limits):
    letter, p, r, c = build()
    alive = [s for s, kind in enumerate(letter) if kind != "G"]
    n = len(alive)
    flow = np.zeros((n, n, 4))
    for i, s in enumerate(alive):
        flow[:, i, :] = -gamma * p[s][:, alive].T
        flow[i, i, :] += 1
    start = np.array([float(letter[s] == "S") for s in alive])
    kept = [k for k in range(2) if limits[k] < INF]
    result = linprog(-r[alive].ravel(), A_eq=flow.reshape(n, -1), b_eq=start / start.sum(),
                     A_ub=c[kept][:, alive].reshape(len(kept), n * 4) if kept else None,
                     b_ub=[limits[k] for k in kept] if kept else None, method="highs-ds",
                     options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10})
    assert result.status == 0, result.message
    prices = np.zeros(2)
    if kept:
        prices[kept] = -result.ineqlin.marginals
    x = result.x.reshape(n, 4)
    spent = [float((x * c[k][alive]).sum()) for k in range(2)]
    return alive, x, -result.fun, spent, prices


def main():
    for gamma, *limits in PROBLEMS:
        alive, x, value, spent, prices = solve(gamma, limits)
        print("limits", gamma, *limits, *(f"{v:.10g}" for v in (value, *spent, *prices)))
        for s, row in zip(alive, x):
            if row.sum() > 1e-9:
                print("pi", s, *(f"{v:.10g}" for v in np.maximum(row, 0) / row.sum()))


if __name__ == "__main__":
    main()
