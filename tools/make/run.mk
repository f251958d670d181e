# What a person runs: the demonstration, images, the debugger, the tests as a whole. Each checks for the programs it
# needs first, so the work itself happens in a second make.
AGAIN := $(MAKE) --no-print-directory

.PHONY: deps run image gdb test lint
deps: ## install what building, running and testing need
	@tools/deps test

run: ## boot the demonstration (RUN_ARGS are passed to tools/run)
	@tools/deps run
	@$(AGAIN) -s all
	@tools/run --config tools/demo.toml $(RUN_ARGS)

image: ## build/freehold.img: a disk image for a USB stick (IMAGE_ARGS are passed to tools/mkimage)
	@tools/deps run
	@$(AGAIN) -s all
	@tools/mkimage --output $(B)/freehold.img $(IMAGE_ARGS)

gdb: ## debug with gdb and the hypervisor's symbols (GDB_ARGS are passed to tools/gdb)
	@tools/deps debug
	@$(AGAIN) -s all
	@tools/gdb $(GDB_ARGS)

test: ## every test: host, fuzz, lint, tools, booted scenarios (TEST_ARGS are passed to tools/test)
	@tools/deps test
	@tools/test $(TEST_ARGS)

include tools/make/lint.mk
