#include "link_drivers/tcp_address.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/units.h"

#define FORM "must be host:port, with an IPv6 address in brackets, as in [2001:db8::1]:5000"

const char *tcp_address_parse(const char *text, struct tcp_address *a)
{
    const char *host = text, *colon = strrchr(text, ':');
    if (!colon)
        return FORM;
    size_t host_len = (size_t)(colon - text);
    if (*text == '[') {
        if (host_len < 2 || text[host_len - 1] != ']')
            return FORM;
        host++;
        host_len -= 2;
        if (host_len == 0 || memchr(host, ']', host_len) || !memchr(host, ':', host_len))
            return FORM;
    } else if (memchr(host, ':', host_len) || memchr(host, '[', host_len) ||
               memchr(host, ']', host_len)) {
        return FORM;
    }
    if (host_len > TCP_HOST_MAX)
        return "the host name is longer than 253 bytes";
    if (strcspn(text, " \t/") != strlen(text))
        return FORM;
    memcpy(a->host, host, host_len);
    a->host[host_len] = '\0';

    const char *port = colon + 1;
    size_t port_len = strlen(port);
    int64_t number;
    if (port_len == 0 || port_len >= sizeof(a->port) || strspn(port, "0123456789") != port_len ||
        (port_len > 1 && *port == '0') || !integer_parse(port, &number) || number > 65535)
        return "the port after the colon must be a number of 1 to 65535";
    memcpy(a->port, port, port_len + 1);
    return NULL;
}

static const char *check(const char *text, struct tcp_address *a)
{
    const char *wrong = tcp_address_parse(text, a);
    if (!wrong && strcmp(a->port, "0") == 0)
        wrong = "the port after the colon must be a number of 1 to 65535";
    return wrong;
}

const char *tcp_address_check_connect(const char *text)
{
    struct tcp_address a;
    if (*text == '\0')
        return NULL;
    const char *wrong = check(text, &a);
    if (!wrong && (a.host[0] == '\0' || strcmp(a.host, "*") == 0))
        wrong = "a host to connect to must stand before the colon";
    return wrong;
}

const char *tcp_address_check_listen(const char *text)
{
    struct tcp_address a;
    return *text == '\0' ? NULL : check(text, &a);
}
