#include "gateway/mqtt/fallback.h"

enum step {
    STEP_5,
    STEP_BRIDGE,
    STEP_311,
};

/* By step. mosquitto takes bit 7 of the level as "this client is a bridge", and then gives no-local
 * and retain-as-published, which MQTT 3.1.1 has no other way to ask for. */
static const uint8_t levels[] = {
    [STEP_5] = 5,
    [STEP_BRIDGE] = 0x84,
    [STEP_311] = 4,
};

/* How often in a row a server may close without a word before the next version is tried. Once could
 * be a broker that is just being restarted; that the bridge bit is met so is common. */
static const uint8_t patience[] = {
    [STEP_5] = 2,
    [STEP_BRIDGE] = 1,
    [STEP_311] = 1,
};

void fallback_init(struct fallback *f, enum mqtt_version version)
{
    *f = (struct fallback){
        .configured = version == MQTT_311 ? STEP_BRIDGE : STEP_5,
        .last = version == MQTT_5 ? STEP_5 : STEP_311,
    };
    f->first = f->step = f->configured;
}

uint8_t fallback_level(const struct fallback *f)
{
    return levels[f->step];
}

enum mqtt_version fallback_version(const struct fallback *f)
{
    return f->step == STEP_5 ? MQTT_5 : MQTT_311;
}

bool fallback_is_bridge(const struct fallback *f)
{
    return f->step == STEP_BRIDGE;
}

bool fallback_refused(struct fallback *f)
{
    bool more = f->step < f->last;
    /* With none left it begins anew: another broker may stand there tomorrow. */
    f->first = more ? f->step + 1 : f->configured;
    f->step = f->first;
    f->silent = 0;
    f->proven = false;
    return more;
}

void fallback_silence(struct fallback *f)
{
    if (f->proven || ++f->silent < patience[f->step])
        return;
    f->silent = 0;
    f->step = f->step == f->last ? f->first : (uint8_t)(f->step + 1);
}

void fallback_accepted(struct fallback *f)
{
    f->silent = 0;
    f->proven = f->step == f->first;
}

void fallback_ended(struct fallback *f)
{
    f->step = f->first;
}
