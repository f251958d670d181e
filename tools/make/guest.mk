# Freehold's own guests: guest/NAME.c (or the directory guest/NAME/) linked with guest/lib/ at 1 MiB.
# Address 0 is RAM to a guest: the compiler must not take it for a mistake.
GUEST_FLAGS += -fno-delete-null-pointer-checks
# The EFI application carries every guest: where speed is nothing, size is.
$(B)/guest-obj/guest/attacker/% $(B)/guest-obj/guest/selftest/% $(B)/guest-obj/guest/lib/%: GUEST_FLAGS += -Os

GUEST_LIB := $(wildcard guest/lib/*.c guest/lib/*.S)
GUEST_LIB_OBJS := $(patsubst %,$(B)/guest-obj/%.o,$(GUEST_LIB))
guest_sources = $(wildcard guest/$(1).c guest/$(1)/*.c guest/$(1)/*.S)
guest_objects = $(patsubst %,$(B)/guest-obj/%.o,$(call guest_sources,$(1)))

$(B)/guest-obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(GUEST_FLAGS) -MMD -MP -c $< -o $@

$(B)/guest-obj/%.S.o: %.S
	@mkdir -p $(@D)
	$(CC) $(GUEST_FLAGS) -MMD -MP -c $< -o $@

define guest_rule
$(B)/guest/$(1).elf: $(call guest_objects,$(1)) $(GUEST_LIB_OBJS) guest/lib/guest.ld
	@mkdir -p $$(@D)
	ld -nostdlib -static -n -z noexecstack --gc-sections -s -T guest/lib/guest.ld -o $$@ \
	    $(call guest_objects,$(1)) $(GUEST_LIB_OBJS)
-include $(patsubst %.o,%.d,$(call guest_objects,$(1)))
endef
$(foreach g,$(GUESTS),$(eval $(call guest_rule,$(g))))

-include $(GUEST_LIB_OBJS:.o=.d)
