#include "gateway/mqtt/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static bool is_set(const char *s)
{
    return s && s[0];
}

static bool is_ip_address(const char *name)
{
    struct in6_addr any;
    return inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

/* An encrypted key would else make OpenSSL ask at the terminal, and the loop stand still. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return 0;
}

/* "WHAT PATH: the first error in OpenSSL's queue", which is the cause; what follows it there are
 * those who passed it on. */
static bool explain_file(const char *what, const char *path, char *err, size_t err_size)
{
    unsigned long e = ERR_peek_error();
    const char *reason =
        ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);
    snprintf(err, err_size, "%s %s: %s", what, path, reason ? reason : "cannot be used");
    ERR_clear_error();
    return false;
}

static bool load_files(SSL_CTX *ctx, const struct tls_options *o, char *err, size_t err_size)
{
    if (is_set(o->ca)) {
        if (SSL_CTX_load_verify_locations(ctx, o->ca, NULL) != 1)
            return explain_file("tls_ca", o->ca, err, err_size);
    } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return explain_file("tls_ca", "of the system", err, err_size);
    }
    if (is_set(o->cert) && SSL_CTX_use_certificate_chain_file(ctx, o->cert) != 1)
        return explain_file("tls_cert", o->cert, err, err_size);
    if (is_set(o->key) && SSL_CTX_use_PrivateKey_file(ctx, o->key, SSL_FILETYPE_PEM) != 1)
        return explain_file("tls_key", o->key, err, err_size);
    if (is_set(o->cert) && SSL_CTX_check_private_key(ctx) != 1)
        return explain_file("tls_key", is_set(o->key) ? o->key : "(none)", err, err_size);
    return true;
}

/* OpenSSL accepts a certificate for any name unless it is told which one to ask for. */
static bool expect_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (is_ip_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *tls_client_new(const struct tls_options *o, char *err, size_t err_size)
{
    ERR_clear_error();
    SSL *ssl = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        goto fail;
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
        goto fail;
    if (!load_files(ctx, o, err, err_size))
        goto out;
    ssl = SSL_new(ctx);
    if (!ssl)
        goto fail;
    if (!expect_name(ssl, o->name)) {
        SSL_free(ssl);
        ssl = NULL;
        goto fail;
    }
    goto out;
fail:
    snprintf(err, err_size, "TLS cannot be set up for '%s'", o->name);
out:
    ERR_clear_error();
    SSL_CTX_free(ctx); /* ssl holds its own reference */
    return ssl;
}

void tls_explain(const SSL *ssl, unsigned long error, int saved_errno, char *text, size_t text_size)
{
    long verify = SSL_get_verify_result(ssl);
    if (verify != X509_V_OK) {
        snprintf(text, text_size, "broker's certificate refused: %s",
                 X509_verify_cert_error_string(verify));
    } else if (error != 0) {
        const char *reason = ERR_reason_error_string(error);
        snprintf(text, text_size, "TLS: %s", reason ? reason : "error without a name");
    } else if (saved_errno != 0) {
        snprintf(text, text_size, "%s", strerror(saved_errno));
    } else {
        snprintf(text, text_size, "closed by the broker");
    }
}
