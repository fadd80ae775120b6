/* What an Iridium SBD link remembers beyond the process: the session under way, the waits and the
 * bill. Pure: the bytes of the one note that a driver may keep (driver.h). Times in it are spans,
 * so that it needs no clock; with one that is trusted, the time in between counts too. */
#ifndef LINK_DRIVERS_IRIDIUM_SBD_NOTE_H
#define LINK_DRIVERS_IRIDIUM_SBD_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "link_drivers/iridium_sbd_budget.h"

#define SBD_IMEI_MAX 16 /* bytes with the NUL */
#define SBD_NOTE_MAX 160

struct sbd_note {
    bool pending;    /* a session was begun, and its result is not known */
    bool with_frame; /* ... and it carried this frame: */
    uint32_t frame_crc;
    uint16_t frame_bytes;
    bool settled; /* another frame, of an earlier session, was handed over though nobody has been
                     told: */
    uint32_t settled_crc;
    uint16_t settled_bytes;
    uint16_t momsn;          /* as +SBDSX had it before */
    char imei[SBD_IMEI_MAX]; /* of the modem that counts so */
    uint16_t failures;       /* in a row */
    int64_t wait_ms;         /* until the next session may begin */
    bool blocked;            /* ... and the link is down until then */
    int64_t wall_ms;         /* when it was written; 0 = not known */
    int64_t passed_ms;       /* once read: since then, 0 = not known */
};

/* Puts note and bill as they are at now_ms. Return: bytes. */
size_t sbd_note_write(const struct sbd_note *note, const struct sbd_budget *budget, int64_t now_ms,
                      uint8_t out[SBD_NOTE_MAX]);
/* The other way; of budget only what was spent. wall_ms: now, 0 = not known. Waits come out
 * shortened by the time that passed. Return: false when these bytes are no note: both are
 * untouched. */
bool sbd_note_read(struct sbd_note *note, struct sbd_budget *budget, const uint8_t *bytes, size_t n,
                   int64_t now_ms, int64_t wall_ms) MUST_CHECK;

#endif
