"""Writes tests/golden/tabular_learners.json: tabular learners replaying one list of transitions.

    python tests/reference/tabular_learners.py

Every rule is written again here from the book (Sutton and Barto, 2nd ed.), the long way round: whole episodes are
kept, sums are taken from scratch, traces are full vectors, least squares goes through numpy. The C learners are
driven by the same transitions through an environment that plays the list. A case is (learner, settings, masked);
its snapshots are the learner's table after each 150 steps.
"""

import json
import pathlib

import numpy as np

S, A, N, EVERY, GAMMA, SEED = 6, 3, 600, 150, 0.9, 7


def make_transitions(rng, mask):
    """(s, a, r, next, terminated, truncated, next action): episodes of random length; rewards are exact in float."""
    steps, s, a = [], 0, 0
    while len(steps) < N:
        if not steps or steps[-1]["end"]:
            s = int(rng.integers(S))
            a = int(rng.choice(np.flatnonzero(mask[s])))
        following = int(rng.integers(S))
        u = rng.random()
        terminated, truncated = u < 0.06, 0.06 <= u < 0.12
        a_next = int(rng.choice(np.flatnonzero(mask[following])))
        steps.append(dict(s=s, a=a, r=int(rng.integers(-16, 17)) / 8, n=following, t=bool(terminated),
                          c=bool(truncated), b=a_next, end=bool(terminated or truncated)))
        s, a = following, a_next
    return steps


def allowed(mask, s):
    return np.flatnonzero(mask[s])


def expectation(row, how, ok):
    """Mean of the values under the policy that explores; how = ("epsilon", e) or ("softmax", T)."""
    kind, x = how
    if kind == "epsilon":
        return (1 - x) * row[ok].max() + x * row[ok].mean()
    p = np.exp((row[ok] - row[ok].max()) / x)
    return float(p @ row[ok] / p.sum())


