/*
 * aitoolbox_vi.cpp - AI-Toolbox peer: seconds a sweep of value iteration on the slippery grid of bench_planning.
 *
 * AI-Toolbox (https://github.com/Svalorzen/AI-Toolbox) is not part of this repository. With its source in $AI, Eigen,
 * Boost and lpsolve installed:
 *
 *     g++ -O3 -march=native -DNDEBUG -std=c++20 -I$AI/include -I/usr/include/eigen3 bench/peers/aitoolbox_vi.cpp \
 *         $AI/src/MDP/{SparseModel,Utils}.cpp $AI/src/MDP/Algorithms/ValueIteration.cpp \
 *         $AI/src/{Seeder,Utils/Probability}.cpp -o aitoolbox_vi
 *     ./aitoolbox_vi [side, default 1000] [sweeps, default 10]
 *
 * The model is its SparseModel, made without its checks; only the solver's call is timed. Prints one JSON line.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include <AIToolbox/MDP/Algorithms/ValueIteration.hpp>
#include <AIToolbox/MDP/SparseModel.hpp>

using namespace AIToolbox;

/* where left, down, right and up lead */
static int neighbour(int side, int s, int direction) {
    int row = s / side, column = s % side;
    if (direction == 0)
        column -= column > 0;
    else if (direction == 1)
        row += row + 1 < side;
    else if (direction == 2)
        column += column + 1 < side;
    else
        row -= row > 0;
    return row * side + column;
}

/* the goal, the last cell, leads to itself for nothing */
static MDP::SparseModel slippery_grid(int side, double discount) {
    int states = side * side, goal = states - 1;
    SparseMatrix3D transitions(4, SparseMatrix2D(states, states));
    SparseMatrix2D rewards(states, 4);
    std::vector<Eigen::Triplet<double>> reward;
    for (int a = 0; a < 4; a++) {
        std::vector<Eigen::Triplet<double>> all;
        all.reserve(3 * static_cast<size_t>(states));
        for (int s = 0; s < states; s++)
            for (int k = 0; k < 3; k++) {
                int next = s == goal ? goal : neighbour(side, s, (a + k + 3) % 4);
                all.emplace_back(s, next, 1.0 / 3);
                if (next == goal && s != goal)
                    reward.emplace_back(s, a, 1.0 / 3);
            }
        transitions[static_cast<size_t>(a)].setFromTriplets(all.begin(), all.end());
        transitions[static_cast<size_t>(a)].makeCompressed();
    }
    rewards.setFromTriplets(reward.begin(), reward.end());
    return MDP::SparseModel(NO_CHECK, static_cast<size_t>(states), 4, std::move(transitions), std::move(rewards),
                            discount);
}

int main(int argc, char **argv) {
    int side = argc > 1 ? std::atoi(argv[1]) : 1000, sweeps = argc > 2 ? std::atoi(argv[2]) : 10;
    auto model = slippery_grid(side, 0.99);
    double best = 1e300, checksum = 0;
    for (int run = 0; run < 3; run++) {
        MDP::ValueIteration solver(static_cast<unsigned>(sweeps), 0.0);
        auto start = std::chrono::steady_clock::now();
        auto [variation, values, q] = solver(model);
        std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
        best = std::min(best, wall.count() / sweeps);
        checksum = values.values.sum();
    }
    std::printf("{\"peer\": \"AI-Toolbox\", \"states\": %d, \"sweeps\": %d, \"ms_per_sweep\": %.4f, "
                "\"backups_per_s\": %.0f, \"checksum\": %.12g}\n",
                side * side, sweeps, 1e3 * best, side * side / best, checksum);
    return 0;
}
