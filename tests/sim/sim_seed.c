#include "tests/sim/sim_seed.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char running[160]; /* told when the program dies */

static void on_death(int signal)
{
    ssize_t n = write(STDOUT_FILENO, running, strlen(running));
    (void)n;
    _exit(128 + signal);
}

/* How a run is seen again. */
static void replay_command(char *out, size_t n, const struct sim_run *run, const char *family)
{
    snprintf(out, n, "replay: tests/sim/run --seeds 1 --from %" PRIu64 "%s%s%s --trace", run->seed, family ? " --family \"" : "",
             family ? family : "", family ? "\"" : "");
}

static void tell_if_it_dies(const struct sim_run *run)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    char how[128];
    replay_command(how, sizeof how, run, run->family ? run->family->name : NULL);
    snprintf(running, sizeof running, "\n# the program died; %s\n", how);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], on_death);
}

void sim_seed_run(const struct sim_run *run, struct sim_outcome *out, struct sim_deed *deeds, size_t *deed_count)
{
    static struct sim_world w; /* too large for the stack */
    char how[128];
    *out = (struct sim_outcome){0};
    tell_if_it_dies(run);
    out->ok = sim_world_run(&w, run);
    out->figures = w.figures;
    memcpy(out->check, w.report.check, sizeof out->check);
    replay_command(how, sizeof how, run, w.plan.family->name);
    if (!out->ok)
        snprintf(out->text, sizeof out->text, "seed %" PRIu64 ", family \"%s\", after %lld s: %s: %s; %s", run->seed,
                 w.plan.family->name, (long long)w.clock.now_ms / 1000, w.report.check, w.report.text, how);
    if (deeds) {
        *deed_count = w.deed_count < *deed_count ? w.deed_count : *deed_count;
        memcpy(deeds, w.deeds, *deed_count * sizeof *deeds);
    }
    sim_world_fini(&w);
}

void sim_seed_run_apart(const struct sim_run *run, struct sim_outcome *out)
{
    int fds[2], status = 0;
    char how[128];
    *out = (struct sim_outcome){0};
    snprintf(out->check, sizeof out->check, "died");
    replay_command(how, sizeof how, run, run->family ? run->family->name : NULL);
    fflush(NULL);
    pid_t child = pipe(fds) == 0 ? fork() : -1;
    if (child < 0) {
        snprintf(out->text, sizeof out->text, "seed %" PRIu64 ": no process for it", run->seed);
        return;
    }
    if (child == 0) {
        struct rlimit cpu = {SEED_CPU_S, SEED_CPU_S + 5};
        (void)setrlimit(RLIMIT_CPU, &cpu);
        sim_seed_run(run, out, NULL, NULL);
        _exit(write(fds[1], out, sizeof *out) == (ssize_t)sizeof *out ? 0 : 1);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], out, sizeof *out); /* less than a pipe takes at once */
    close(fds[0]);
    while (waitpid(child, &status, 0) < 0)
        ;
    if (n != (ssize_t)sizeof *out)
        snprintf(out->text, sizeof out->text, "seed %" PRIu64 ": the program died (%d), or took more than %d s of the processor; %s",
                 run->seed, status, SEED_CPU_S, how);
}

void sim_figures_add(struct sim_figures *to, const struct sim_figures *f)
{
    for (unsigned i = 0; i < SIM_FIGURES; i++)
        to->of[i] += f->of[i];
}

void sim_figures_print(const char *before, const struct sim_figures *f)
{
    printf("%s", before);
    for (unsigned i = 0; i < SIM_FIGURES; i++)
        if (f->of[i])
            printf(" %s=%" PRIu64, sim_figure_names[i], f->of[i]);
    printf("\n");
    fflush(stdout);
}
