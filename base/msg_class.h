/* The four classes of urgency. Lower value = more urgent; the value is what store and wire carry. */
#ifndef BASE_MSG_CLASS_H
#define BASE_MSG_CLASS_H

enum msg_class {
    CLASS_ALARM = 0,  /* always first, never waits for a full frame or a hold */
    CLASS_HIGH = 1,   /* shares what is left 8:4:1 with normal and bulk */
    CLASS_NORMAL = 2,
    CLASS_BULK = 3,
};
#define CLASS_COUNT 4

/* The name as in `priority =`: "alarm", "high", "normal", "bulk". Static. */
const char *msg_class_name(enum msg_class c);

#endif
