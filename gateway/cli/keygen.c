/* `longwire keygen FILE`: a new key of 32 random bytes. */
#include "gateway/cli/commands.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "config/key_file.h"

int command_keygen(const char *file)
{
    uint8_t key[KEY_BYTES];
    /* Up to 256 bytes come whole once the system has gathered randomness; until then this waits. */
    int rc = getrandom(key, sizeof key, 0) == (ssize_t)sizeof key ? 0 : -errno;
    if (rc == 0)
        rc = key_file_create(file, key);
    explicit_bzero(key, sizeof key);
    if (rc == -EEXIST)
        fprintf(stderr, "longwire: %s is there already, and stays as it is: a key that is in use would be lost\n", file);
    else if (rc < 0)
        fprintf(stderr, "longwire: cannot write %s: %s\n", file, strerror(-rc));
    return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}
