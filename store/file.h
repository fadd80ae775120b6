/* The files beside the database: the ballast, the witness, the mark of a damaged file, and what is set aside.
 * Internal to store/. Nothing here opens the database itself: closing any descriptor of it would
 * drop SQLite's POSIX locks. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

/* Given back when the disk is full, so that deletions and marks can still commit: it must hold what
 * a checkpoint adds to the file, that is a whole WAL (DB_WAL_PAGES) and the largest transaction. */
#define FILE_BALLAST_BYTES (8 << 20)
/* Room that must be there beside the ballast before `full` ends, or it would begin again at once.
 */
#define FILE_BALLAST_MARGIN (1 << 20)
/* Damaged files kept; the oldest beyond goes, as a dying disk must not fill itself with them. */
#define FILE_ASIDE_MAX 4

/* Allocates the ballast, blocks and all. Return: 0, or negative errno: then none is there. */
int file_ballast_make(const char *path) MUST_CHECK;
void file_ballast_free(const char *path);
bool file_ballast_there(const char *path);

/* Leaves and looks for the mark that the database was found damaged while in use. */
void file_mark_damaged(const char *path);
bool file_marked_damaged(const char *path);

/* Moves the database and its WAL to PATH.damaged-YYYYMMDD-HHMMSS (UTC of wall_ms), removes the
 * mark. */
int file_set_aside(const char *path, int64_t wall_ms, char *aside, size_t aside_size) MUST_CHECK;
/* Creates an empty file of mode 0600 where there is none, and syncs its folder, so that the name
 * survives a power cut. *created tells. */
int file_create(const char *path, bool *created) MUST_CHECK;
/* Syncs the folder of path: a name made or changed in it survives a power cut. */
int file_sync_folder(const char *path) MUST_CHECK;
/* The witness (witness.h): bytes of it, in the place of those before. sync: on disk when it returns, its name too. *changed_s: when the
 * file was changed last, by the clock of its file system, in seconds. Return: 0, or negative errno: then what it holds is not known. */
int file_witness_write(const char *path, const void *bytes, size_t n, bool sync, int64_t *changed_s) MUST_CHECK;
/* Return: how many were read, at most `room`; 0 = none. */
size_t file_witness_read(const char *path, void *bytes, size_t room, int64_t *changed_s);
void file_witness_drop(const char *path);
/* Size of PATH + suffix; -1 = not there. */
int64_t file_size(const char *path, const char *suffix);

#endif
