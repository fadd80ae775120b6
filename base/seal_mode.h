/* What protects a link: the operator's word, the wire's rule. */
#ifndef BASE_SEAL_MODE_H
#define BASE_SEAL_MODE_H

enum seal_mode {
    SEAL_FULL, /* encrypted and authenticated; 0, so that what was forgotten to be set protects */
    SEAL_AUTH, /* authenticated, in clear */
    SEAL_NONE, /* a checksum */
};

#define SECRET_BYTES 32 /* of a pre-shared key */

#endif
