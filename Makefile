# Thin: everything is CMake's. BUILD, PRESET and JOBS may be set on the command line.
MAKEFLAGS += --no-print-directory
PRESET ?= release
BUILD ?= $(if $(filter release,$(PRESET)),build,build-$(PRESET))
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
WERROR ?= OFF
DEMO ?= runs/demo
# more for bench/compare.py; peers also come from REIN_PEER_RLTOOLS, REIN_PEER_RLTOOLS_MKL, REIN_PEER_PYTHON
COMPARE ?=
# and for bench/compare_lm.py; its peer comes from REIN_PEER_LM_PYTHON or REIN_PEER_PYTHON
COMPARE_LM ?=

all: setup
	cmake --preset $(PRESET) -DREIN_WERROR=$(WERROR) -DCMAKE_INSTALL_PREFIX="$(PREFIX)" >/dev/null
	cmake --build $(BUILD) -j $(JOBS)

# says what is missing and installs it on Debian and Ubuntu
setup:
	@scripts/setup.sh

demo: all
	$(BUILD)/rein train ppo --env CartPole-v1 --out $(DEMO) --force
	$(BUILD)/rein eval $(DEMO)
	@echo "the results are in $(DEMO): config.json, metrics.csv, policy.safetensors, summary.json"

# a language model from nothing, on sentences whose entropy is known (examples/grammar.c); under three minutes
demo-lm: all
	scripts/demo_lm.sh $(BUILD) $(DEMO)-lm

# rewards and preferences, every method from one start, on sums (examples/arithmetic.c); under fifteen minutes
demo-rlhf: all
	scripts/demo_rlhf.sh $(BUILD) $(DEMO)-rlhf

# the same for three seeds, as committed in bench/results/rlhf.json
bench-rlhf: all
	scripts/demo_rlhf.sh $(BUILD) $(DEMO)-rlhf-bench 1 2 3

test: all
	scripts/run_tests.sh $(BUILD)

bench: all
	cmake --build $(BUILD) -j $(JOBS) --target benchmarks
	$(BUILD)/rein bench
	@for program in $(BUILD)/bench/bench_*; do echo "$$program"; "$$program" || exit 1; done
	@if command -v python3 >/dev/null; then python3 bench/compare.py --rein $(BUILD)/rein $(COMPARE); \
	python3 bench/compare_lm.py --rein $(BUILD)/rein $(COMPARE_LM); \
	else echo "python3 is missing: no comparison of whole runs"; fi

install: all
	cmake --install $(BUILD)

format:
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

# rewrites the texts that tests/unit/test_cli.c compares --help with
help-golden: all
	scripts/help_golden.sh $(BUILD)/rein

clean:
	rm -rf build build-debug build-asan build-tsan

.PHONY: all setup demo demo-lm demo-rlhf bench-rlhf test bench install format help-golden clean
