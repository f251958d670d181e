# The hypervisor: one ELF, linked by linker.ld at HV_IMAGE_BASE, embedded into the EFI application.
HV_OBJS := $(patsubst %,$(B)/hv-obj/%.o,$(HV) $(PURE))

$(B)/hv-obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HV_FLAGS) -MMD -MP -c $< -o $@

$(B)/hv-obj/%.S.o: %.S
	@mkdir -p $(@D)
	$(CC) $(HV_FLAGS) -MMD -MP -c $< -o $@

$(B)/hv.elf: $(HV_OBJS) linker.ld
	ld -nostdlib -static -z max-page-size=4096 -z noexecstack --gc-sections -T linker.ld -o $@ $(HV_OBJS)

# What the EFI application carries: without symbols.
$(B)/hv.stripped.elf: $(B)/hv.elf
	objcopy --strip-all $< $@

-include $(HV_OBJS:.o=.d)
