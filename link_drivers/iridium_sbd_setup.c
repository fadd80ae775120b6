/* How an Iridium SBD modem is set up, whatever it was set to before, and registered with the
 * network. */
#include "link_drivers/iridium_sbd_internal.h"

#include <stdlib.h>
#include <string.h>

#define SECOND 1000ll
#define MINUTE (60 * SECOND)

#define REGISTER_LEAST_MS (3 * MINUTE) /* between two registrations: else status 36 */
/* Firmware before this hangs in a session while it does not know the system time (9602 bulletin of
 * May 2013). */
#define FIRMWARE_SOUND 13001

/* ---- setting up ---- */

enum sbd_step sbd_on_awake(struct sbd *s, int64_t now_ms)
{
    if (s->baud != s->options->baud)
        s->host->ops->trace(s->host, 2,
                            "the modem speaks at %u baud, not at %u as configured: device=%s",
                            s->baud, (unsigned)s->options->baud, s->port.path);
    s->silences = 0;
    return SBD_HUSH_AGAIN;
}

enum sbd_step sbd_on_echo_off(struct sbd *s, int64_t now_ms)
{
    s->echoes = s->chat.echoes;
    return SBD_WORDS;
}

/* All was answered without an echo: from now on one tells that the modem has lost its power. */
enum sbd_step sbd_on_set_up(struct sbd *s, int64_t now_ms)
{
    s->echo_stays = s->chat.echoes != s->echoes;
    s->echoes = s->chat.echoes;
    return SBD_LOOK;
}

static void keep_text(char *to, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text == ' '; text++)
        ;
    for (; text[n] && n < size - 1; n++) /* it goes into JSON and log lines */
        to[n] = text[n] == '"' || text[n] == '\\' ? '_' : text[n];
    to[n] = '\0';
}

enum sbd_step sbd_on_model(struct sbd *s, int64_t now_ms)
{
    keep_text(s->kind, sizeof(s->kind), s->chat.info);
    return SBD_FIRMWARE;
}

enum sbd_step sbd_on_firmware(struct sbd *s, int64_t now_ms)
{
    const char *colon = strchr(s->chat.info, ':');
    keep_text(s->firmware, sizeof(s->firmware), colon ? colon + 1 : "");
    s->old_firmware =
        strncmp(s->firmware, "TA", 2) == 0 && strtol(s->firmware + 2, NULL, 10) < FIRMWARE_SOUND;
    return SBD_IMEI;
}

enum sbd_step sbd_on_imei(struct sbd *s, int64_t now_ms)
{
    keep_text(s->imei, sizeof(s->imei), s->chat.info);
    return SBD_RING;
}

enum sbd_step sbd_no_imei(struct sbd *s, int64_t now_ms)
{
    s->imei[0] = '\0';
    return SBD_RING;
}

/* ---- registration ---- */

void sbd_register_later(struct sbd *s, int64_t least_ms, int64_t now_ms)
{
    int64_t wait = sbd_ladder_ms(++s->register_failures, s->host->ops->random(s->host));
    if (wait < REGISTER_LEAST_MS)
        wait = REGISTER_LEAST_MS;
    s->register_at_ms = now_ms + sbd_scaled(s, wait > least_ms ? wait : least_ms);
}

/* 0 = detached, 1 = not registered, 2 = registered, 3 = denied. A modem that does not say is left
 * as it is. */
enum sbd_step sbd_on_registered(struct sbd *s, int64_t now_ms)
{
    long v[1] = {2};
    s->unregistered = at_numbers(s->chat.info, v, 1) == 1 && v[0] != 2;
    return sbd_on_set_up(s, now_ms);
}

enum sbd_step sbd_on_register(struct sbd *s, int64_t now_ms)
{
    long v[2] = {1, 0};
    at_numbers(s->chat.info, v, 2);
    s->quiet_until_ms = 0;
    s->unregistered = v[0] != 2;
    s->host->ops->trace(s->host, 1, "registration: status=%ld error=%ld", v[0], v[1]);
    if (s->unregistered) {
        const struct sbd_policy *p = sbd_policy_of(v[1]);
        sbd_register_later(s, p->wait_ms, now_ms);
        if (p->alert)
            sbd_alert(s, p->words);
    } else {
        s->register_failures = 0;
    }
    return SBD_LOOK;
}

enum sbd_step sbd_no_register(struct sbd *s, int64_t now_ms)
{
    s->quiet_until_ms = 0;
    s->unregistered = false; /* it does not know how: a session will do it */
    return SBD_LOOK;
}
