/* The simulator's command: runs seeds until one fails, or all is said and done.
 *
 *     sim --seeds N --from S [--family NAME] [--trace]      one line a family at the end; exit 1 at the first violation
 *     sim --tap N [--from S]                                N seeds of each family, one TAP case a family
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/sim/sim_world.h"

static void add(struct sim_figures *to, const struct sim_figures *f)
{
    const uint64_t *from = (const uint64_t *)f;
    for (size_t i = 0; i < sizeof *f / sizeof *from; i++)
        ((uint64_t *)to)[i] += from[i];
}

static void print_figures(const char *before, const struct sim_figures *f)
{
    printf("%smessages=%" PRIu64 " came_out=%" PRIu64 " line_bytes=%" PRIu64 " hours=%" PRIu64 " kills=%" PRIu64 " power_cuts=%" PRIu64
           " stops=%" PRIu64 " outages=%" PRIu64 " broker_faults=%" PRIu64 " sessions_lost=%" PRIu64 " disk_faults=%" PRIu64
           " stores_lost=%" PRIu64 " stores_set_back=%" PRIu64 " syncs=%" PRIu64 " steps=%" PRIu64 "\n",
           before, f->messages, f->accepted, f->line_bytes, f->simulated_ms / 3600000, f->kills, f->power_cuts, f->stops, f->outages,
           f->broker_faults, f->sessions_lost, f->disk_faults, f->stores_lost, f->stores_set_back, f->syncs, f->steps);
}

/* Return: true: no violation. */
static bool run_one(uint64_t seed, const struct sim_family *family, bool trace, const char *before, struct sim_figures *sum)
{
    static struct sim_world w; /* too large for the stack */
    bool ok = sim_world_run(&w, seed, family, trace);
    add(sum, &w.figures);
    if (!ok) {
        printf("%sseed %" PRIu64 ", family \"%s\", after %lld s: %s: %s\n", before, seed, w.plan.family->name,
               (long long)w.clock.now_ms / 1000, w.report.check, w.report.text);
        printf("%sreplay: tests/sim/run --seeds 1 --from %" PRIu64 " --family \"%s\" --trace\n", before, seed, w.plan.family->name);
    }
    sim_world_fini(&w);
    fflush(stdout);
    return ok;
}

static int run_tap(uint64_t from, uint64_t fixed, uint64_t fresh)
{
    bool all = true;
    uint64_t chance = (uint64_t)time(NULL) * 1000;
    printf("1..%u\n", sim_family_count);
    printf("# fixed seeds from %" PRIu64 ", fresh ones from %" PRIu64 "\n", from, chance);
    for (unsigned i = 0; i < sim_family_count; i++) {
        struct sim_figures sum = {0};
        bool ok = true;
        for (uint64_t k = 0; ok && k < fixed; k++)
            ok = run_one(from + k, &sim_families[i], false, "# ", &sum);
        for (uint64_t k = 0; ok && k < fresh && !sim_families[i].fixed_only; k++)
            ok = run_one(chance + k, &sim_families[i], false, "# ", &sum);
        print_figures("# ", &sum);
        printf("%sok %u - nothing is lost, doubled, altered or reordered: %s\n", ok ? "" : "not ", i + 1, sim_families[i].name);
        fflush(stdout);
        all = all && ok;
    }
    return all ? 0 : 1;
}

static int usage(void)
{
    fprintf(stderr, "usage: run [--seeds N] [--from S] [--family NAME] [--trace] | --tap N [--fresh N] [--from S]\nfamilies:\n");
    for (unsigned i = 0; i < sim_family_count; i++)
        fprintf(stderr, "    %s\n", sim_families[i].name);
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 100, from = 1, tap = 0, fresh = 0;
    const struct sim_family *family = NULL;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else if (value && strcmp(argv[i], "--seeds") == 0) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (value && strcmp(argv[i], "--from") == 0) {
            from = strtoull(argv[++i], NULL, 10);
        } else if (value && strcmp(argv[i], "--tap") == 0) {
            tap = strtoull(argv[++i], NULL, 10);
        } else if (value && strcmp(argv[i], "--fresh") == 0) {
            fresh = strtoull(argv[++i], NULL, 10);
        } else if (value && strcmp(argv[i], "--family") == 0) {
            family = sim_family_find(argv[++i]);
            if (!family)
                return usage();
        } else {
            return usage();
        }
    }
    if (tap)
        return run_tap(from, tap, fresh);
    struct sim_figures sum = {0};
    for (uint64_t k = 0; k < seeds; k++)
        if (!run_one(from + k, family, trace, "", &sum))
            return 1;
    printf("%" PRIu64 " seeds, no violation\n", seeds);
    print_figures("", &sum);
    return 0;
}
