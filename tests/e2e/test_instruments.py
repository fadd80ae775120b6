"""The instruments themselves: a case is worth no more than the broker, client, line and proxy it measures with."""
import os
import socket
import threading

import tap
from processes import wait_until
from tap import case, check, check_equal


@case("client: QoS 0, 1 and 2 pass one broker once and in order")
def _(world):
    broker = world.broker("broker")
    listener = world.client(broker, "t/#")
    speaker = world.client(broker)
    for qos in (0, 1, 2):
        speaker.publish_many([(f"t/{qos}", str(i)) for i in range(50)], qos=qos)
    listener.wait_count(150)
    for qos in (0, 1, 2):
        check_equal(listener.payloads(f"t/{qos}"), [str(i) for i in range(50)], f"QoS {qos}")


@case("broker: a session survives kill -9 with what was queued for it")
def _(world):
    broker = world.broker("broker")
    listener = world.client(broker, "t/#", client_id="keeper", keep=True)
    listener.close()
    world.client(broker).publish_many([("t/a", str(i)) for i in range(20)], qos=1)
    database = broker.folder / "mosquitto.db"
    wait_until(lambda: database.exists() and b"t/a" in database.read_bytes() and b"19" in database.read_bytes(),
               "mosquitto has saved")
    broker.kill()
    broker.start()
    again = world.client(broker, client_id="keeper", keep=True)
    again.wait_count(20)
    check_equal(again.payloads("t/a"), [str(i) for i in range(20)], "redelivered")


@case("client: it reconnects by itself when its broker comes back")
def _(world):
    broker = world.broker("broker")
    listener = world.client(broker, "t/#", client_id="keeper", keep=True)
    broker.stop()
    broker.start()
    speaker = world.client(broker)
    speaker.publish("t/a", "after")
    listener.wait_payload("after")


@case("line: bytes cross at the rate it was given, and a cut stops them")
def _(world):
    line = world.line(baud=19200)
    a, b = (os.open(path, os.O_RDWR | os.O_NOCTTY) for path in (line.a, line.b))
    os.write(a, bytes(range(256)) * 4)
    heard = b""
    while len(heard) < 1024:
        heard += os.read(b, 1024)
    check_equal(heard, bytes(range(256)) * 4, "bytes heard")
    busy = line.status()["a"]["busy_us"]
    check(500000 < busy < 560000, "1024 bytes take 533 ms at 19200 baud", busy)
    line.cut()
    os.write(a, b"x" * 100)
    wait_until(lambda: line.status()["a"]["cut"] == 100, "the cut line swallowed")
    os.close(a)
    os.close(b)


@case("proxy: it passes, stalls without closing, and cuts after a number of bytes")
def _(world):
    server = socket.create_server(("127.0.0.1", 0))
    proxy = world.proxy(server.getsockname()[1])
    near = socket.create_connection(("127.0.0.1", proxy.port))
    far, _ = server.accept()
    near.sendall(b"hello")
    check_equal(far.recv(10), b"hello", "passed")
    proxy.stall()
    near.sendall(b"held")
    far.settimeout(0.2)
    try:
        check(False, "a stalled proxy passed something", far.recv(10))
    except TimeoutError:
        pass
    proxy.stall(False)
    far.settimeout(10)
    check_equal(far.recv(10), b"held", "passed after the stall")
    proxy.limit = 20
    threading.Thread(target=near.sendall, args=(b"x" * 20,), daemon=True).start()
    rest = far.recv(100)
    check(len(rest) < 20 or far.recv(100) == b"", "cut at its limit", rest)
    server.close()


if __name__ == "__main__":
    tap.main()
