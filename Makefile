.PHONY: check fast lock format
check:  ## what CI runs
	tools/check
fast:  ## the same without the end-to-end tests
	tools/check fast
lock:  ## lock the versions that the tests install
	tools/lock
format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
