/* Names of the codes by which a broker says no, for people who read logs. */
#ifndef MQTT_REASON_H
#define MQTT_REASON_H

#include <stdint.h>

/* What an MQTT 5 reason code means. Return: a static string; "unknown reason" for a code that the
 * specification does not list. Spec: MQTT 5, 2.4. */
const char *mqtt_reason_name(uint8_t code);
/* What a CONNACK return code of MQTT 3.1.1 means. Spec: MQTT 3.1.1, 3.2.2.3. */
const char *mqtt_return_code_name(uint8_t code);

#endif
