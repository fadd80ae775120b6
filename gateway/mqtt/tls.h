/* The TLS side of the broker connection: an SSL object that checks the broker, and its errors as
 * one line for people. With connection.c the only code of mqtt/ that knows OpenSSL. */
#ifndef MQTT_TLS_H
#define MQTT_TLS_H

#include <stddef.h>
#include "base/attr.h"

struct ssl_st;

struct tls_options {        /* "" or NULL = not given */
    const char *ca;         /* PEM file of the authorities to trust; else the system's */
    const char *cert, *key; /* PEM files of the client's own certificate and key */
    const char *name;       /* host name or IP address that the broker's certificate must have */
};

/* Makes a client for one connection: TLS 1.2 or newer, the certificate chain and the name checked.
 * The files are read anew each time, so that renewed certificates work without a restart.
 * Return: NULL with a sentence in err. The caller owns the result (SSL_free). */
struct ssl_st *tls_client_new(const struct tls_options *options, char *err,
                              size_t err_size) MUST_CHECK;

/* Why a handshake or connection failed. error: the code that the failing call left in OpenSSL's
 * queue, 0 = none; saved_errno: the socket's, 0 = none. */
void tls_explain(const struct ssl_st *ssl, unsigned long error, int saved_errno, char *text,
                 size_t text_size);

#endif
