# The EFI application. It embeds the hypervisor and the built-in guests (boot/blobs.S). Of gnu-efi it uses the headers
# only: Debian's libraries may use the red zone and SSE, and its start-up code loses registers the firmware relies on.
BOOT_OBJS := $(patsubst %,$(B)/boot-obj/%.o,$(BOOT) $(BOOT_PURE) $(PURE_BOOT) hv/string.c)
BLOBS := $(patsubst %,$(B)/%.packed,hv.stripped.elf $(patsubst %,guest/%.elf,$(GUESTS)))

$(B)/%.packed: $(B)/% tools/pack
	tools/pack $< $@

$(B)/boot-obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BOOT_FLAGS) -fvisibility=hidden -MMD -MP -c $< -o $@

$(B)/boot-obj/%.S.o: %.S
	@mkdir -p $(@D)
	$(CC) $(BOOT_FLAGS) -Wa,-I$(B) -MMD -MP -c $< -o $@

$(B)/boot-obj/boot/blobs.S.o: $(BLOBS)

$(B)/boot.so: $(BOOT_OBJS) boot/boot.ld
	ld -shared -Bsymbolic -nostdlib -znocombreloc -z noexecstack --no-undefined --gc-sections -T boot/boot.ld \
	    $(BOOT_OBJS) -o $@

$(B)/BOOTX64.EFI: $(B)/boot.so
	objcopy -j .text -j .reloc -j .rodata -j .rela -j .dynamic -j .data --target efi-app-x86_64 --subsystem=10 $< $@

-include $(BOOT_OBJS:.o=.d)
