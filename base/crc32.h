/* CRC-32 (IEEE 802.3: reflected, polynomial 0xEDB88320), as the link frames use it ([P-3]). */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Continues a CRC over n more bytes. Begin with 0 for the standard CRC ("123456789" gives
 * 0xCBF43926), or with an earlier result to go on: crc32_add(crc32_add(0,a),b) == crc32 of a||b. */
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n);

#endif
