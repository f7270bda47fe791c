# SPDX-License-Identifier: GPL-2.0-only
#
# make          installs what is missing, runs the main job, prints the summary
# make smoke    the same with the small config
# make bundle   writes results/bundle.tar: all that the main job needs to be run without network
# make BUNDLE=FILE   runs what is in a bundle, without network and without root
# make test     all checks and all tests but the long ones
# make test-long  the tests that take many trials for one answer, or large hosts
# make lint     the checks alone
# make sanitize builds kernels with KASAN, lockdep and KCSAN and runs everything on them (CONTRIBUTING.md)
# make faults   plants errors in the measuring and sees whether the tests catch each; takes long
# make bare     runs a small job on a bare machine: without root, and from a bundle without network
# make same-kernel  builds the kernel `lab` twice from nothing and compares all of its bytes
# make mishaps  kills, fills, cuts and flips what a run needs, and sees that its trials stay the same
# make test-slurm  runs a small job through a Slurm on this machine (as root)
# make kernels  runs the small job, the review and a user's own trees on every kernel; takes hours
# make bench    measures what carveout itself costs (docs/benchmarks.md); wants an idle machine
# make relock   pins the newest packages (config/kernels.yaml, config/qemus.yaml)
# make relock-python   pins the newest Python packages (envs/requirements.txt)
# make clean    removes what runs left in this folder; the cache outside it stays

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/workflow

export BUNDLE

.PHONY: main
main: install
	$(if $(BUNDLE),python -m carveout.bundle.rerun .bundle,snakemake)

.PHONY: smoke
smoke: install
	snakemake --configfile config/smoke.yaml

.PHONY: bundle
bundle: install
	snakemake bundle

.PHONY: install
install:
	@envs/install.sh

.PHONY: test
test: lint
	pytest --numprocesses 2 tests/unit
	pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not long" \
		tests/workflow tests/guest

.PHONY: test-long
test-long: install
	pytest --numprocesses 2 --dist loadfile -m long tests/workflow tests/guest

.PHONY: test-slurm
test-slurm: install
	@dpkg-query --show iproute2 munge slurm-wlm >/dev/null || { apt-get -q update && \
		apt-get -q -y install --no-install-recommends iproute2 munge slurm-wlm; }
	pytest -s -m "not long" tests/cluster

.PHONY: test-queue
test-queue: install
	pytest -s -m long tests/cluster

.PHONY: lint
lint: install
	pre-commit run --all-files --show-diff-on-failure

.PHONY: sanitize
sanitize: install
	pytest -s tests/sanitizers

.PHONY: faults
faults: install
	python -m tests.faults

.PHONY: bare
bare: install
	pytest -s tests/bare

.PHONY: mishaps
mishaps: install
	pytest -s tests/mishaps

.PHONY: same-kernel
same-kernel: install
	pytest -s -m long -k same_kernel tests/guest/test_built_kernels.py

.PHONY: kernels
kernels: install
	pytest -m long tests/guest/test_every_kernel.py tests/guest/test_review.py \
		tests/guest/test_before_and_after.py tests/guest/test_built_kernels.py

.PHONY: bench
bench: install
	python -m benchmarks

.PHONY: renew
renew: install
	snakemake --configfile config/excerpt.yaml
	python -m docs.renew excerpt=results

.PHONY: relock
relock: install
	python -m carveout.archive.relock

.PHONY: relock-python
relock-python: install
	for name in requirements-build requirements; do \
		uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 \
			--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
			--custom-compile-command 'make relock-python' \
			--output-file envs/$$name.txt envs/$$name.in || exit 1; \
	done

.PHONY: clean
clean:
	rm -rf results/* .snakemake .mypy_cache .pytest_cache .ruff_cache
