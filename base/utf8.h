/* UTF-8 as MQTT wants it (MQTT-1.5.4-1, -2): well-formed, no surrogates, no U+0000. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const char *s, size_t n);

#endif
