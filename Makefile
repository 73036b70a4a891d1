# pgusher: make help

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: regression-walk help setup demo test differential test-upstreams installcheck bench setup-bench

DIR ?=
PORT ?=
ARGS ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing (Debian and Ubuntu packages, Python drivers for the tests)
	@scripts/setup

demo: setup ## start a shop behind pgusher and print what to try (PORT=…, DIR=…: else 6432 and a temporary folder)
	cargo build --locked
	target/debug/pgusher demo $(if $(PORT),--port $(PORT)) $(if $(DIR),--dir $(DIR))

test: ## formatting, lints, documentation, doc tests, every test
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	cargo test --locked --doc
	cargo test --locked --lib --bins --tests

differential: setup ## the oracle's long run: tens of thousands of statements compared with PostgreSQL (half an hour to an hour; PGUSHER_SEED=…)
	@scripts/postgres-sources
	PGUSHER_LONG=1 cargo test --locked --test all differential:: -- --nocapture --test-threads=2

UPSTREAMS ?= 14 16 17 18
FILTER ?=

test-upstreams: setup ## every test against the system's PostgreSQL and against 14, 16, 17 and 18 (UPSTREAMS="…", FILTER=…)
	@scripts/setup upstreams
	@scripts/upstreams $(UPSTREAMS)
	cargo test --locked --test all -- $(FILTER)
	for major in $(UPSTREAMS); do echo "PostgreSQL $$major"; PGUSHER_TEST_PG_BIN=$(CURDIR)/target/upstreams/$$major/bin cargo test --locked --test all -- $(FILTER); done

installcheck: setup ## PostgreSQL's own regression suite through pgusher as an administrator (half an hour)
	@scripts/setup installcheck
	@scripts/postgres-sources
	cargo build --locked
	cc -shared -fPIC -O1 -w -I$$(/usr/lib/postgresql/15/bin/pg_config --includedir-server) -o target/regress.so target/postgres-sources/src/test/regress/regress.c
	tests/installcheck/run --sources target/postgres-sources --library target

regression-walk: setup ## the statements of PostgreSQL's own regression suite through the analysis
	@scripts/setup installcheck
	@scripts/postgres-sources
	cc -shared -fPIC -O1 -w -I$$(/usr/lib/postgresql/15/bin/pg_config --includedir-server) -o target/regress.so target/postgres-sources/src/test/regress/regress.c
	cargo test --locked --test all -- --ignored --nocapture the_analysis_takes_what_postgresqls_own_tests_say

.PHONY: dbt
dbt: setup ## dbt builds a project as an analyst, through pgusher (brings dbt from PyPI; a few minutes)
	@scripts/setup dbt
	cargo test --locked --test all drivers::dbt -- --ignored

.PHONY: bench-metadata
bench-metadata: setup-bench ## describing commands on 5,000 tables, direct and through pgusher (release build; about ten minutes)
	cargo build --locked --release
	benches/metadata --pgusher target/release/pgusher

.PHONY: bench-revocation
bench-revocation: setup-bench ## how long until a revocation has reached a thousand sessions of two proxies (release build; about five minutes)
	cargo build --locked --release
	benches/revocation --pgusher target/release/pgusher

setup-bench:
	@scripts/setup bench

RELEASE = cargo build --locked --release --bin pgusher --example relay --example crowd

bench: setup-bench ## direct, a bare relay, PgBouncer and pgusher side by side, into docs/benchmarks.md (release build; about an hour; ARGS="--only points")
	$(RELEASE)
	benches/run --report docs/benchmarks.md $(ARGS)

.PHONY: guided
guided: setup-bench ## target/guided/pgusher: a release guided by a profile of the bench's statements (up to 40 minutes; needs rustup's llvm-tools)
	@scripts/guided

.PHONY: soak
soak: setup-bench ## 200 clients do everything at random for ten minutes, every answer checked (release build; ARGS="--soak-seconds 60")
	$(RELEASE)
	benches/run --only soak --report docs/benchmarks.md $(ARGS)
