#include "gateway/wire/codec.h"

#include "gateway/wire/codec_mix.h"
#include "gateway/wire/codec_plain.h"

static const struct codec *const codecs[] = {&codec_plain, &codec_mix};

const struct codec *codec_find(unsigned version)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (codecs[i]->version == version)
            return codecs[i];
    return NULL;
}
