/* Faults on demand: the n-th call of a kind fails, once or from then on. The tests let n rise until a scenario runs
 * without meeting the fault: then every such call of it has failed once.
 *
 * How: the linker sends the program's own calls here (--wrap, see meson.build); SQLite is given another allocator and a
 * VFS over its own; jansson another allocator. Calls count only between fault_enter and fault_leave, so that what the
 * test itself does never fails. */
#ifndef TESTS_CRASH_FAULT_H
#define TESTS_CRASH_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum fault_kind {
    FAULT_ALLOC,  /* malloc, calloc, realloc, strdup ... of the program and jansson */
    FAULT_MEMORY, /* SQLite's allocator */
    FAULT_WRITE,  /* writes, truncations and allocations of files */
    FAULT_SYNC,
    FAULT_READ,
    FAULT_OPEN,   /* open, rename, deletion */
    FAULT_SOCKET, /* socket, bind, listen, accept, connect, send, recv, socket options */
    FAULT_KINDS
};
extern const char *const fault_names[FAULT_KINDS];

struct fault {
    enum fault_kind kind;
    unsigned at;     /* the first call that fails, counted from 1; 0 = none, only count */
    bool lasting;    /* and all after it, until fault_disarm */
    int error;       /* errno */
};

/* Once, before anything else. */
void fault_init(void);
void fault_arm(const struct fault *f);
/* The place where a case begins: 1, or LONGWIRE_FAULT_AT of the environment, for who looks at one place alone with
 * `gdb -ex 'break fault_strikes'`. */
unsigned fault_first(void);
/* The place after `at`: where there are thousands of calls, each further one is a `slow`-th further on (0, or
 * LONGWIRE_FAULT_EVERY set: the very next). */
unsigned fault_next(unsigned at, unsigned slow);
/* Called as the fault happens, for that breakpoint. */
void fault_strikes(void);
/* Ends the fault. Return: whether it was met. */
bool fault_disarm(void);
bool fault_met(void);
/* Only calls between the two count; they nest. */
void fault_enter(void);
void fault_leave(void);
/* Blocks that were taken inside and are not freed yet, and SQLite's bytes: what a scenario leaves must be what it found. */
size_t fault_live_blocks(void);
long long fault_live_sqlite_bytes(void);

#endif
