/* What the tests of the directip driver share: the driver under the fake host, with two modems, and a
 * gateway of the test's own at both of its ends, on loopback. */
#ifndef TESTS_UNIT_LINK_DRIVERS_DIRECTIP_RIG_H
#define TESTS_UNIT_LINK_DRIVERS_DIRECTIP_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "link_drivers/directip.h"
#include "link_drivers/directip_message.h"
#include "tests/conform/fake_host.h"

#define BUOY      7 /* stations */
#define MAST      9
#define BUOY_IMEI "300234010753370"
#define MAST_IMEI "300234063904190"

struct rig {
    struct fake_world world;
    struct fake_link link;
    struct fake_given given;
    struct directip_options options;
    char listen_on[32], connect_to[32], allow[64], *allow_items[1];
    int gateway_fd; /* where the driver brings messages for modems */
    int call_fd;    /* one of its connections */
    uint8_t call[4096];
    size_t call_n;
    unsigned calls;
    int until_fd; /* what read_until reads */
    uint8_t got[256];
    size_t got_n, got_wanted;
    bool got_end;
    unsigned writables;
};

/* A session that the gateway reports. */
struct session {
    const char *imei;
    uint8_t status;
    uint16_t momsn, mtmsn;
    bool located;
    const char *payload; /* NULL = none */
};

/* Setup and teardown of a case: *state is the rig, its driver up. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
/* The driver anew, with the options and peers as they are now. */
void rig_restart(struct rig *r);
bool rig_is_up(void *arg);
/* Lets a little time pass: too little for anything to run out of it, so that the machine need not be
 * given the time that it may need. */
void rig_tick(struct rig *r);
struct fake_station *rig_station(struct rig *r, station_t number);
/* What the driver has delivered of a station, all of it. */
void rig_expect_delivered(struct rig *r, station_t number, const char *bytes);

/* A listening socket; *port 0 = any. */
int rig_listen(uint16_t *port);
/* The gateway hangs up on the message in hand; and goes altogether. */
void rig_hang_up(struct rig *r);
void rig_gateway_gone(struct rig *r);

/* A connection to where the driver listens. */
int rig_dial(struct rig *r);
void put_bytes(int fd, const void *bytes, size_t n);
/* A message as the gateway would write it. Return: its bytes. */
size_t mo_bytes(const struct session *s, uint8_t out[512]);
/* Brings it. Return: the connection. */
int mo_bring(struct rig *r, const struct session *s);
/* What the driver answers on fd, up to `wanted` bytes or its end: r->got, r->got_n, r->got_end. */
void rig_read(struct rig *r, int fd, size_t wanted);
/* The message is confirmed; or the connection closed without a word. Both close fd. */
void mo_expect_confirmed(struct rig *r, int fd);
void mo_expect_closed(struct rig *r, int fd);

#endif
