/* Which breach of sabotage.py the program commits: the number in LONGWIRE_BREACH; 0 = none. */
#include <stdlib.h>

extern unsigned driver_breach;
unsigned driver_breach;

__attribute__((constructor)) static void choose_breach(void)
{
    const char *number = getenv("LONGWIRE_BREACH");
    driver_breach = number ? (unsigned)strtoul(number, NULL, 10) : 0;
}
