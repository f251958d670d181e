# The EFI application. It embeds the hypervisor and the built-in guests (boot/blobs.S).
BOOT_OBJS := $(patsubst %,$(B)/boot-obj/%.o,$(BOOT) $(BOOT_PURE) $(PURE_BOOT) hv/string.c)
BLOBS := $(B)/hv.stripped.elf $(patsubst %,$(B)/guest/%.elf,$(GUESTS))

$(B)/boot-obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BOOT_FLAGS) -MMD -MP -c $< -o $@

$(B)/boot-obj/%.S.o: %.S
	@mkdir -p $(@D)
	$(CC) $(BOOT_FLAGS) -I$(B) -MMD -MP -c $< -o $@

$(B)/boot-obj/boot/blobs.S.o: $(BLOBS)

$(B)/boot.so: $(BOOT_OBJS)
	ld -shared -Bsymbolic -nostdlib -znocombreloc --no-undefined --gc-sections -T /usr/lib/elf_x86_64_efi.lds \
	    /usr/lib/crt0-efi-x86_64.o $(BOOT_OBJS) -o $@

$(B)/BOOTX64.EFI: $(B)/boot.so
	objcopy -j .text -j .sdata -j .data -j .rodata -j .dynamic -j .dynsym -j .rel -j .rela -j '.rel.*' -j '.rela.*' \
	    -j .reloc --target efi-app-x86_64 --subsystem=10 $< $@

-include $(BOOT_OBJS:.o=.d)
