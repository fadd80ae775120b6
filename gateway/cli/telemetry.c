#include "gateway/cli/telemetry.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/attr.h"

/* The world: each value walks at random about a middle that it is drawn back to, in tenths,
 * hundredths or thousandths of its unit, as named. */
enum world {
    AIR_TEMP_DC,
    HUMIDITY_DPC,
    BAROMETER_DHPA,
    WIND_SPEED_CMS,
    WIND_DIR_DEG,
    RADIATION_W,
    RAIN_UM,
    SPEED_CMS,
    COURSE_DDEG,
    DEPTH_CM,
    WATER_TEMP_DC,
    TANK_FRESH_DPC,
    TANK_FUEL_DPC,
    BATTERY_MV,
    BATTERY_MA,
    STATE_OF_CHARGE_DPC,
    PUMP_ON,
    DECK_LIGHT_ON,
    BILGE_HIGH,
    WORLD_COUNT
};
_Static_assert(WORLD_COUNT <= 32, "struct telemetry holds the world");

struct walk {
    enum world what;
    int32_t start, low, high; /* hard bounds */
    int32_t step;             /* largest change at a draw */
    int32_t pull; /* 1/pull of the distance to start is taken back each time; 0 = none */
};

static const struct walk walks[] = {
    {AIR_TEMP_DC, 143, -150, 380, 2, 400},
    {HUMIDITY_DPC, 712, 200, 1000, 6, 300},
    {BAROMETER_DHPA, 10132, 9500, 10500, 1, 0},
    {WIND_SPEED_CMS, 640, 0, 3500, 90, 20},
    {WIND_DIR_DEG, 231, 0, 359, 9, 60},
    {RADIATION_W, 412, 0, 1100, 25, 40},
    {SPEED_CMS, 310, 0, 900, 30, 25},
    {COURSE_DDEG, 2314, 0, 3599, 40, 80},
    {DEPTH_CM, 1240, 180, 9000, 25, 200},
    {WATER_TEMP_DC, 121, -10, 300, 1, 300},
    {TANK_FRESH_DPC, 634, 0, 1000, 1, 0},
    {TANK_FUEL_DPC, 815, 0, 1000, 1, 0},
    {BATTERY_MV, 13120, 11000, 14600, 30, 30},
    {BATTERY_MA, -4200, -40000, 60000, 600, 15},
    {STATE_OF_CHARGE_DPC, 870, 100, 1000, 1, 0},
};

static int32_t step(struct telemetry *t, enum world what)
{
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++) {
        const struct walk *w = &walks[i];
        if (w->what != what)
            continue;
        int32_t v = t->value[what];
        v += (int32_t)seeded_below(&t->chance, (uint32_t)(2 * w->step + 1)) - w->step;
        if (w->pull != 0)
            v -= (v - w->start) / w->pull;
        if (v < w->low)
            v = w->low;
        if (v > w->high)
            v = w->high;
        t->value[what] = v;
        return v;
    }
    assert(!"a value that does not walk");
    return 0;
}

/* A number of `per` parts as text: 143 of 10 is "14.3". By value, so that one printf may hold
 * several. */
struct decimal {
    char text[16];
};
static struct decimal decimal(int64_t v, int per)
{
    struct decimal d;
    int digits = per == 10 ? 1 : per == 100 ? 2 : per == 1000 ? 3 : 6;
    int64_t whole = v < 0 ? -v : v;
    snprintf(d.text, sizeof d.text, "%s%lld.%0*lld", v < 0 ? "-" : "",
             (long long)(whole / per) % 10000000, digits, (long long)(whole % per));
    return d;
}

