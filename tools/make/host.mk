# Host tests (cmocka, under ASan and UBSan), fuzz targets (libFuzzer) and coverage.
# Every host_tests/test_NAME.c is one program; every host_tests/fuzz_NAME.c one fuzz target. All of them link all
# pure files. A header in host_tests/fakes takes the place of its namesake, so that the FAKED sources, which execute
# privileged instructions, run here too: from an archive, of which a program takes what it needs.
FAKED := hv/audit.c hv/control.c hv/devices.c hv/guest_memory.c hv/memory_type.c hv/ownership.c hv/partition.c hv/vcpu.c \
         $(wildcard hv/vmx/*.c) $(wildcard host_tests/fakes/*.c)
FAKED_OBJS := $(patsubst %,$(B)/host-obj/%.o,$(FAKED))
FAKED_LIB := $(B)/host-obj/faked.a
FAKES := -Ihost_tests/fakes
HOST_PURE := $(PURE) $(BOOT_PURE)
HOST_PURE_OBJS := $(patsubst %,$(B)/host-obj/%.o,$(HOST_PURE))
TESTS := $(patsubst host_tests/%.c,$(B)/host/%,$(wildcard host_tests/test_*.c))
HOST_HELPERS := $(patsubst %,$(B)/host-obj/%.o,$(wildcard host_tests/support/*.c))

$(B)/host-obj/%.c.o: %.c
	@mkdir -p $(@D)
	@rm -f $(@:.o=.gcda)
	$(CC) $(FAKES) $(HOST_FLAGS) $(SANITIZE) --coverage -MMD -MP -c $< -o $@

# What fakes the control loop comes first: only test_control brings the real one, by its object.
$(FAKED_LIB): $(filter-out %/hv/control.c.o,$(FAKED_OBJS))
	rm -f $@ && ar rcs $@ $^

$(B)/host/test_control: $(B)/host-obj/hv/control.c.o

$(B)/host/test_%: $(B)/host-obj/host_tests/test_%.c.o $(HOST_PURE_OBJS) $(HOST_HELPERS) $(FAKED_LIB)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) --coverage $(filter-out %.a,$^) $(FAKED_LIB) -lcmocka -o $@

FUZZERS := $(patsubst host_tests/%.c,$(B)/fuzz/%,$(wildcard host_tests/fuzz_*.c))
FUZZ_SECONDS ?= 300
FUZZ_CC := $(CLANG) $(HOST_FLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_PURE_OBJS := $(patsubst %,$(B)/fuzz-obj/%.o,$(HOST_PURE) $(wildcard host_tests/support/*.c))

$(B)/fuzz-obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(B)/fuzz/fuzz_%: $(B)/fuzz-obj/host_tests/fuzz_%.c.o $(FUZZ_PURE_OBJS)
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer $^ -o $@

.PHONY: host-test fuzz
host-test: $(TESTS) ## host unit tests under sanitizers
	@status=0; for t in $(TESTS); do echo "== $$t"; $$t || status=1; done; exit $$status

fuzz: $(FUZZERS) ## fuzz every target for FUZZ_SECONDS (300) each
	@for f in $(FUZZERS); do name=$$(basename $$f); kept=host_tests/corpus/$${name#fuzz_}; mkdir -p $(B)/corpus/$$name; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -artifact_prefix=$(B)/ $(B)/corpus/$$name $$(ls -d $$kept 2>/dev/null) || exit 1; done

# The lock-free ring once more, under ThreadSanitizer.
.PHONY: thread-test
thread-test: ## the ring's two-thread test under ThreadSanitizer
	@mkdir -p $(B)/host
	$(CLANG) $(HOST_FLAGS) -fsanitize=thread host_tests/test_ring.c host_tests/support/check.c hv/ring.c -lcmocka \
	    -o $(B)/host/ring_under_tsan
	$(B)/host/ring_under_tsan

.PRECIOUS: $(B)/host-obj/%.o $(B)/fuzz-obj/%.o
-include $(shell find $(B)/host-obj $(B)/fuzz-obj -name '*.d' 2>/dev/null)
