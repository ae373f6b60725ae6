# Every target is a command of scripts/dev.py, which sets up what it needs. No make here: python3 scripts/dev.py demo
PYTHON ?= python3
DEV := $(PYTHON) scripts/dev.py

.DEFAULT_GOAL := help
.PHONY: help demo up status down test test-long lint audit build bench bench-query bench-sdk rebuild invoke chaos deploy destroy setup clean

help:
	@$(DEV)
demo:
	@$(DEV) demo $(if $(EVENTS),--events "$(EVENTS)") $(if $(FILE),--file "$(FILE)") $(ARGS)
invoke:
	@$(DEV) invoke $(if $(FUNCTION),"$(FUNCTION)") $(if $(EVENT),"$(EVENT)") $(ARGS)
chaos:
	@$(DEV) chaos $(if $(SEEDS),--seeds "$(SEEDS)") $(ARGS)
deploy destroy:
	@$(DEV) $@ $(if $(STAGE),"$(STAGE)") $(ARGS)
bench-query:
	@$(DEV) bench-query $(if $(ROWS),--rows "$(ROWS)") $(ARGS)
clean:
	@$(DEV) clean $(if $(ALL),--all)
up status down test test-long lint audit build bench bench-sdk rebuild setup:
	@$(DEV) $@ $(ARGS)