static void say(struct telemetry_message *out, const char *topic, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static void say(struct telemetry_message *out, const char *topic, const char *fmt, ...)
{
    va_list ap;
    snprintf(out->topic, sizeof out->topic, "%s", topic);
    va_start(ap, fmt);
    int n = vsnprintf(out->payload, sizeof out->payload, fmt, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < sizeof out->payload);
    out->payload_len = (size_t)n;
}

static int64_t clock_s(const struct telemetry *t, const struct telemetry_message *m)
{
    return t->start_s + m->offset_ms / 1000;
}

static void weather(struct telemetry *t, struct telemetry_message *out)
{
    int32_t wind = step(t, WIND_SPEED_CMS);
    int32_t gust = wind + (int32_t)seeded_below(&t->chance, 40 + (uint32_t)wind / 3);
    if (seeded_below(&t->chance, 40) == 0)
        t->value[RAIN_UM] += 200; /* one tip of the bucket */
    /* Drawn in statements: the order of arguments is the compiler's, and would be the bytes'
     * order too. */
    int32_t temperature = step(t, AIR_TEMP_DC), humidity = step(t, HUMIDITY_DPC);
    int32_t barometer = step(t, BAROMETER_DHPA), direction = step(t, WIND_DIR_DEG);
    int32_t radiation = step(t, RADIATION_W);
    say(out, "weather/mast/loop",
        "{\"dateTime\":%lld,\"outTemp\":%s,\"outHumidity\":%s,\"barometer\":%s,\"windSpeed\":%s,"
        "\"windGust\":%s,\"windDir\":%d,\"rain\":%s,\"radiation\":%d}",
        (long long)clock_s(t, out), decimal(temperature, 10).text, decimal(humidity, 10).text,
        decimal(barometer, 10).text, decimal(wind / 10, 10).text, decimal(gust / 10, 10).text,
        direction, decimal(t->value[RAIN_UM] / 100, 10).text, radiation);
}

/* Moves the boat by what it sailed since the last fix. The course is one of 16 compass points'
 * sines: enough for a track that bends. */
static void sail(struct telemetry *t, int64_t ms)
{
    static const int16_t sine[16] = {0, 383,  707,  924,  1000,  924,  707,  383,
                                     0, -383, -707, -924, -1000, -924, -707, -383};
    int point = t->value[COURSE_DDEG] / 225 % 16;
    int64_t metres_e3 = (int64_t)t->value[SPEED_CMS] * ms / 100;
    t->lat_e6 +=
        metres_e3 * sine[(point + 4) % 16] / 1000 * 9 / 1000; /* 1 m is 9e-6 degrees of latitude */
    t->lon_e6 +=
        metres_e3 * sine[point] / 1000 * 15 / 1000; /* and 15e-6 of longitude at 53 north */
}

static void gps_track(struct telemetry *t, struct telemetry_message *out)
{
    sail(t, 5000);
    int32_t jitter = (int32_t)seeded_below(&t->chance, 9) - 4;
    uint32_t accuracy = 3 + seeded_below(&t->chance, 5), altitude = 1 + seeded_below(&t->chance, 4);
    int32_t course = step(t, COURSE_DDEG), speed = step(t, SPEED_CMS);
    say(out, "owntracks/longwire/boat",
        "{\"_type\":\"location\",\"acc\":%u,\"alt\":%u,\"cog\":%d,\"lat\":%s,\"lon\":%s,\"tid\":"
        "\"lw\","
        "\"tst\":%lld,\"vel\":%d}",
        accuracy, altitude, course / 10, decimal(t->lat_e6 + jitter, 1000000).text,
        decimal(t->lon_e6 - jitter, 1000000).text, (long long)clock_s(t, out), speed * 36 / 1000);
}

static void level(struct telemetry *t, struct telemetry_message *out, const char *topic,
                  enum world what, int per)
{
    say(out, topic, "{\"value\": %s}", decimal(step(t, what), per).text);
    out->retain = true;
}

static void tank_fresh(struct telemetry *t, struct telemetry_message *out)
{
    level(t, out, "N/boat/tank/20/Level", TANK_FRESH_DPC, 10);
}

static void tank_fuel(struct telemetry *t, struct telemetry_message *out)
{
    level(t, out, "N/boat/tank/21/Level", TANK_FUEL_DPC, 10);
}

static void battery_voltage(struct telemetry *t, struct telemetry_message *out)
{
    level(t, out, "N/boat/battery/1/Dc/0/Voltage", BATTERY_MV, 1000);
}

static void battery_current(struct telemetry *t, struct telemetry_message *out)
{
    level(t, out, "N/boat/battery/1/Dc/0/Current", BATTERY_MA, 1000);
}

static void state_of_charge(struct telemetry *t, struct telemetry_message *out)
{
    level(t, out, "N/boat/battery/1/Soc", STATE_OF_CHARGE_DPC, 10);
}

static void toggle(struct telemetry *t, struct telemetry_message *out, const char *topic,
                   enum world what)
{
    t->value[what] = !t->value[what];
    say(out, topic, "%s", t->value[what] ? "ON" : "OFF");
    out->retain = true;
}

static void deck_light(struct telemetry *t, struct telemetry_message *out)
{
    toggle(t, out, "switches/deck-light", DECK_LIGHT_ON);
}

static void bilge_pump(struct telemetry *t, struct telemetry_message *out)
{
    toggle(t, out, "switches/bilge-pump", PUMP_ON);
}

static void bilge_alarm(struct telemetry *t, struct telemetry_message *out)
{
    t->value[BILGE_HIGH] = !t->value[BILGE_HIGH];
    say(out, "alarms/bilge", "{\"state\":\"%s\",\"since\":%lld}",
        t->value[BILGE_HIGH] ? "HIGH" : "normal", (long long)clock_s(t, out));
    out->alarm = true;
}

/* Puts $, checksum and end round the body of a sentence. NMEA 0183: the XOR of all between $ and
 * *. */
static void sentence(struct telemetry_message *out, const char *body)
{
    unsigned sum = 0;
    for (const char *c = body; *c != '\0'; c++)
        sum ^= (unsigned char)*c;
    say(out, "nmea/0183", "$%s*%02X", body, sum);
}

/* Degrees as NMEA has them: ddmm.mmmm, dddmm.mmmm. */
static void nmea_degrees(char *out, size_t size, int64_t e6, int width)
{
    int64_t whole = e6 < 0 ? -e6 : e6;
    int64_t minutes_e4 = whole % 1000000 * 60 / 100;
    snprintf(out, size, "%0*lld%02lld.%04lld", width, (long long)(whole / 1000000) % 1000,
             (long long)(minutes_e4 / 10000), (long long)(minutes_e4 % 10000));
}

static void nmea_position(struct telemetry *t, struct telemetry_message *out, char *body,
                          size_t size)
{
    char lat[24], lon[24];
    long long s = clock_s(t, out) % 86400;
    nmea_degrees(lat, sizeof lat, t->lat_e6, 2);
    nmea_degrees(lon, sizeof lon, t->lon_e6, 3);
    snprintf(body, size, "GPGLL,%s,%c,%s,%c,%02lld%02lld%02lld.00,A,A", lat,
             t->lat_e6 < 0 ? 'S' : 'N', lon, t->lon_e6 < 0 ? 'W' : 'E', s / 3600, s / 60 % 60,
             s % 60);
}

static void nmea(struct telemetry *t, struct telemetry_message *out)
{
    char body[96];
    int32_t wind;
    switch (t->sequence[0]++ % 4) {
    case 0:
        wind = step(t, WIND_SPEED_CMS) / 10;
        snprintf(body, sizeof body, "IIMWV,%d,R,%s,M,A", step(t, WIND_DIR_DEG),
                 decimal(wind, 10).text);
        break;
    case 1:
        nmea_position(t, out, body, sizeof body);
        break;
    case 2:
        snprintf(body, sizeof body, "SDDPT,%s,0.3", decimal(step(t, DEPTH_CM) / 10, 10).text);
        break;
    default:
        snprintf(body, sizeof body, "YXMTW,%s,C", decimal(step(t, WATER_TEMP_DC), 10).text);
        break;
    }
    sentence(out, body);
}

/* Who speaks, and how often: every period_ms give or take jitter_ms. */
static const struct source {
    void (*speak)(struct telemetry *t, struct telemetry_message *out);
    uint32_t period_ms, jitter_ms;
} sources[TELEMETRY_SOURCES] = {
    {nmea, 1000, 30},
    {weather, 10000, 200},
    {gps_track, 5000, 100},
    {battery_voltage, 4000, 900},
    {battery_current, 3000, 900},
    {state_of_charge, 30000, 2000},
    {tank_fresh, 20000, 3000},
    {tank_fuel, 25000, 3000},
    {deck_light, 60000, 45000},
    {bilge_pump, 40000, 30000},
    {bilge_alarm, 90000, 60000},
    {nmea, 2500, 50},
};

void telemetry_init(struct telemetry *t, uint64_t seed, int64_t start_s)
{
    memset(t, 0, sizeof *t);
    t->chance.state = seed;
    t->start_s = start_s;
    t->lat_e6 = 54176000;
    t->lon_e6 = 7893000;
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++)
        t->value[walks[i].what] = walks[i].start;
    for (size_t i = 0; i < TELEMETRY_SOURCES; i++)
        t->next_ms[i] = seeded_below(&t->chance, sources[i].period_ms);
}

void telemetry_next(struct telemetry *t, struct telemetry_message *out)
{
    size_t first = 0;
    for (size_t i = 1; i < TELEMETRY_SOURCES; i++)
        if (t->next_ms[i] < t->next_ms[first])
            first = i;
    const struct source *s = &sources[first];
    memset(out, 0, sizeof *out);
    out->offset_ms = t->next_ms[first];
    t->next_ms[first] +=
        s->period_ms - s->jitter_ms + seeded_below(&t->chance, 2 * s->jitter_ms + 1);
    s->speak(t, out);
}
