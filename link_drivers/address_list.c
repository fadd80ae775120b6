#include "link_drivers/address_list.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include "base/units.h"

struct network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
    unsigned bits;       /* that must agree */
};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void map_ipv4(const void *four, uint8_t out[16])
{
    memcpy(out, mapped_prefix, sizeof(mapped_prefix));
    memcpy(out + sizeof(mapped_prefix), four, 4);
}

static bool parse(const char *item, struct network *out)
{
    char text[INET6_ADDRSTRLEN];
    const char *slash = strchr(item, '/');
    size_t length = slash ? (size_t)(slash - item) : strlen(item);
    uint8_t four[4];
    int64_t bits;
    if (strcmp(item, "any") == 0) {
        memset(out, 0, sizeof(*out));
        return true;
    }
    if (length >= sizeof(text))
        return false;
    memcpy(text, item, length);
    text[length] = '\0';
    bool ipv4 = inet_pton(AF_INET, text, four) == 1;
    if (ipv4)
        map_ipv4(four, out->address);
    else if (inet_pton(AF_INET6, text, out->address) != 1)
        return false;
    if (!slash)
        bits = ipv4 ? 32 : 128;
    else if (!integer_parse(slash + 1, &bits) || bits < 0 || bits > (ipv4 ? 32 : 128))
        return false;
    out->bits = (unsigned)bits + (ipv4 ? 96 : 0);
    return true;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

const char *address_list_check(const char *item)
{
    struct network n;
    return parse(item, &n) ? NULL
                           : "must be an IP address, a network as in 192.0.2.0/24, or any";
}

bool address_list_has(const struct string_list *list, const struct sockaddr_storage *from)
{
    uint8_t address[16];
    if (from->ss_family == AF_INET)
        map_ipv4(&((const struct sockaddr_in *)from)->sin_addr, address);
    else if (from->ss_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)from)->sin6_addr, sizeof(address));
    else
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct network n;
        if (parse(list->items[i], &n) && same_bits(address, n.address, n.bits))
            return true;
    }
    return false;
}
