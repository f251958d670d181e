# What reads the code without running it. Every target is clean or fails; `make lint` runs them all.
LINT_C := $(wildcard alloc/*.c boot/*.c boot/*/*.c hv/*.c hv/*/*.c guest/*/*.c host_tests/*.c host_tests/*/*.c tools/*.c)
LINT_H := $(wildcard alloc/*.h boot/*.h hv/*.h hv/*/*.h guest/*.h guest/*/*.h host_tests/*.h host_tests/*/*.h \
                     host_tests/fakes/hv/*.h host_tests/fakes/hv/vmx/*.h)
HOST_OBJS := $(HOST_PURE_OBJS) $(HOST_HELPERS) $(FAKED_OBJS) $(patsubst %,$(B)/host-obj/%.o,$(wildcard host_tests/test_*.c))

.PHONY: host-build fuzz-build format-check format clang-build tidy cppcheck host-objects
lint: format-check clang-build tidy cppcheck ## clang-format, clang, clang-tidy and cppcheck

host-build: $(TESTS)
fuzz-build: $(FUZZERS)
host-objects: $(HOST_OBJS)

format-check:
	@clang-format --dry-run -Werror $(LINT_C) $(LINT_H)

format: ## let clang-format lay out every C file
	clang-format -i $(LINT_C) $(LINT_H)

# The second compiler: everything, warnings are errors, beside the build people use.
clang-build:
	@$(AGAIN) B=$(B)/clang CC=$(CLANG) all bench-build host-objects

# One stamp a file, so that only what changed is read again.
TIDY_OK := $(patsubst %,$(B)/tidy/%.ok,$(LINT_C))
tidy: $(TIDY_OK)

$(B)/tidy/boot/%.ok: TIDY_FLAGS = $(BOOT_FLAGS)
$(B)/tidy/guest/%.ok: TIDY_FLAGS = $(GUEST_FLAGS)
$(B)/tidy/host_tests/%.ok: TIDY_FLAGS = $(FAKES) $(HOST_FLAGS)
# On the host there is stack enough, and what is compared as bytes was zeroed as bytes. The analyzer takes minutes over the
# tests, whose every path runs under ASan and UBSan anyway.
$(B)/tidy/host_tests/%.ok: TIDY_CHECKS = --checks=-misc-no-recursion,-bugprone-suspicious-memory-comparison,-clang-analyzer-*
$(B)/tidy/tools/%.ok: TIDY_FLAGS = $(HOST_FLAGS)
$(B)/tidy/%.ok: TIDY_FLAGS = $(HV_FLAGS)

$(B)/tidy/%.ok: % .clang-tidy $(LINT_H)
	@mkdir -p $(@D)
	@clang-tidy --quiet $(TIDY_CHECKS) $< -- $(TIDY_FLAGS) 2>$@.log >$@.out || { cat $@.out $@.log; false; }
	@touch $@

# One pass for all: cppcheck finds more when it sees callers and callees together.
cppcheck:
	@mkdir -p $(B)/cppcheck
	@cppcheck --quiet --std=c11 --platform=unix64 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppressions-list=tools/cppcheck.txt --cppcheck-build-dir=$(B)/cppcheck -I. \
	    -D__x86_64__ -D__GNUC__=12 $(LINT_C)
