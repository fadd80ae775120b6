#include "tests/sim/sim_shrink.h"

#include <stdio.h>
#include <string.h>

#define DEEDS_MAX 4096

struct shrink {
    struct sim_run run;
    struct sim_deed deeds[DEEDS_MAX];
    bool keep[DEEDS_MAX];
    size_t count;
    char check[32];     /* that must go on failing */
    unsigned tried;
};

static bool still_fails(struct shrink *s)
{
    struct sim_outcome o;
    s->tried++;
    sim_seed_run_apart(&s->run, &o);
    return !o.ok && strcmp(o.check, s->check) == 0;
}

static size_t kept(const struct shrink *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->keep[i];
    return n;
}

/* Leaves out a group of n of those that are left, beginning at `from`, if it fails without. Return: where the next group begins. */
static size_t try_without(struct shrink *s, size_t from, size_t n)
{
    bool before[DEEDS_MAX];
    size_t i = from, left_out = 0;
    memcpy(before, s->keep, sizeof before);
    for (; i < s->count && left_out < n; i++) {
        left_out += s->keep[i];
        s->keep[i] = false;
    }
    if (left_out && !still_fails(s))
        memcpy(s->keep, before, sizeof before);
    return i;
}

int sim_shrink(const struct sim_run *run)
{
    static struct shrink s;
    struct sim_outcome o;
    s.run = *run;
    s.run.trace = false;
    s.count = DEEDS_MAX;
    sim_seed_run(&s.run, &o, s.deeds, &s.count);
    if (o.ok) {
        printf("seed %llu does not fail\n", (unsigned long long)run->seed);
        return 1;
    }
    printf("%s\n", o.text);
    memcpy(s.check, o.check, sizeof s.check);
    memset(s.keep, true, sizeof s.keep);
    s.run.keep = s.keep;
    s.run.deeds = s.deeds;
    s.run.keep_count = s.count;
    if (!still_fails(&s)) {
        printf("done again by parts it does not fail: what happens in one moment happens in another order then\n");
        return 1;
    }
    for (size_t n = s.count / 2; n > 0; n /= 2) {
        for (size_t from = 0; from < s.count;)
            from = try_without(&s, from, n);
        printf("%zu of %zu messages and faults are left after %u runs\n", kept(&s), s.count, s.tried);
        fflush(stdout);
    }
    for (size_t i = 0; i < s.count; i++)
        if (s.keep[i])
            printf("    %s at %lld ms\n", s.deeds[i].fault ? "fault" : "message", (long long)s.deeds[i].at_ms);
    s.run.trace = run->trace;
    sim_seed_run(&s.run, &o, NULL, NULL);
    printf("%s\n", o.text);
    return 0;
}