def rates(rate, final=None):
    """Step size at each step: constant, or linear to `final` in blocks of 256 steps."""
    if final is None:
        return [rate] * N
    return [rate + (final - rate) * (k // 256 * 256) / N for k in range(N)]


class Snapshots(list):
    def after(self, k, table):
        if (k + 1) % EVERY == 0:
            self.append(np.array(table, dtype=float).tolist())


# ---- one-step control ------------------------------------------------------------------------------------------


def one_step(steps, mask, target, alpha=0.25, init=0.0, average=False, schedule=None):
    q, count, out = np.full((S, A), init), np.zeros((S, A)), Snapshots()
    size = schedule or rates(alpha)
    for k, x in enumerate(steps):
        following = 0.0 if x["t"] else target(q, x, allowed(mask, x["n"]))
        count[x["s"], x["a"]] += 1
        step = 1 / count[x["s"], x["a"]] if average else size[k]
        q[x["s"], x["a"]] += step * (x["r"] + GAMMA * following - q[x["s"], x["a"]])
        out.after(k, q)
    return out


def best(q, x, ok):
    return q[x["n"]][ok].max()


def taken(q, x, ok):
    return q[x["n"], x["b"]]


def expected(how):
    return lambda q, x, ok: expectation(q[x["n"]], how, ok)


def philox(key, low, high):
    c = [low & 0xFFFFFFFF, low >> 32, high & 0xFFFFFFFF, high >> 32]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def double_q(steps, mask, alpha=0.25):
    q, out = [np.zeros((S, A)), np.zeros((S, A))], Snapshots()
    for k, x in enumerate(steps):
        one = philox(SEED, k // 4, 0x434F494E)[k % 4] & 1
        mine, other = q[one], q[1 - one]
        ok = allowed(mask, x["n"])
        following = 0.0 if x["t"] else other[x["n"], ok[np.argmax(mine[x["n"]][ok])]]
        mine[x["s"], x["a"]] += alpha * (x["r"] + GAMMA * following - mine[x["s"], x["a"]])
        out.after(k, (q[0] + q[1]) / 2)
    return out


# ---- n steps ---------------------------------------------------------------------------------------------------


def n_step(steps, n, alpha, shape, entry, follows):
    """The boxes of sections 7.1 and 7.2, with the whole list at hand: step tau is learned at time tau + n - 1, or at the
    end of its episode if that is earlier."""
    table, out, start = np.zeros(shape), Snapshots(), 0
    for k, x in enumerate(steps):
        value = 0.0 if x["t"] else table[follows(x)]
        due = []
        if x["end"]:
            due = range(max(start, k - n + 1), k + 1)
            start = k + 1
        elif k - n + 1 >= start:
            due = [k - n + 1]
        for tau in due:
            target = sum(GAMMA ** (j - tau) * steps[j]["r"] for j in range(tau, k + 1))
            target += GAMMA ** (k + 1 - tau) * value
            table[entry(steps[tau])] += alpha * (target - table[entry(steps[tau])])
        out.after(k, table)
    return out


def state(x):
    return x["s"]


def next_state(x):
    return x["n"]


def pair(x):
    return x["s"], x["a"]


def next_pair(x):
    return x["n"], x["b"]


# ---- traces ----------------------------------------------------------------------------------------------------


def traces(steps, lam, kind, alpha, shape, entry, follows):
    w, z, old, out = np.zeros(shape), np.zeros(shape), 0.0, Snapshots()
    for k, x in enumerate(steps):
        indicator = np.zeros(shape)
        indicator[entry(x)] = 1
        v, v_next = w[entry(x)], 0.0 if x["t"] else w[follows(x)]
        delta = x["r"] + GAMMA * v_next - v
        if kind == "dutch":
            z = GAMMA * lam * z + (1 - alpha * GAMMA * lam * z[entry(x)]) * indicator
            w = w + alpha * (delta + v - old) * z - alpha * (v - old) * indicator
            old = v_next
        else:
            z = GAMMA * lam * z
            z[entry(x)] = 1 if kind == "replacing" else z[entry(x)] + 1
            w = w + alpha * delta * z
        if x["end"]:
            z, old = np.zeros(shape), 0.0
        out.after(k, w)
    return out


# ---- whole episodes --------------------------------------------------------------------------------------------


def episodes_until(steps, k):
    """Lists of the steps of the episodes that have ended by step k."""
    done, now = [], []
    for x in steps[:k + 1]:
        now.append(x)
        if x["end"]:
            done.append(now)
            now = []
    return done


def monte_carlo(steps, mask, visits, control, alpha=None, how=("epsilon", 0.3)):
    """alpha None: the mean of all returns so far, from scratch."""
    shape = (S, A) if control else (S,)
    entry = pair if control else state
    table, out, returns = np.zeros(shape), Snapshots(), {}
    now = []
    for k, x in enumerate(steps):
        now.append(x)
        if x["end"]:
            G = 0.0
            if not x["t"]:
                G = expectation(table[x["n"]], how, allowed(mask, x["n"])) if control else table[x["n"]]
            for j in reversed(range(len(now))):
                G = now[j]["r"] + GAMMA * G
                e = entry(now[j])
                if visits == "first" and any(entry(y) == e for y in now[:j]):
                    continue
                returns.setdefault(e, []).append(G)
                table[e] = np.mean(returns[e]) if alpha is None else table[e] + alpha * (G - table[e])
            now = []
        out.after(k, table)
    return out


def lstd(steps, lam, ridge):
    out, M, b, z = Snapshots(), np.zeros((S, S)), np.zeros(S), np.zeros(S)
    eye = np.eye(S)
    for k, x in enumerate(steps):
        z = GAMMA * lam * z + eye[x["s"]]
        M += np.outer(z, eye[x["s"]] - (0 if x["t"] else GAMMA) * eye[x["n"]])
        b += z * x["r"]
        if x["end"]:
            z = np.zeros(S)
        out.after(k, np.linalg.solve(M + ridge * eye, b))
    return out


def importance(steps, mask, pi, epsilon, estimator, per_decision):
    """Table and the five figures, each from scratch over the episodes so far."""
    table, out, figures, samples, done = np.zeros(S), Snapshots(), [], [[] for _ in range(S)], []

    def ratio(x):
        ok = mask[x["s"]]
        mu = ok / ok.sum()
        p = pi[x["s"]] * ok / (pi[x["s"]] * ok).sum()
        mu = (1 - epsilon) * mu + epsilon * ok / ok.sum()
        return p[x["a"]] / mu[x["a"]]

    now = []
    for k, x in enumerate(steps):
        now.append(x)
        if x["end"]:
            last = 0.0 if x["t"] else table[x["n"]]
            tail = [y["r"] for y in now] + [last]
            rho = [ratio(y) for y in now]
            G = [sum(GAMMA ** (i - j) * tail[i] for i in range(j, len(tail))) for j in range(len(now))]
            for j, y in enumerate(now):
                if y["s"] not in [w["s"] for w in now[:j]]:
                    samples[y["s"]].append((np.prod(rho[j:]), G[j]))
            done.append((np.prod(rho), G[0], np.cumprod(rho), tail))
            for s in {y["s"] for y in now}:
                w = np.array([p[0] for p in samples[s]])
                g = np.array([p[1] for p in samples[s]])
                if estimator == "ordinary":
                    table[s] = (w * g).mean()
                elif w.sum() > 0:
                    table[s] = (w * g).sum() / w.sum()
            now = []
        if (k + 1) % EVERY == 0:
            figures.append(estimates(done, per_decision))
        out.after(k, table)
    return out, figures


def estimates(done, per_decision):
    w = np.array([d[0] for d in done])
    g = np.array([d[1] for d in done])
    v = (w * g).sum() / w.sum()
    ess = w.sum() ** 2 / (w ** 2).sum()
    if not per_decision:
        x = w * g
        spread = (w ** 2 * (g - v) ** 2).sum() / w.sum() ** 2
        return [x.mean(), v, x.var(ddof=1) / len(x), spread, ess]
    # every episode lasts for the longest's time: after its end rewards are 0 and the ratio stays
    L = max(len(d[3]) for d in done)
    rho, r = np.zeros((len(done), L)), np.zeros((len(done), L))
    for i, d in enumerate(done):
        n = len(d[2])
        rho[i, :n], rho[i, n:] = d[2], d[2][-1]
        r[i, :len(d[3])] = d[3]
    discount = GAMMA ** np.arange(L)
    x = (rho * r) @ discount
    weighted = float(((rho * r).sum(0) / rho.sum(0)) @ discount)
    return [x.mean(), weighted, x.var(ddof=1) / len(x), None, ess]


def main():
    rng = np.random.default_rng(20)
    mask = np.ones((S, A), dtype=bool)
    mask[1, 0] = mask[2, 1] = mask[4, 0] = mask[4, 2] = False
    free = np.ones((S, A), dtype=bool)
    steps = make_transitions(rng, mask)
    pi = np.round(rng.dirichlet(np.ones(A), S), 3)
    pi[:, -1] = 1 - pi[:, :-1].sum(1)
    cases = []

    def case(algo, settings, snapshots, masked=False, figures=None):
        one = dict(algo=algo, settings=settings, masked=masked, tables=snapshots)
        if figures:
            one["figures"] = figures
        cases.append(one)

    rate = "learning_rate=0.25"
    V, Q = (S,), (S, A)
    case("q-learning", rate, one_step(steps, free, best))
    case("q-learning", rate + " q_init=2", one_step(steps, mask, best, init=2.0), True)
    case("q-learning", "average=true", one_step(steps, mask, best, average=True), True)
    case("q-learning", "learning_rate=lin_0.5_0.1", one_step(steps, free, best, schedule=rates(0.5, 0.1)))
    case("sarsa", rate, one_step(steps, free, taken))
    case("sarsa", rate + " n_step=4", n_step(steps, 4, 0.25, Q, pair, next_pair))
    case("expected-sarsa", rate + " epsilon=0.3", one_step(steps, mask, expected(("epsilon", 0.3))), True)
    case("expected-sarsa", rate + " explore=softmax temperature=0.7",
         one_step(steps, mask, expected(("softmax", 0.7))), True)
    case("double-q-learning", rate, double_q(steps, mask), True)
    for kind in ("accumulating", "replacing", "dutch"):
        more = f"{rate} lambda=0.8 traces={kind}"
        case("sarsa-lambda", more, traces(steps, 0.8, kind, 0.25, Q, pair, next_pair))
        case("td-lambda", more, traces(steps, 0.8, kind, 0.25, V, state, next_state))
    case("td", rate, n_step(steps, 1, 0.25, V, state, next_state))
    case("td", rate + " n_step=5", n_step(steps, 5, 0.25, V, state, next_state))
    case("monte-carlo", "visits=first", monte_carlo(steps, free, "first", False))
    case("monte-carlo", "visits=every", monte_carlo(steps, free, "every", False))
    case("monte-carlo", rate + " visits=every average=false", monte_carlo(steps, free, "every", False, 0.25))
    case("monte-carlo", "control=true epsilon=0.3 visits=first", monte_carlo(steps, mask, "first", True), True)
    case("lstd", "ridge=0.01", lstd(steps, 0.0, 0.01))
    case("lstd", "ridge=0.01 lambda=0.7", lstd(steps, 0.7, 0.01))
    for estimator in ("weighted", "ordinary"):
        for per_decision in (False, True):
            more = f"estimator={estimator} per_decision={str(per_decision).lower()} epsilon=0.4"
            table, figures = importance(steps, mask, pi, 0.4, estimator, per_decision)
            case("importance-sampling", more, table, True, figures)

    columns = {key: [x[key] if key == "r" else int(x[key]) for x in steps] for key in "sarntcb"}
    golden = dict(states=S, actions=A, gamma=GAMMA, seed=SEED, every=EVERY, steps=columns,
                  mask=mask.astype(int).tolist(), pi=pi.tolist(), cases=cases)
    path = pathlib.Path(__file__).parent.parent / "golden" / "tabular_learners.json"
    lines = [json.dumps(c) for c in golden.pop("cases")]
    head = json.dumps(golden)[:-1]
    path.write_text(head + ', "cases": [\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
