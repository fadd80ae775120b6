/* The disk of one simulated machine: files in memory, each as programs see it (now) and as it would be found after a power cut
 * (safe). A sync makes safe what is now. A power cut keeps of each 512-byte sector that was written and not synced the old or
 * the new content, as chance has it, and likewise the file's length and its name. A file that was cut shorter is cut, or is as it
 * was before with nothing written since: file systems keep the order of these.
 *
 * Below the real SQLite it is a VFS (sim_vfs.c), and it takes the place of store/file.c (sim_store_file.c). Paths begin with
 * the disk's name: "/sim-0/...". */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tests/sim/sim_rng.h"

#define SIM_SECTOR_BYTES 512
#define SIM_DISKS        2

struct sim_file {
    char *path;
    bool there, there_safe;
    uint8_t *now, *safe;
    size_t now_size, safe_size;
    size_t shrunk_to;       /* the least length since the last sync; SIZE_MAX = it has not become shorter */
    size_t room;            /* bytes that now and safe can hold */
    uint8_t *changed;       /* a byte a sector: written and not synced */
    size_t changed_from, changed_to; /* no sector outside of these is */
    struct sim_file *next;
};

/* What a machine's power or process does to the calls of a program on it. */
struct sim_disk {
    struct sim_rng rng;
    struct sim_file *files;
    uint64_t life;          /* counts crashes: handles of an earlier life are dead */
    uint64_t operations;    /* writes, syncs, truncations and deletions of this life */
    uint64_t dies_at;       /* at this operation the machine stops; 0 = never */
    bool dead;              /* stopped: every call fails and changes nothing */
    size_t capacity;        /* bytes that all files may hold; SIZE_MAX = no bound */
    uint32_t error_ppm;     /* of writes and syncs that fail with an I/O error */
    uint64_t syncs, errors, full;
};

void sim_disk_init(struct sim_disk *d, struct sim_rng *rng);
void sim_disk_fini(struct sim_disk *d);
/* The disks that paths lead to, by their digit; NULL takes one away. */
void sim_disk_mount(unsigned which, struct sim_disk *d);
struct sim_disk *sim_disk_of(const char *path);

/* The file of this path, or NULL; create: made where it is not. */
struct sim_file *sim_disk_file(struct sim_disk *d, const char *path, bool create);
size_t sim_disk_used(const struct sim_disk *d);

enum sim_disk_result { SIM_DISK_OK, SIM_DISK_DEAD, SIM_DISK_FULL, SIM_DISK_ERROR };
/* Each may be the operation at which the machine stops: then the write may have been done in part. */
enum sim_disk_result sim_file_write(struct sim_disk *d, struct sim_file *f, size_t offset, const void *bytes, size_t n);
enum sim_disk_result sim_file_truncate(struct sim_disk *d, struct sim_file *f, size_t size);
enum sim_disk_result sim_file_sync(struct sim_disk *d, struct sim_file *f);
/* Whether a file whose path ends so was written and not synced. */
bool sim_disk_unsynced(const struct sim_disk *d, const char *suffix);
/* synced: the folder is synced as well. */
enum sim_disk_result sim_file_delete(struct sim_disk *d, struct sim_file *f, bool synced);
enum sim_disk_result sim_file_rename(struct sim_disk *d, struct sim_file *f, const char *to);

/* The machine stops (power_cut: what was not synced is at risk; else only the process dies) and could run again:
 * handles that were open are dead. */
void sim_disk_crash(struct sim_disk *d, bool power_cut);
/* Everything is gone. */
void sim_disk_wipe(struct sim_disk *d);
/* A copy of all files as they are now, and back again: a restored backup. NULL: out of memory. Free with sim_disk_free_copy. */
struct sim_file *sim_disk_copy(const struct sim_disk *d);
void sim_disk_restore(struct sim_disk *d, const struct sim_file *copy);
void sim_disk_free_copy(struct sim_file *copy);

/* Registers the VFS as SQLite's default and seeds SQLite's own random numbers from it. */
void sim_vfs_register(struct sim_rng *rng);
void sim_vfs_unregister(void);

#endif
