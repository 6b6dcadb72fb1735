# Every target is `python dev.py TARGET`, which also works where there is no make.
PYTHON ?= python3
.PHONY: book test bench course clean
book test bench course clean:
	$(PYTHON) dev.py $@
