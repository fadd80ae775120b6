"""An MQTT client that is not ours (paho), with what it received as a list that can be waited on."""
import itertools
import threading
import time
from collections import namedtuple

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tap import SLOWNESS, Failure, shorten

Received = namedtuple("Received", "topic payload qos retain properties at")
_numbers = itertools.count(1)


def properties(**values):
    """Properties of a PUBLISH: properties(ContentType="text/plain", UserProperty=[("a", "b")])."""
    p = Properties(PacketTypes.PUBLISH)
    for name, value in values.items():
        setattr(p, name, value)
    return p


class Client:
    """Connected when the constructor returns. keep=True: a session that survives, so that what is published
    while the broker is away or restarting is not missed.

    It publishes over a connection of its own: paho 1.6 counts a QoS 2 message that it receives as the end of one
    that it sends, passes mosquitto's Receive Maximum, and is hung up on."""

    def __init__(self, broker, client_id=None, protocol=5, keep=False, username=None, password=None, tls=None):
        self.broker = broker
        self._speaker = None
        self._like = {"protocol": protocol, "username": username, "password": password, "tls": tls}
        self.received = []
        self.changed = threading.Condition()
        self._subscribed = set()
        self._connected = False
        self._filters = []
        name = client_id or f"test-{next(_numbers)}"
        version = mqtt.MQTTv5 if protocol == 5 else mqtt.MQTTv311
        clean = {} if protocol == 5 else {"clean_session": not keep}
        self.paho = mqtt.Client(name, protocol=version, **clean)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = self._on_message
        self.paho.on_subscribe = self._on_subscribe
        self.paho.reconnect_delay_set(0.1, 0.3)
        self.paho.max_queued_messages_set(0)
        if username is not None:
            self.paho.username_pw_set(username, password)
        if tls is not None:
            self.paho.tls_set(**tls)
        arguments = {}
        if protocol == 5:
            p = Properties(PacketTypes.CONNECT)
            if keep:
                p.SessionExpiryInterval = 3600
            arguments = {"clean_start": not keep, "properties": p}
        self.paho.connect("127.0.0.1", broker.port, 30, **arguments)
        self.paho.loop_start()
        self._wait(lambda: self._connected, "the test client connects")
        broker.world.closers.append(self.close)

    def _on_connect(self, _client, _data, _flags, reason, *_):
        with self.changed:
            self._connected = str(reason) in ("0", "Success", "Connection Accepted.") or reason == 0
            self.changed.notify_all()

    def _on_disconnect(self, *_):
        with self.changed:
            self._connected = False
            self.changed.notify_all()

    def _on_subscribe(self, _client, _data, mid, *_):
        with self.changed:
            self._subscribed.add(mid)
            self.changed.notify_all()

    def _on_message(self, _client, _data, m):
        with self.changed:
            self.received.append(Received(m.topic, m.payload, m.qos, bool(m.retain),
                                          getattr(m, "properties", None), time.monotonic()))
            self.changed.notify_all()

    def _wait(self, condition, what, timeout=20):
        deadline = time.monotonic() + timeout * SLOWNESS
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"did not happen in {timeout * SLOWNESS:.0f} s: {what}\n  received "
                                  f"{len(self.received)}: {shorten([(m.topic, m.payload) for m in self.received])}")
                self.changed.wait(left)

    def subscribe(self, topic_filter, qos=2, as_published=True):
        """Returns when the broker has acknowledged it."""
        if self.paho._protocol == mqtt.MQTTv5:
            _, mid = self.paho.subscribe(topic_filter, options=SubscribeOptions(qos, retainAsPublished=as_published))
        else:
            _, mid = self.paho.subscribe(topic_filter, qos)
        self._wait(lambda: mid in self._subscribed, f"subscribed to {topic_filter}")
        return self

    def publish(self, topic, payload=b"", qos=2, retain=False, wait=True, **props):
        """wait: until the broker has acknowledged it (QoS 0: until it is written)."""
        if self._speaker is None:
            self._speaker = Client(self.broker, **self._like)
        p = properties(**props) if props else None
        info = self._speaker.paho.publish(topic, payload, qos, retain, properties=p)
        if wait:
            self.wait_published([info])
        return info

    def publish_many(self, topic_payloads, qos=2, retain=False):
        self.wait_published([self.publish(t, p, qos, retain, wait=False) for t, p in topic_payloads])

    def wait_published(self, infos, timeout=60):
        deadline = time.monotonic() + timeout * SLOWNESS
        for info in infos:
            info.wait_for_publish(max(0.01, deadline - time.monotonic()))
            if not info.is_published():
                raise Failure("the broker did not acknowledge what the test published")

    def wait_for(self, condition, what, timeout=30):
        """condition(list of Received) -> true when there is enough. Returns its value."""
        self._wait(lambda: condition(self.received), what, timeout)
        return condition(self.received)

    def wait_count(self, n, timeout=30, topic=None):
        """Waits for n messages (on a topic, or in all) and returns them."""
        def mine():
            return [m for m in self.received if topic is None or m.topic == topic]
        self._wait(lambda: len(mine()) >= n, f"{n} messages{' on ' + topic if topic else ''}", timeout)
        return mine()

    def wait_payload(self, payload, timeout=30, topic=None):
        """Waits for the message with this payload and returns it."""
        payload = payload.encode() if isinstance(payload, str) else payload

        def found():
            return next((m for m in self.received if m.payload == payload and topic in (None, m.topic)), None)
        self._wait(found, f"payload {payload[:60]!r}", timeout)
        return found()

    def payloads(self, topic=None):
        with self.changed:
            return [m.payload.decode(errors="replace") for m in self.received if topic in (None, m.topic)]

    def count(self):
        with self.changed:
            return len(self.received)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()
