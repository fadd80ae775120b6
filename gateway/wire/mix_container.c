#include "gateway/wire/mix_container.h"

#include <string.h>
#include "gateway/wire/mix_counter.h"

#define ID_MAX          (1u << 14) /* a message's first small number names it among its like */
#define VARINT_BYTES    10
#define CBOR_INDEFINITE 31

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum major { CBOR_UINT, CBOR_NEGATIVE, CBOR_STRING, CBOR_TEXT, CBOR_ARRAY, CBOR_MAP, CBOR_TAG, CBOR_OTHER };

static struct mix_container_level *level(struct mix_container *c)
{
    return &c->level[c->depth];
}

void mix_container_begin(struct mix_container *c, bool cbor, uint32_t slot, uint32_t length)
{
    c->cbor = cbor;
    c->position = 0;
    c->length = length;
    c->depth = 0;
    c->level[0] = (struct mix_container_level){.path = mix_hash2(slot, cbor), .end = length,
                                               .left = UINT32_MAX, .first = true};
    c->role = MIX_HEAD;
    c->key = c->level[0].path;
    c->size = c->at = 0;
    c->value = 0;
    c->began = false;
}

uint32_t mix_container_index(const struct mix_container *c)
{
    bool turned = !c->cbor && (c->role == MIX_UINT || c->role == MIX_FLOAT);

    return turned ? c->position - c->at + (c->size - 1 - c->at) : c->position;
}

static void item(struct mix_container *c, enum mix_role role, uint32_t size)
{
    c->role = role;
    c->size = size;
    c->at = 0;
    c->value = 0;
    c->began = role != MIX_HEAD;
}

/* Plain bytes to the end of what holds them. */
static void give_up(struct mix_container *c)
{
    if (!c->cbor && c->depth) /* what was taken for a message is none */
        c->nested[level(c)->key % MIX_CONTAINER_NESTED] = 1;
    c->depth = 0;
    c->key = mix_hash2(c->level[0].path, 0xbad);
    item(c, MIX_BYTES, UINT32_MAX);
}

/* --- Protocol Buffers --- */

static void protobuf_next(struct mix_container *c)
{
    while (c->depth > 0 && c->position >= level(c)->end)
        c->depth--;
    item(c, MIX_HEAD, 0);
    c->key = level(c)->path;
}

static void protobuf_tag(struct mix_container *c)
{
    uint32_t field = (uint32_t)(c->value >> 3), room = level(c)->end - c->position;

    c->key = mix_hash2(level(c)->path, field);
    if (c->position > level(c)->end) {
        give_up(c);
        return;
    }
    switch (c->value & 7) {
    case WIRE_VARINT:
        item(c, MIX_VARINT, 0);
        break;
    case WIRE_64:
        room < 8 ? give_up(c) : item(c, MIX_FLOAT, 8);
        break;
    case WIRE_32:
        room < 4 ? give_up(c) : item(c, MIX_FLOAT, 4);
        break;
    case WIRE_BYTES:
        item(c, MIX_LENGTH, 0);
        break;
    default:
        give_up(c);
    }
}

static void protobuf_length(struct mix_container *c)
{
    uint64_t n = c->value;

    if (c->position > level(c)->end || n > level(c)->end - c->position) {
        give_up(c);
    } else if (n == 0) {
        protobuf_next(c);
    } else if (c->nested[c->key % MIX_CONTAINER_NESTED] == 2 && c->depth + 1 < MIX_CONTAINER_DEPTH) {
        uint32_t path = mix_hash2(c->key, 1);
        c->depth++;
        *level(c) = (struct mix_container_level){.path = path, .end = c->position + (uint32_t)n,
                                                 .key = c->key, .first = true};
        protobuf_next(c);
    } else {
        item(c, MIX_BYTES, (uint32_t)n);
    }
}

static void protobuf_byte(struct mix_container *c, uint8_t byte)
{
    switch (c->role) {
    case MIX_HEAD:
    case MIX_VARINT:
    case MIX_LENGTH:
        if (c->at >= VARINT_BYTES) {
            give_up(c);
            return;
        }
        c->value |= (uint64_t)(byte & 127) << (7 * c->at);
        c->at++;
        if (byte & 128)
            return;
        if (c->role == MIX_HEAD) {
            protobuf_tag(c);
        } else if (c->role == MIX_LENGTH) {
            protobuf_length(c);
        } else {
            if (level(c)->first && c->depth && c->value < ID_MAX)
                level(c)->path = mix_hash3(level(c)->path, (uint32_t)c->value, 2);
            level(c)->first = false;
            protobuf_next(c);
        }
        return;
    case MIX_UINT:
    case MIX_FLOAT:
        c->value = c->value << 8 | byte;
        /* fall through */
    case MIX_BYTES:
        if (++c->at >= c->size) {
            level(c)->first = false;
            protobuf_next(c);
        }
    }
}

/* --- CBOR --- */

/* An item is complete: on to the next, and out of what it completed. */
static void cbor_next(struct mix_container *c, uint32_t key)
{
    for (;;) {
        struct mix_container_level *l = level(c);
        if (l->map && l->at_key) {
            l->key = key;
            l->at_key = false;
        } else {
            l->at_key = l->map;
            l->index++;
            if (l->left != UINT32_MAX)
                l->left--;
        }
        if (l->left || c->depth == 0)
            break;
        c->depth--;
    }
    item(c, MIX_HEAD, 0);
    const struct mix_container_level *l = level(c);
    c->key = l->map && !l->at_key ? mix_hash2(l->path, l->key) : mix_hash3(l->path, l->index, l->map);
}

