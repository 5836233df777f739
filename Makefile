PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo lint test docs bench clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv: a download of up to 2.5 GB on Linux, of which torch with CUDA is most."
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e '.[dev,detect,docs,export,ray,search,simulate,umap,web]'
	@touch $@
	@echo "Installed. Now: source .venv/bin/activate && galaxyvotes --help"

demo: install
	$(BIN)/galaxyvotes demo --out demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: lint docs
	$(BIN)/pytest -n auto --dist loadfile

docs: install
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

# An environment of its own: only benchmarks need Keras and Zoobot.
.peers/installed: pyproject.toml constraints.txt benchmarks/peers.txt
	$(PYTHON) -m venv .peers
	.peers/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[export,simulate]' -r benchmarks/peers.txt
	touch $@

bench: .peers/installed
	for script in startup large_report memory many_processes packing keras_speed predict_speed; do \
		.peers/bin/python benchmarks/$$script.py --json benchmarks/json/$$script.json || exit 1; \
	done
	.peers/bin/python benchmarks/speed_page.py
	.peers/bin/python benchmarks/pictures.py

clean:
	rm -rf .venv .peers demo build dist
