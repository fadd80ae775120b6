/* Linked with --wrap=record_check_fold: while checks_void is set every check of records is 0, as if whoever made a frame knew what its
 * receiver would come to. Without it what a hostile frame holds would reach the owner by luck alone. */
#ifndef TESTS_FUZZ_CHECKS_VOID_H
#define TESTS_FUZZ_CHECKS_VOID_H

#include <stdbool.h>

extern bool checks_void;

#endif
