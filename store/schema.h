/* The tables, and how an older file becomes a newer one. Internal to store/. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "base/attr.h"

#define SCHEMA_APPLICATION_ID                                                                      \
    0x4c574952 /* "LWIR": a SQLite file of another program is not ours to touch */
#define SCHEMA_VERSION 2

struct sqlite3;

enum schema_state {
    SCHEMA_EMPTY = 1, /* no tables yet */
    SCHEMA_OLDER,     /* ours, to be migrated */
    SCHEMA_CURRENT,
    SCHEMA_NEWER,   /* written by a newer longwire */
    SCHEMA_FOREIGN, /* a database of something else */
};

/* Looks, changes nothing. Return: enum schema_state, or -1: SQLite's error is in db. */
int schema_look(struct sqlite3 *db, int *version) MUST_CHECK;
/* Takes the file from `version` (0 = empty) to SCHEMA_VERSION, one transaction a step: a power cut
 * leaves whole steps. Return: 0, or -1: SQLite's error is in db. */
int schema_migrate(struct sqlite3 *db, int version) MUST_CHECK;

#endif
