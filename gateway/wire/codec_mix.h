/* The context-mixing codec: every record is coded bit by bit with the probability that a model of the
 * stream so far gives it. docs/CODEC.md and docs/MODEL.md have it to the last bit; the pieces are
 *
 *     codec_mix   ops: records in, bytes out, and back
 *     mix_records what a record consists of, in which order          mix_coder    the range coder
 *     mix_symbols small symbols and numbers                          mix_tables   constants
 *     mix_payload bytes: joins contexts, references, text, numbers, binary, and mixes them */
#ifndef WIRE_CODEC_MIX_H
#define WIRE_CODEC_MIX_H

#include "gateway/wire/codec.h"

#define CODEC_MIX_VERSION    2
#define CODEC_MIX_MEMORY_MIN (256u << 10)
#define CODEC_MIX_MEMORY_MAX (16u << 20)

extern const struct codec codec_mix;

#endif
