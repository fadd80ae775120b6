#include "base/msg_class.h"

#include <assert.h>

const char *msg_class_name(enum msg_class c)
{
    static const char *const names[CLASS_COUNT] = {[CLASS_ALARM] = "alarm",
                                                   [CLASS_HIGH] = "high",
                                                   [CLASS_NORMAL] = "normal",
                                                   [CLASS_BULK] = "bulk"};
    assert((unsigned)c < CLASS_COUNT);
    return names[c];
}
