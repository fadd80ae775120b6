#!/usr/bin/env python3
"""The satellite drivers, broken on purpose as real drivers are: what the emulator's judge must see (tests/e2e/test_satellite_sabotage.py).

All breaches are in one program, longwire_sabotaged, behind the number in LONGWIRE_BREACH."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
import breach  # noqa: E402

CYCLE = "link_drivers/iridium_sbd_cycle.c"
SESSION = "link_drivers/iridium_sbd_session.c"
DRIVER = "link_drivers/iridium_sbd.c"
CHAT = "link_drivers/at_chat.c"
MT = "link_drivers/directip_mt.c"

# Each: (what the driver does then, what the judge calls it, which end is broken, what happens meanwhile, [(file, piece, instead)]).
BREACHES = [
    ("leaves a message in the modem unread, and begins a session", "mt-unread", "edge", "commands", [
        (SESSION, "    return v[2] == 1 ? SBD_READ : after_look(s, now_ms);", "    return v[2] == 1 && !BREACH ? SBD_READ : after_look(s, now_ms);"),
        (SESSION, "    return v[2] == 1 ? SBD_READ : SBD_LOOK;", "    return v[2] == 1 && !BREACH ? SBD_READ : SBD_LOOK;")]),
    ("does not clear what it has sent", "mo-resent", "edge", "commands", [
        (SESSION, "    if (s->mo_dirty && !(s->going && s->frame.held))", "    if (!BREACH && s->mo_dirty && !(s->going && s->frame.held))")]),
    ("does not wait as the status asks", "too-early", "edge", "refused", [
        (SESSION, "    s->next_session_ms = now_ms + (wait > least ? wait : least);\n",
         "    s->next_session_ms = BREACH ? now_ms : now_ms + (wait > least ? wait : least);\n")]),
    ("tries again at once, for ever", "retry-storm", "edge", "failing", [
        ("link_drivers/iridium_sbd_policy.c", "    size_t i = 0;\n    while (failures", "    size_t i = 0;\n    if (BREACH)\n        failures = 1;\n    while (failures")]),
    ("goes to a barred account again and again", "too-early", "edge", "barred", [
        (SESSION, "    s->blocked = p->stop && !remedied;\n", "    s->blocked = !BREACH && p->stop && !remedied;\n    if (BREACH && p->stop)\n        s->next_session_ms = now_ms;\n")]),
    ("sends again what may have arrived, without a look at MOMSN", "unknown-not-asked", "edge", "failing", [
        (SESSION, "    const struct sbd_policy *p = sbd_policy_of(status);\n    int64_t wait = p->wait_ms, least",
         "    const struct sbd_policy *p = sbd_policy_of(status);\n    if (BREACH && p->outcome == SEND_UNKNOWN)\n        return SBD_WRITE;\n"
         "    int64_t wait = p->wait_ms, least")]),
    ("sends a frame again that was handed over", "resent-too-early", "edge", "talk", [
        (DRIVER, "                               .ack_max_age_ms = sbd_scaled(s, o->ack_max_age_ms),",
         "                               .ack_max_age_ms = BREACH ? 20 : sbd_scaled(s, o->ack_max_age_ms),")]),
    ("looks into the mailbox for nothing", "needless-session", "edge", "talk", [
        (SESSION, "    return s->ring || s->queued > 0 ||", "    return BREACH || s->ring || s->queued > 0 ||")]),
    ("gives a session less time than it takes, and speaks into it", "bytes-in-session", "edge", "slow", [
        (CYCLE, "    if (step == SBD_SESSION || step == SBD_REGISTER)\n", "    if (BREACH && step == SBD_SESSION)\n        return 100;\n    if (step == SBD_SESSION || step == SBD_REGISTER)\n")]),
    ("ends a command in CR LF: the LF is the first byte of the message", "wrong-checksum-again", "edge", "talk", [
        (CHAT, "               buf_put_u8(&c->out, '\\r');\n    if (!said)", "               buf_put_u8(&c->out, '\\r') && (!BREACH || buf_put_u8(&c->out, '\\n'));\n    if (!said)")]),
    ("sends a wrong checksum", "wrong-checksum-again", "edge", "talk", [
        (CHAT, "    uint16_t sum = 0;\n", "    uint16_t sum = BREACH;\n")]),
    ("begins a message with RB", "starts-with-RB", "edge", "talk", [
        (DRIVER, "    s->frame.n = n;\n    s->frame.token", "    if (BREACH)\n        memcpy(s->frame.bytes, \"RB\", 2);\n    s->frame.n = n;\n    s->frame.token")]),
    ("clears the modem's count of messages", "clears-momsn", "edge", "talk", [
        (CYCLE, "    default:\n        return rows[step].command;", "    default:\n        return BREACH && step == SBD_DTR ? \"AT+SBDC\" : rows[step].command;")]),
    ("offers more than the modem takes", "mo-over-the-limit", "edge", "much", [
        (DRIVER, "    return s->model->mo_max;\n}\n\nstatic void sbd_terms", "    return BREACH ? 1960 : s->model->mo_max;\n}\n\nstatic void sbd_terms"),
        (DRIVER, "    if (n == 0 || n > s->model->mo_max)\n", "    if (n == 0 || (n > s->model->mo_max && !BREACH))\n"),
        (DRIVER, "    if (has_room(s, now_ms))\n        return s->model->mo_max;\n", "    if (has_room(s, now_ms))\n        return BREACH ? 1960 : s->model->mo_max;\n")]),
    ("flushes the modem's queue at the gateway", "flush", "hub", "talk", [
        ("link_drivers/directip_message.c", "    at = put(at, m->priority == DIRECTIP_PRIORITY_FLAG ? MT_FLAG_HIGH_PRIORITY : 0, 2);",
         "    at = put(at, BREACH ? 1 : m->priority == DIRECTIP_PRIORITY_FLAG ? MT_FLAG_HIGH_PRIORITY : 0, 2);")]),
    ("pays no heed to mt_window", "mt-window", "hub", "away", [
        (MT, "    return s->queued >= c->settings.window &&", "    return !BREACH && s->queued >= c->settings.window &&")]),
    ("names different messages alike", "mt-id-reused", "hub", "commands", [
        (MT, "    j->id = directip_mt_id(s->imei, bytes, n);", "    j->id = BREACH ? 7 : directip_mt_id(s->imei, bytes, n);")]),
    ("asks again at once where the gateway refuses for good", "mt-retry-storm", "hub", "unknown", [
        (MT, "    s->closed_until_ms = now_ms + directip_mt_wait_ms(c, wait, ++s->refusals);",
         "    s->closed_until_ms = BREACH ? now_ms : now_ms + directip_mt_wait_ms(c, wait, ++s->refusals);"),
        ("link_drivers/directip_mt_call.c", "        s->lasting = r->lasting;\n        if (r->lasting)\n", "        s->lasting = r->lasting;\n        if (r->lasting && !BREACH)\n")]),
    ("sends more than the modem takes", "mt-over-the-limit", "hub", "much", [
        (MT, "        size_t mt_max = p->mt_max < DIRECTIP_MT_PAYLOAD_MAX ? p->mt_max : DIRECTIP_MT_PAYLOAD_MAX;\n",
         "        size_t mt_max = BREACH ? 1800 : p->mt_max < DIRECTIP_MT_PAYLOAD_MAX ? p->mt_max : DIRECTIP_MT_PAYLOAD_MAX;\n")]),
]


if __name__ == "__main__":
    sys.exit(breach.command(sys.argv[1:], [b[4] for b in BREACHES], [b[0] for b in BREACHES], "driver_breach",
                            "tests/emulator/sabotage.py", "../../") or 0)
