/*
 * The guests every Freehold image carries, by the names that `image = "builtin:NAME"` uses. The one list: the
 * configuration's check, the embedded images (boot/) and the Makefile (which reads this file) take it from
 * here. Usable from assembly too; nothing else belongs in this file.
 */
#ifndef FREEHOLD_HV_BUILTINS_H
#define FREEHOLD_HV_BUILTINS_H

/* Each is one X(...): the guest is built from guest/NAME.c or guest/NAME/. */
#define BUILTIN_GUESTS(X) X(hello) X(worker) X(attacker) X(selftest) X(bench)

#endif
