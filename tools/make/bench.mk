# `make bench`: the figures, as a table and in build/bench.json.
# The load of the guest `worker` on the bare machine: an EFI application of its own, around the guest's object file.
NATIVE_OBJS := $(patsubst %,$(B)/boot-obj/%.o,boot/entry.S boot/relocate.c boot/uart.c boot/native/native.c hv/fmt.c hv/string.c) \
               $(B)/guest-obj/guest/worker/load.c.o

$(B)/native.so: $(NATIVE_OBJS) boot/boot.ld
	ld -shared -Bsymbolic -nostdlib -znocombreloc -z noexecstack --no-undefined --gc-sections -T boot/boot.ld \
	    $(NATIVE_OBJS) -o $@

$(B)/native.efi: $(B)/native.so
	objcopy -j .text -j .reloc -j .rodata -j .rela -j .dynamic -j .data --target efi-app-x86_64 --subsystem=10 $< $@

-include $(NATIVE_OBJS:.o=.d)

.PHONY: bench bench-build
bench-build: $(B)/BOOTX64.EFI $(B)/native.efi

bench: ## measure: a table, and build/bench.json (BENCH_ARGS are passed to tools/bench)
	@tools/deps run
	@$(AGAIN) -s bench-build
	@tools/bench $(BENCH_ARGS)
