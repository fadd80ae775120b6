/* The file of the broker's password. */
#ifndef CONFIG_PASSWORD_H
#define CONFIG_PASSWORD_H

#include <stddef.h>
#include "base/attr.h"

#define PASSWORD_MAX 65535 /* MQTT-3.1.3.6: a 16-bit length */

/* Reads the password, without the line end that editors add. Return: NULL with a sentence in err, or memory to be given to
 * password_free with *n. */
char *password_read(const char *file, size_t *n, char *err, size_t err_size) MUST_CHECK;
/* Wipes and frees. NULL is allowed. */
void password_free(char *password, size_t n);

#endif
