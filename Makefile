# Freehold. `make run` boots the demonstration, `make test` runs every test, `make help` lists the rest.

SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

B := build
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wvla -Wmissing-prototypes -Wundef \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wimplicit-fallthrough -Werror
STD  := -std=gnu17 -I.

# ---------------------------------------------------------------- sources, by what may run where

# Pure: no privileged instruction, no firmware. Compiled into the hypervisor, the host tests and, where the second
# list says so, the EFI application.
PURE := $(wildcard alloc/*.c) \
        hv/budget.c hv/expectation.c hv/fault.c hv/fmt.c hv/json.c hv/paging.c hv/plan.c hv/plan_table.c hv/image.c hv/vmx_caps.c
# The part of PURE that the EFI application links too.
PURE_BOOT := $(PURE)
# The rest of PURE: what only the hypervisor uses.
PURE += hv/banner.c hv/bus.c hv/capsule.c hv/command.c hv/event_log.c hv/events.c hv/font.c hv/line.c hv/report.c hv/ring.c hv/screen.c \
        hv/uart.c
PURE += hv/cpuid.c hv/entry_check.c hv/exit_decode.c hv/msr_policy.c hv/mtrr.c hv/vapic.c hv/walk.c hv/watchdog.c
# boot/ files that are pure (no <efi.h>) and tested on the host.
BOOT_PURE := boot/config.c boot/toml.c boot/toml_scan.c boot/toml_word.c \
             boot/acpi_parse.c boot/efi_map.c boot/hv_elf.c boot/topology.c boot/unpack.c

BOOT := $(filter-out $(BOOT_PURE),$(wildcard boot/*.c boot/*.S))
HV   := $(filter-out $(PURE),$(wildcard hv/*.c hv/*.S hv/vmx/*.c hv/vmx/*.S))

# Freehold's own guests: the list lives in hv/builtins.h.
GUESTS := $(patsubst X(%),%,$(shell grep -oE 'X\([a-z]+\)' hv/builtins.h))

# ---------------------------------------------------------------- flags

FREESTANDING := -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-strict-aliasing \
                -mno-red-zone -mgeneral-regs-only -fno-common -ffunction-sections -fdata-sections
HV_FLAGS   := $(STD) $(WARN) $(FREESTANDING) -O2 -g -mcmodel=kernel -fno-pic -fno-pie
BOOT_FLAGS := $(STD) $(WARN) $(FREESTANDING) -Os -g -fpic -fshort-wchar -DGNU_EFI_USE_MS_ABI \
              -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
GUEST_FLAGS := $(STD) $(WARN) $(FREESTANDING) -O2 -g -mcmodel=small -fno-pic -fno-pie
HOST_FLAGS := $(STD) $(WARN) -O1 -g -fno-omit-frame-pointer
SANITIZE   := -fsanitize=address,undefined -fno-sanitize-recover=all

.PHONY: all
all: $(B)/BOOTX64.EFI

include tools/make/hv.mk
include tools/make/boot.mk
include tools/make/guest.mk
include tools/make/host.mk
include tools/make/check.mk
include tools/make/run.mk
include tools/make/bench.mk

.PHONY: clean
clean: ## remove everything built
	rm -rf $(B)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | sort | column -t -s "$$(printf '\t')"
