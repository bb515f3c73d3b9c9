# CI runs these same commands: .ci/run is `make ci`.

.DEFAULT_GOAL := help
.PHONY: help run demo test lint fmt ci bench broken-rules fuzz

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the server, on SQLite unless configured otherwise
	cargo run --locked -- serve

demo: ## the server with a throw-away database, and apps and an API to try
	cargo run --locked -- demo

test: ## every test, on SQLite, on Postgres and in Chromium; as root installs what is missing
	tests/run

lint: ## formatting and lints, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features -- -D warnings

fmt: ## format the source
	cargo fmt

ci: ## what CI runs: the lints, then the tests
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory test

bench: ## measure this machine and Grantor on it; takes minutes (ARGS="--help")
	cargo bench --locked --bench grantor -- $(ARGS)

fuzz: ## feed the parsers of hostile bytes for a minute each, and keep what leads somewhere new (SECONDS_EACH=600)
	fuzz/run

broken-rules: ## break each security rule in a copy and see its test fail; takes 20 minutes (RULES="--list")
	tests/broken-rules $(RULES)
