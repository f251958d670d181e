# The hypervisor: one ELF, linked by linker.ld at HV_IMAGE_BASE, embedded into the EFI application.
HV_OBJS := $(patsubst %,$(B)/hv-obj/%.o,$(HV) $(PURE))
# What an exit may run through is built for speed, everything else for size: the EFI application carries it all.
HV_FAST := hv/vmx/exits.c hv/vmx/exits_cpu.c hv/vmx/exits_event.c hv/vmx/exits_io.c hv/vmx/hypercall.c hv/apic.c hv/bus.c \
           hv/cpuid.c hv/devices.c hv/exit_decode.c hv/guest_memory.c hv/memory.c hv/msr_policy.c hv/ring.c hv/string.c \
           hv/uart.c hv/vapic.c hv/vcpu.c
$(filter-out $(patsubst %,$(B)/hv-obj/%.o,$(HV_FAST)),$(HV_OBJS)): HV_FLAGS += -Os

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
