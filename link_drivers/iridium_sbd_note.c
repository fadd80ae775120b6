#include "link_drivers/iridium_sbd_note.h"

#include <assert.h>
#include <string.h>
#include "base/buf.h"
#include "base/crc32.h"

#define VERSION 1

enum { PENDING = 1, WITH_FRAME = 2, SETTLED = 4, BLOCKED = 8 };

size_t sbd_note_write(const struct sbd_note *note, const struct sbd_budget *budget, int64_t now_ms,
                      uint8_t out[SBD_NOTE_MAX])
{
    struct buf b;
    buf_init_over(&b, out, SBD_NOTE_MAX);
    buf_put_u8(&b, VERSION);
    buf_put_u8(&b, (uint8_t)((note->pending ? PENDING : 0) | (note->with_frame ? WITH_FRAME : 0) |
                             (note->settled ? SETTLED : 0) | (note->blocked ? BLOCKED : 0)));
    buf_put_be32(&b, note->frame_crc);
    buf_put_be16(&b, note->frame_bytes);
    buf_put_be32(&b, note->settled_crc);
    buf_put_be16(&b, note->settled_bytes);
    buf_put_be16(&b, note->momsn);
    buf_put(&b, note->imei, SBD_IMEI_MAX);
    buf_put_be16(&b, note->failures);
    buf_put_be64(&b, (uint64_t)note->wait_ms);
    buf_put_be64(&b, (uint64_t)note->wall_ms);
    buf_put_be64(&b, budget->total);
    for (int i = 0; i < SBD_SPANS; i++) {
        buf_put_be64(&b, (uint64_t)budget->spent[i]);
        buf_put_be64(&b, (uint64_t)(now_ms - budget->began_ms[i]));
    }
    buf_put_be32(&b, crc32_add(0, buf_bytes(&b), b.len));
    assert(!b.failed);
    return b.len;
}

bool sbd_note_read(struct sbd_note *note, struct sbd_budget *budget, const uint8_t *bytes, size_t n,
                   int64_t now_ms, int64_t wall_ms)
{
    if (n < 4)
        return false;
    struct reader sum = reader_of(bytes + n - 4, 4), r = reader_of(bytes, n - 4);
    if (read_be32(&sum) != crc32_add(0, bytes, n - 4) || read_u8(&r) != VERSION)
        return false;
    struct sbd_note got = {0};
    struct sbd_budget bill = *budget;
    uint8_t flags = read_u8(&r);
    got.pending = flags & PENDING;
    got.with_frame = flags & WITH_FRAME;
    got.settled = flags & SETTLED;
    got.blocked = flags & BLOCKED;
    got.frame_crc = read_be32(&r);
    got.frame_bytes = read_be16(&r);
    got.settled_crc = read_be32(&r);
    got.settled_bytes = read_be16(&r);
    got.momsn = read_be16(&r);
    const uint8_t *imei = read_bytes(&r, SBD_IMEI_MAX);
    if (imei)
        memcpy(got.imei, imei, SBD_IMEI_MAX - 1);
    got.failures = read_be16(&r);
    got.wait_ms = (int64_t)read_be64(&r);
    got.wall_ms = (int64_t)read_be64(&r);
    /* Without a clock at both ends time stood still meanwhile: nothing is spent too early. */
    int64_t passed =
        wall_ms > 0 && got.wall_ms > 0 && wall_ms > got.wall_ms ? wall_ms - got.wall_ms : 0;
    got.passed_ms = passed;
    got.wait_ms = got.wait_ms > passed ? got.wait_ms - passed : 0;
    bill.total = read_be64(&r);
    for (int i = 0; i < SBD_SPANS; i++) {
        bill.spent[i] = (int64_t)read_be64(&r);
        bill.began_ms[i] = now_ms - passed - (int64_t)read_be64(&r);
    }
    if (r.bad || r.left > 0)
        return false;
    *note = got;
    *budget = bill;
    return true;
}
