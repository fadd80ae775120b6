/* Has a key ever sealed two things under one nonce? A program of the tests that is linked with
 * -Wl,--wrap=crypto_ccm_seal has every sealing of the program's code noted here. */
#ifndef TESTS_SUPPORT_NONCES_H
#define TESTS_SUPPORT_NONCES_H

#include <stdint.h>

/* Sealings since the last nonces_forget, and how many of them had a key and nonce that had been used. */
uint64_t nonces_used(void);
uint64_t nonces_reused(void);
void nonces_forget(void);

#endif
