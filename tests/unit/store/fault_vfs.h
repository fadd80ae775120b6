/* A SQLite VFS over the real one, as bad as disks are: it runs full, fails at the n-th operation,
 * and at a power cut loses a random part, sector by sector, of what was not synced. One at a time,
 * for a whole test program. */
#ifndef TESTS_STORE_FAULT_VFS_H
#define TESTS_STORE_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

/* Makes it the default for stores opened from here on. */
void fault_vfs_install(void);
/* Forgets files, faults and bounds. */
void fault_vfs_reset(void);
/* A disk of this many bytes for all files together, and for the one named (the ballast, which does
 * not pass here): writes beyond fail as on a full disk. 0 = no bound. */
void fault_vfs_quota(int64_t bytes, const char *beside);
/* The n-th write, sync or truncation from now fails once; 0 = none. */
void fault_vfs_fail_at(int n);
/* From the n-th on all fail: the machine is dead. */
void fault_vfs_die_at(int n);
/* Was a rollback journal removed without its folder being synced? After a power cut it may be there again. */
bool fault_vfs_journal_may_come_back(void);
/* Has the fault been met? */
bool fault_vfs_met(void);
/* Writes what a power cut would leave of the file to `to`; removes `to` where nothing would be. */
void fault_vfs_image(const char *path, const char *to, unsigned *seed);
/* The n-th allocation of SQLite from now fails, once; 0 = none. Call fault_vfs_install_memory
 * before SQLite is used. */
void fault_vfs_install_memory(void);
void fault_vfs_fail_allocation(int n);
bool fault_vfs_allocation_failed(void);

#endif
