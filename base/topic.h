/* MQTT topic names and topic filters (MQTT 5, 4.7). Pure. */
#ifndef BASE_TOPIC_H
#define BASE_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#define TOPIC_MAX_BYTES 65535 /* MQTT-1.5.4: length is a 16-bit field */

/* 1..65535 bytes of valid UTF-8 without '+', '#' and NUL. */
bool topic_name_valid(const char *topic, size_t n);
/* As above, with + alone in a level and # alone and last. */
bool topic_filter_valid(const char *filter, size_t n);
/* MQTT 4.7.1, 4.7.2: a filter that begins with a wildcard does not match a topic beginning with $. */
bool topic_matches(const char *filter, const char *topic);
/* May one topic match both filters? For the check of overlapping routes. */
bool topic_filters_overlap(const char *a, const char *b);
/* Does every topic that `narrow` matches match `wide` too? */
bool topic_filter_covers(const char *wide, const char *narrow);

#endif
