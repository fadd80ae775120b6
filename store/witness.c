#include "store/witness.h"

#include "base/buf.h"
#include "base/crc32.h"
#include "store/db.h"
#include "store/file.h"

#define FORMAT 1
#define BYTES  (1 + 4 + 4 + 8 + 8 + 4)
/* The file says when it was changed, as its file system tells: renewed when it is off by so much, since each renewal is a second
 * write. */
#define RENEWED_S 60
/* And believed when it is off by more: after a power cut the times and the bytes of a file may be of different writes, some
 * tens of seconds apart. A copy that is put back sooner than that passes for the original. */
#define BELIEVED_S 600

static uint32_t check_of(const uint8_t *bytes)
{
    return crc32_add(0, bytes, BYTES - 4);
}

static bool apart(int64_t a, int64_t b, int64_t seconds)
{
    return a - b > seconds || b - a > seconds;
}

const char *witness_contradicts(const struct store *s)
{
    uint8_t bytes[BYTES];
    int64_t changed_s = 0;
    size_t n = file_witness_read(s->path, bytes, sizeof(bytes), &changed_s);
    struct reader r = reader_of(bytes, n);
    uint8_t format = read_u8(&r);
    uint32_t generation = read_be32(&r), segment = read_be32(&r);
    uint64_t ordinal = read_be64(&r);
    int64_t stamp_s = (int64_t)read_be64(&r);

    if (n == 0)
        return "its witness is missing";
    if (read_be32(&r) != check_of(bytes) || r.bad || format != FORMAT)
        return "its witness cannot be read";
    if (generation != s->generation || segment != s->segment)
        return "its witness is of another";
    if (ordinal > (uint64_t)s->ordinal)
        return "it is older than its witness";
    return apart(changed_s, stamp_s, BELIEVED_S) ? "its witness is a copy" : NULL;
}

int witness_write(struct store *s, bool sync)
{
    int rc = 0;

    for (int tries = 0; tries < 2; tries++) {
        uint8_t bytes[BYTES];
        int64_t changed_s = 0;
        struct buf b;

        buf_init_over(&b, bytes, sizeof(bytes));
        buf_put_u8(&b, FORMAT);
        buf_put_be32(&b, s->generation);
        buf_put_be32(&b, s->segment);
        buf_put_be64(&b, (uint64_t)s->ordinal);
        buf_put_be64(&b, (uint64_t)s->witness_stamp_s);
        buf_put_be32(&b, check_of(bytes));
        rc = file_witness_write(s->path, bytes, sizeof(bytes), sync, &changed_s);
        if (rc != 0 || !apart(changed_s, s->witness_stamp_s, RENEWED_S))
            break;
        s->witness_stamp_s = changed_s;
    }
    if (rc != 0)
        file_witness_drop(s->path);
    return rc;
}
