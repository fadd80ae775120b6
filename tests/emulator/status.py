"""What the codes of a session mean for a careful host (facts on MO status): how long it may not try again."""

OK = range(0, 5)
# Whether the message arrived cannot be known from the code.
UNKNOWN = {10, 13, 17, 18, 19}
PERMANENT = {12, 14}
STOPS = {15, 16}

# Seconds until the next session is no longer hasty. Of the statuses that are not here, only the storm is counted.
LEAST_WAIT_S = {11: 300, 15: 3000, 16: 3000, 32: 180, 33: 300, 34: 300, 35: 30, 37: 300, 64: 300, 65: 300}
NO_SERVICE = 32
RADIO_OFF = 34
REGISTERED_TOO_OFTEN = 36
TRAFFIC_MANAGEMENT = 38
REGISTRATION_INTERVAL_S = 180

# A few quick tries, then one in five minutes: no more than so many failures in this time.
STORM_FAILURES = 8
STORM_WINDOW_S = 600
