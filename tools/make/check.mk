# `make check-config FILE=freehold.toml`: the parser and planner of the hypervisor, on the host.
CHECK_CONFIG := $(B)/check_config
CHECK_CONFIG_OBJS := $(patsubst %,$(B)/check-obj/%.o,tools/check_config.c $(PURE) $(BOOT_PURE))

$(B)/check-obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HOST_FLAGS) -MMD -MP -c $< -o $@

$(CHECK_CONFIG): $(CHECK_CONFIG_OBJS)
	$(CC) $^ -o $@

# The machine: CPUS (4), THREADS per core (1), MEMORY in MiB (2048), or MACHINE=file. IMAGES=directory checks images.
.PHONY: check-config
check-config: $(CHECK_CONFIG) ## the plan of FILE=x.toml on CPUS=4 THREADS=1 MEMORY=2048 or MACHINE=y.toml
	@$(if $(FILE),,echo 'make check-config: FILE=x.toml is missing' >&2; exit 2;) \
	$(CHECK_CONFIG) '$(FILE)' $(if $(CPUS),--cpus '$(CPUS)') $(if $(THREADS),--threads-per-core '$(THREADS)') \
	    $(if $(MEMORY),--memory '$(MEMORY)') $(if $(MACHINE),--machine '$(MACHINE)') $(if $(IMAGES),--images '$(IMAGES)')

-include $(CHECK_CONFIG_OBJS:.o=.d)
