/* Codec version 1: records as varints, payload as it is ([P-7]). No model: what it remembers is
 * what came last (number, time, flags), so that a small message costs four bytes and its payload.
 */
#ifndef WIRE_CODEC_PLAIN_H
#define WIRE_CODEC_PLAIN_H

#include "gateway/wire/codec.h"

extern const struct codec codec_plain;

#endif
