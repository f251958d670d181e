/* The files that the EFI application carries, by the list in hv/builtins.h. Paths are relative to the build directory. */
#include "hv/builtins.h"

#define FILE_NAME(path) #path

#define EMBED(label, path) \
        .balign 16; \
        .globl label; \
label: \
        .incbin path;

#define EMBED_GUEST(name) \
        EMBED(blob_guest_##name, FILE_NAME(guest/name.elf.packed)) \
        .globl blob_guest_##name##_end; \
blob_guest_##name##_end:

        .section .rodata.blobs, "a", @progbits
        EMBED(blob_hv_start, FILE_NAME(hv.stripped.elf.packed))
        .globl  blob_hv_end
blob_hv_end:
        BUILTIN_GUESTS(EMBED_GUEST)

        .section .note.GNU-stack, "", @progbits
