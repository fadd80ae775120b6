/* Compiler attributes that the rest spells one way. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

/* The caller must look at the result: every int of STYLE "Errors" carries it. */
#define MUST_CHECK __attribute__((warn_unused_result))
/* printf-like: FMT and ARGS are 1-based argument positions. */
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
