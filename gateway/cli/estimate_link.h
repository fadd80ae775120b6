/* The link that an estimate is made for, as the operator describes it before there is one. */
#ifndef CLI_ESTIMATE_LINK_H
#define CLI_ESTIMATE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of both ends of a link. Towards the far end is "out". */
enum estimate_end { ESTIMATE_HERE, ESTIMATE_THERE };

struct estimate_link {
    bool datagram;
    size_t mtu;          /* datagram: bytes of the largest frame, ESTIMATE_MTU_MIN..MAX */
    size_t credit_bytes; /* datagram: each frame is billed in such steps; 0 = it is not */
    int64_t hold_ms;     /* datagram: how long normal and bulk wait for company */
    int64_t baud;        /* stream: bits a second, ten a byte */
    bool backlog;        /* messages come as fast as the link takes them, whatever their times say */
    bool metered;        /* stream: no byte when idle, or else */
    int64_t probe_ms;    /* a silent peer is probed so often; 0 = never */
    int timestamps;      /* enum timestamps; -1: as the configuration has it */
    int codec;           /* enum codec_level; -1: likewise */
    int64_t codec_memory; /* 0: likewise */
};
#define ESTIMATE_MTU_MIN  128 /* an announcement of the epoch, sealed, and something beside it */
#define ESTIMATE_MTU_MAX  4096
#define ESTIMATE_BAUD_MAX 10000000

struct estimate_totals {
    uint64_t frames, bytes;           /* towards the far end, as they lie on the line */
    uint64_t back_frames, back_bytes; /* from there: acknowledgements */
    /* Datagram, where they are billed: */
    uint64_t credits, back_credits;
    uint64_t polls; /* sessions that were held only to fetch what came back: a credit each, beside these */
};

#endif
