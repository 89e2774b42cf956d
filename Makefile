.PHONY: check fast site lock format
check:  ## what CI runs
	tools/check
fast:  ## the same without the end-to-end tests
	tools/check fast
site:  ## the documentation site, in build/site/html
	tools/site/build
lock:  ## lock the versions that the tests install
	tools/lock
format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