static void cbor_open(struct mix_container *c, bool map, uint64_t count, bool indefinite)
{
    if (count == 0 && !indefinite) {
        cbor_next(c, 0);
        return;
    }
    if (c->depth + 1 == MIX_CONTAINER_DEPTH || count > UINT32_MAX / 2) {
        give_up(c);
        return;
    }
    uint32_t path = mix_hash2(c->key, 3);
    c->depth++;
    *level(c) = (struct mix_container_level){
        .path = path, .left = indefinite ? UINT32_MAX : (uint32_t)count, .map = map, .at_key = map};
    item(c, MIX_HEAD, 0);
    c->key = mix_hash3(path, 0, map);
}

/* A head's argument is known. */
static void cbor_argument(struct mix_container *c, unsigned major, uint64_t v)
{
    switch (major) {
    case CBOR_STRING:
    case CBOR_TEXT:
        if (v > c->length)
            give_up(c);
        else if (v == 0)
            cbor_next(c, 0);
        else
            item(c, MIX_BYTES, (uint32_t)v);
        return;
    case CBOR_ARRAY:
    case CBOR_MAP:
        cbor_open(c, major == CBOR_MAP, v, false);
        return;
    case CBOR_TAG:
        item(c, MIX_HEAD, 0);
        return;
    default:
        cbor_next(c, (uint32_t)v);
    }
}

static void cbor_head(struct mix_container *c, uint8_t byte)
{
    unsigned major = byte >> 5, low = byte & 31;

    if (byte == 0xff) { /* the end of something of indefinite length */
        if (c->depth) {
            c->depth--;
            cbor_next(c, 0);
        } else {
            give_up(c);
        }
    } else if (low < 24) {
        cbor_argument(c, major, low);
    } else if (low <= 27) {
        unsigned size = 1u << (low - 24);
        if (major == CBOR_OTHER) {
            item(c, size >= 4 ? MIX_FLOAT : MIX_UINT, size);
        } else if (major >= CBOR_STRING && major <= CBOR_MAP) {
            item(c, MIX_LENGTH, size);
            c->value = (uint64_t)major << 61; /* carried along above the length */
        } else if (major == CBOR_TAG) {
            item(c, MIX_LENGTH, size);
            c->value = (uint64_t)CBOR_TAG << 61;
        } else {
            item(c, MIX_UINT, size);
        }
    } else if (low == CBOR_INDEFINITE && (major == CBOR_ARRAY || major == CBOR_MAP)) {
        cbor_open(c, major == CBOR_MAP, 0, true);
    } else {
        give_up(c);
    }
}

static void cbor_byte(struct mix_container *c, uint8_t byte)
{
    switch (c->role) {
    case MIX_HEAD:
        cbor_head(c, byte);
        return;
    case MIX_LENGTH: {
        uint64_t top = 7ull << 61;
        c->value = (c->value & top) | ((c->value & ~top) << 8 | byte);
        if (++c->at == c->size)
            cbor_argument(c, (unsigned)(c->value >> 61), c->value & ~top);
        return;
    }
    case MIX_VARINT:
    case MIX_UINT:
    case MIX_FLOAT:
        c->value = c->value << 8 | byte;
        if (++c->at == c->size)
            cbor_next(c, (uint32_t)c->value);
        return;
    case MIX_BYTES:
        c->value = mix_hash2((uint32_t)c->value, byte);
        if (++c->at == c->size)
            cbor_next(c, (uint32_t)c->value);
    }
}

void mix_container_byte(struct mix_container *c, uint8_t byte)
{
    c->position++;
    c->began = false;
    if (c->cbor)
        cbor_byte(c, byte);
    else
        protobuf_byte(c, byte);
}

/* --- the encoder's choice --- */

static bool varint(const uint8_t *bytes, size_t n, size_t *at, uint64_t *v)
{
    *v = 0;
    for (unsigned i = 0; i < VARINT_BYTES && *at < n; i++) {
        uint8_t byte = bytes[(*at)++];
        *v |= (uint64_t)(byte & 127) << (7 * i);
        if (!(byte & 128))
            return true;
    }
    return false;
}

bool mix_container_is_protobuf(const uint8_t *bytes, size_t n)
{
    size_t at = 0;
    unsigned items = 0;

    while (at < n) {
        uint64_t tag, v = 0;
        if (!varint(bytes, n, &at, &tag) || tag < 8 || tag >> 3 > 512)
            return false;
        switch (tag & 7) {
        case WIRE_VARINT:
            if (!varint(bytes, n, &at, &v))
                return false;
            v = 0;
            break;
        case WIRE_64:
            v = 8;
            break;
        case WIRE_32:
            v = 4;
            break;
        case WIRE_BYTES:
            if (!varint(bytes, n, &at, &v))
                return false;
            break;
        default:
            return false;
        }
        if (v > n - at)
            return false;
        at += v;
        items++;
    }
    return items > 1;
}

bool mix_container_is_cbor(const uint8_t *bytes, size_t n)
{
    struct mix_container c = {0};

    if (n < 4 || (bytes[0] >> 5 != CBOR_MAP && bytes[0] >> 5 != CBOR_ARRAY))
        return false;
    mix_container_begin(&c, true, 0, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        if (i && c.depth == 0) /* more than one item, or not understood */
            return false;
        mix_container_byte(&c, bytes[i]);
    }
    return c.depth == 0 && c.role == MIX_HEAD;
}
