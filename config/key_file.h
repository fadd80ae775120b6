/* The file of a pre-shared key: text, so that a person can copy it and check that it came over whole.
 *
 *     ; Longwire key. Whoever has it can read and forge what passes between the two ends.
 *     0f3a6b1c 91d2e4f7 ... (64 hex digits; blanks between them do not count)
 *
 * Lines that begin with ; or # and empty ones do not count either. Nobody but its owner may have
 * any right to the file. */
#ifndef CONFIG_KEY_FILE_H
#define CONFIG_KEY_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/attr.h"

#define KEY_BYTES          32
#define KEY_FILE_MAX_BYTES 4096
#define KEY_WHY_BYTES      200

/* Reads the n bytes of a key file. Return: 0; -EINVAL with a sentence in why, which names the line
 * and quotes nothing. */
int key_text_parse(const char *text, size_t n, uint8_t key[KEY_BYTES],
                   char why[KEY_WHY_BYTES]) MUST_CHECK;

/* Reads a key file. It must belong to the user who runs this, to root, or to `also` (one more user who may,
 * (uid_t)-1 for none), and be closed to all others. The caller wipes key when it is done with it.
 * Return: 0; negative errno with a sentence in why that does not name the file: -EPERM = open to
 * others, or somebody else's; -EINVAL = not a key. */
int key_file_read(const char *path, uid_t also, uint8_t key[KEY_BYTES],
                  char why[KEY_WHY_BYTES]) MUST_CHECK;

/* Writes a new key file, mode 0600, on disk when this returns. An existing file stays as it is.
 * Return: 0; negative errno (-EEXIST: there is one), nothing left behind. */
int key_file_create(const char *path, const uint8_t key[KEY_BYTES]) MUST_CHECK;

#endif
