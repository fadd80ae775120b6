#include "store/lineage.h"

#include <string.h>

int lineage_find(const struct lineage_node *nodes, int n, uint32_t generation, uint32_t id)
{
    for (int i = 0; id != 0 && i < n; i++) {
        if (nodes[i].generation == generation && nodes[i].segment.id == id)
            return i;
    }
    return -1;
}

struct path {
    int nodes[STORE_SEGMENTS_MAX + 2];
    uint64_t limits[STORE_SEGMENTS_MAX + 2]; /* numbers that the first node has from this one */
    int count;
    uint64_t end; /* the limit at which it leaves what is known */
};

/* A node and its ancestors. Stored segments name one predecessor each; a circle, which no honest
 * peer makes, ends the walk. */
static void ancestors(const struct lineage_node *nodes, int n, int from, struct path *path)
{
    uint64_t limit = UINT64_MAX;

    path->count = 0;
    for (int at = from; at >= 0 && path->count <= n;
         at = lineage_find(nodes, n, nodes[at].generation, nodes[at].segment.predecessor)) {
        path->nodes[path->count] = at;
        path->limits[path->count++] = limit;
        if (nodes[at].segment.predecessor_end < limit)
            limit = nodes[at].segment.predecessor_end;
    }
    path->end = limit;
}

uint64_t lineage_shared(const struct lineage_node *nodes, int n, int a, int b, int newest)
{
    struct path pa, pb;

    if (nodes[a].generation != nodes[b].generation)
        return 0;
    ancestors(nodes, n, a, &pa);
    ancestors(nodes, n, b, &pb);
    for (int i = 0; i < pa.count; i++) {
        for (int j = 0; j < pb.count; j++) {
            if (pa.nodes[i] == pb.nodes[j])
                return pa.limits[i] < pb.limits[j] ? pa.limits[i] : pb.limits[j];
        }
    }
    /* The line of a comes from a segment that we never met (or forgot). That one came after the
     * newest that we know. */
    return b == newest ? pa.end : 0;
}

void mark_cut(struct store_mark *mark, uint64_t limit)
{
    if (mark->cumulative > limit)
        mark->cumulative = limit;
    while (mark->early_count > 0 && mark->early[mark->early_count - 1] > limit)
        mark->early_count--;
}

void mark_advance(struct store_mark *mark)
{
    unsigned done = 0;

    while (done < mark->early_count && (mark->early[done] <= mark->cumulative ||
                                        mark->early_previous[done] <= mark->cumulative)) {
        if (mark->early[done] > mark->cumulative)
            mark->cumulative = mark->early[done];
        done++;
    }
    mark->early_count -= done;
    memmove(mark->early, mark->early + done, mark->early_count * sizeof(mark->early[0]));
    memmove(mark->early_previous, mark->early_previous + done,
            mark->early_count * sizeof(mark->early_previous[0]));
}

static void add_early(struct store_mark *mark, uint64_t number, uint64_t previous)
{
    unsigned at = mark->early_count;

    while (at > 0 && mark->early[at - 1] >= number)
        at--;
    if ((at < mark->early_count && mark->early[at] == number) ||
        mark->early_count == STORE_EARLY_MAX)
        return;
    memmove(mark->early + at + 1, mark->early + at,
            (mark->early_count - at) * sizeof(mark->early[0]));
    memmove(mark->early_previous + at + 1, mark->early_previous + at,
            (mark->early_count - at) * sizeof(mark->early_previous[0]));
    mark->early[at] = number;
    mark->early_previous[at] = previous;
    mark->early_count++;
}

void mark_add(struct store_mark *mark, const struct store_mark *other)
{
    if (other->cumulative > mark->cumulative)
        mark->cumulative = other->cumulative;
    mark_advance(mark);
    for (unsigned i = 0; i < other->early_count; i++)
        add_early(mark, other->early[i], other->early_previous[i]);
    mark_advance(mark);
}
