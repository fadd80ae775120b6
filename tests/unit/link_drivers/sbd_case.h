/* What the cases of the iridium-sbd driver share: driver and modem (tests/support/sbd_modem.h) on fake time, and what they
 * wait for. */
#ifndef TESTS_UNIT_LINK_DRIVERS_SBD_CASE_H
#define TESTS_UNIT_LINK_DRIVERS_SBD_CASE_H

#include <stdbool.h>
#include "link_drivers/iridium_sbd.h"
#include "tests/conform/fake_host.h"
#include "tests/support/sbd_modem.h"

#define SECOND 1000ll
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

struct sbd_case {
    struct fake_world world;
    struct fake_link link, modem_link;
    struct sbd_modem *modem;
    struct sbd_modem_settings settings;
    struct sbd_options options;
    char *budget[3];
    char path[128];
};
extern struct sbd_case t;

/* Settings and options as most cases want them; a case changes them before it begins. */
int set_up(void **state);
/* Modem and driver begin. */
void begin(void);
int tear_down(void **state);
bool is_up(void *arg);
bool is_down(void *arg);
bool is_told(void *arg);
bool has_room(void *arg);
bool has_frames(void *arg);
/* Runs until it holds; fails the test, with these words, when it never does. */
void run_until(bool (*what)(void *), void *arg, const char *words);
void bring_up(void);
/* Waits for room, sends, and waits for the outcome. */
enum send_outcome send_frame(const char *text);
/* The i-th message that the gateway has. */
void expect_mo(size_t i, const char *text);
/* The host has done nothing that a real modem would punish. */
void expect_right(void);
/* The port vanishes, or comes back. */
void plug(bool in);
bool in_session(void *arg);
/* The process ends without a word, and begins again with what it had noted. */
void restart(void);

#endif
