#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/bridge/routes.h"

static char a[] = "a", b[] = "b", any[] = "#", temp[] = "sensors/+/temp", gps[] = "gps", sensors[] = "sensors/#";
static char hidden[] = "sensors/secret/#", empty[] = "", site[] = "site/buoy/", boat[] = "boat/";
static char name_1[] = "narrow", name_2[] = "wide", name_3[] = "rest", buoy[] = "buoy", base[] = "longwire";

static char *peers_a[] = {a}, *peers_b[] = {b}, *peers_ab[] = {a, b};
static char *wide[] = {sensors}, *narrow[] = {temp, gps}, *all[] = {any}, *secret[] = {hidden};
static char *nothing[1];

static struct config_route make(char *name, char **peers, size_t n, char **topics, size_t topic_count, int64_t qos)
{
    return (struct config_route){
        .name = name,
        .peers = {peers, n},
        .topics = {topics, topic_count},
        .exclude = {nothing, 0},
        .strip_prefix = empty,
        .remote_prefix = empty,
        .qos = qos,
    };
}

struct fixture {
    struct config config;
    struct config_route routes[4];
    struct routes ready;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->routes[0] = make(name_1, peers_a, 1, narrow, 2, 0);
    f->routes[1] = make(name_2, peers_ab, 2, wide, 1, 2);
    f->routes[1].exclude = (struct string_list){secret, 1};
    f->routes[2] = make(name_3, peers_b, 1, all, 1, 1);
    f->config.routes = f->routes;
    f->config.route_count = 3;
    f->config.site_name = buoy;
    f->config.broker.topic_base = base;
    assert_int_equal(routes_init(&f->ready, &f->config), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    routes_fini(&f->ready);
    free(f);
    return 0;
}

static const char *name_of(const struct config_route *r)
{
    return r ? r->name : "none";
}

static void the_first_route_of_the_peer_in_file_order_wins(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(name_of(routes_match(&f->ready, "a", "sensors/1/temp")), "narrow");
    assert_string_equal(name_of(routes_match(&f->ready, "b", "sensors/1/temp")), "wide");
    assert_string_equal(name_of(routes_match(&f->ready, "a", "sensors/1/wind")), "wide");
    assert_string_equal(name_of(routes_match(&f->ready, "a", "other")), "none");
    assert_string_equal(name_of(routes_match(&f->ready, "c", "gps")), "none");
}

static void an_excluded_topic_falls_to_the_next_route(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(name_of(routes_match(&f->ready, "a", "sensors/secret/x")), "none");
    assert_string_equal(name_of(routes_match(&f->ready, "b", "sensors/secret/x")), "rest");
}

static void the_gateways_own_topics_are_never_forwarded(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(name_of(routes_match(&f->ready, "b", "longwire/buoy/state")), "none");
    assert_string_equal(name_of(routes_match(&f->ready, "b", "longwire/other/state")), "rest");
}

static void each_filter_is_subscribed_once_with_the_highest_qos_of_what_overlaps(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->ready.filter_count, 4);
    assert_string_equal(f->ready.filters[0].filter, "sensors/+/temp");
    assert_int_equal(f->ready.filters[0].qos, 2);
    assert_string_equal(f->ready.filters[1].filter, "gps");
    assert_int_equal(f->ready.filters[1].qos, 1);
    assert_int_equal(f->ready.filters[3].id, 4);
}

static void the_copy_of_the_first_matching_filter_counts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(routes_counting_filter(&f->ready, "sensors/1/temp")->id, 1);
    assert_int_equal(routes_counting_filter(&f->ready, "sensors/1/wind")->id, 3);
    assert_int_equal(routes_counting_filter(&f->ready, "anything")->id, 4);
}

static void prefixes_are_taken_off_and_put_before(void **state)
{
    (void)state;
    struct config_route r = make(name_1, peers_a, 1, all, 1, 0);
    r.strip_prefix = boat;
    r.remote_prefix = site;
    char *t;
    assert_int_equal(route_remote_topic(&r, "boat/gps", &t), 0);
    assert_string_equal(t, "site/buoy/gps");
    free(t);
    assert_int_equal(route_remote_topic(&r, "other/gps", &t), 0);
    assert_string_equal(t, "site/buoy/other/gps");
    free(t);
    r.remote_prefix = empty;
    r.strip_prefix = gps;
    assert_int_equal(route_remote_topic(&r, "gps", &t), -EINVAL);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_route_of_the_peer_in_file_order_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(an_excluded_topic_falls_to_the_next_route, setup, teardown),
        cmocka_unit_test_setup_teardown(the_gateways_own_topics_are_never_forwarded, setup, teardown),
        cmocka_unit_test_setup_teardown(each_filter_is_subscribed_once_with_the_highest_qos_of_what_overlaps, setup, teardown),
        cmocka_unit_test_setup_teardown(the_copy_of_the_first_matching_filter_counts, setup, teardown),
        cmocka_unit_test(prefixes_are_taken_off_and_put_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
