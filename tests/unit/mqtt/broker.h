/* A real mosquitto for a test: its own folder, a free loopback port, gone with the test. */
#ifndef TESTS_MQTT_BROKER_H
#define TESTS_MQTT_BROKER_H

#include <stdint.h>
#include <sys/types.h>

struct broker {
    char folder[64];
    uint16_t port;
    pid_t pid;
    int log_fd;
};

/* A new empty folder under the system's temporary one. */
void broker_folder(char folder[64]);
void broker_remove_folder(const char *folder);
uint16_t broker_free_port(void);
/* Starts mosquitto and waits until it says that it runs. config: mosquitto.conf, in which %s stands
 * for the folder and PORT for the port. */
void broker_start(struct broker *b, const char *folder, const char *config);
/* Kills it, if it runs, and starts it again on its port. */
void broker_restart(struct broker *b);
/* Kills it. */
void broker_stop(struct broker *b);
/* Runs a shell command in the folder; the test fails when the command does. */
void broker_shell(const char *folder, const char *command);

#endif
