"""How a gateway speaks with its broker: TLS, 3.1.1, a unix socket, a password; and brokers that refuse."""
import subprocess

import tap
from checks import expect, numbered
from tap import case, check, check_equal


def both_ways(pair, n=20, **hub_client):
    edge, hub = pair.edge_client("down/#"), pair.hub_client("up/#", **hub_client)
    edge.publish_many(numbered(["up/a"], n))
    hub.publish_many(numbered(["down/a"], n))
    expect(hub, numbered(["up/a"], n))
    expect(edge, numbered(["down/a"], n))


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """A certificate authority of the case's own, made by openssl(1)."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ca = folder / "ca.crt"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3",
                "-subj", "/CN=test authority", "-keyout", str(folder / "ca.key"), "-out", str(self.ca))

    def certificate(self, name, alternative):
        key, crt, csr, ext = (self.folder / f"{name}.{e}" for e in ("key", "crt", "csr", "ext"))
        ext.write_text(f"subjectAltName={alternative}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", str(key), "-out", str(csr))
        openssl("x509", "-req", "-in", str(csr), "-CA", str(self.ca), "-CAkey", str(self.folder / "ca.key"),
                "-CAcreateserial", "-days", "3", "-extfile", str(ext), "-out", str(crt))
        return crt, key


def tls_pair(world, name, changes=None, start=True):
    """The hub's broker speaks TLS and asks for a client certificate; its own is made out to `name`."""
    authority = Authority(world.folder / "authority")
    crt, key = authority.certificate("broker", name)
    client_crt, client_key = authority.certificate("gateway", "DNS:gateway")
    brokers = (world.broker("edge-broker"), world.broker(
        "hub-broker", listener=f"cafile {authority.ca}\ncertfile {crt}\nkeyfile {key}\nrequire_certificate true"))
    tls = {"tls": "yes", "tls_ca": str(authority.ca), "tls_cert": str(client_crt), "tls_key": str(client_key)}
    tls.update(changes or {})
    pair = world.pair(transport="tcp", brokers=brokers, hub={"broker": tls}, start=start)
    client = {"tls": {"ca_certs": str(authority.ca), "certfile": str(client_crt), "keyfile": str(client_key)}}
    return pair, client


@case("TLS with a CA and a client certificate")
def _(world):
    pair, client = tls_pair(world, "IP:127.0.0.1,DNS:localhost")
    both_ways(pair, **client)


def refused_by_tls(world, name, changes=None):
    pair, _ = tls_pair(world, name, changes, start=False)
    pair.hub.start(wait=False)
    line = pair.hub.process.wait_line("certificate")
    check(not pair.hub.wait_status(lambda s: True, "status")["broker"]["connected"], "not connected", line)


@case("TLS: a certificate made out to another host is refused, and the log says so")
def _(world):
    refused_by_tls(world, "DNS:elsewhere.example")


@case("TLS: a certificate of another authority is refused, and the log says so")
def _(world):
    other = Authority(world.folder / "other")
    refused_by_tls(world, "IP:127.0.0.1", {"tls_ca": str(other.ca)})


@case("TLS: tls_name is the name that is checked")
def _(world):
    pair, client = tls_pair(world, "DNS:broker.example", {"tls_name": "broker.example"})
    edge = pair.edge_client()
    edge.publish("up/a", "x")
    pair.edge.wait_empty(pair.hub.name)
    pair.hub.wait_peer(pair.edge.name, lambda p: p["waiting_for_broker"] == 0, "handed over")


@case("MQTT 3.1.1 sessions at both ends, QoS 2 both ways, and through a restart")
def _(world):
    old = {"broker": {"protocol": "3.1.1"}}
    pair = world.pair(transport="tcp", edge=old, hub=old)
    both_ways(pair)
    pair.edge.kill()
    client = pair.edge_client()
    client.publish_many(numbered(["up/b"], 20))
    pair.edge.start()
    listener = pair.hub_client("up/#", client_id="second")
    client.publish("up/b", "end")
    listener.wait_payload("end")


@case("a unix socket to the broker")
def _(world):
    socket = world.folder / "broker.sock"
    hub_broker = world.broker("hub-broker", extra=f"listener 0 {socket}\nallow_anonymous true")
    pair = world.pair(transport="tcp", brokers=(world.broker("edge-broker"), hub_broker),
                      hub={"broker": {"host": f"unix:{socket}", "port": None}})
    both_ways(pair)


def password_broker(world):
    passwords = world.folder / "passwd"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "gateway", "s3cret"], check=True)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "tester", "t"], check=True)
    return world.broker("hub-broker", extra=f"password_file {passwords}\nallow_anonymous false")


@case("username and password file")
def _(world):
    (world.folder / "password").write_text("s3cret\n")
    pair = world.pair(transport="tcp", brokers=(world.broker("edge-broker"), password_broker(world)),
                      hub={"broker": {"username": "gateway", "password_file": str(world.folder / "password")}})
    both_ways(pair, username="tester", password="t")


@case("a wrong password: the log says so, the password is in no log, and it is tried again when the file is mended")
def _(world):
    file = world.folder / "password"
    file.write_text("mistaken-phrase\n")
    pair = world.pair(transport="tcp", brokers=(world.broker("edge-broker"), password_broker(world)), start=False,
                      hub={"broker": {"username": "gateway", "password_file": str(file)}})
    pair.hub.start(wait=False)
    pair.hub.wait_status(lambda s: not s["broker"]["connected"], "not connected")
    pair.hub.process.wait_line("refused")
    check(not pair.hub.process.has_line("mistaken-phrase"), "the password is in the log")
    file.write_text("s3cret\n")
    pair.hub.reload()
    pair.hub.wait_status(lambda s: s["broker"]["connected"], "connected with the mended file", 60)


# ---- brokers that refuse a message for good (I3) ----

def set_aside(pair, hub, refused, n):
    """Publishes one, the refused one, and another; the neighbours must arrive and the refused one be counted."""
    edge = pair.edge_client()
    edge.publish("up/a", "1")
    refused(edge)
    edge.publish("up/a", "2")
    hub.wait_payload("2", timeout=90)
    check_equal([p for p in hub.payloads() if len(p) < 10], ["1", "2"], "the neighbours")
    pair.hub.wait_peer(pair.edge.name, lambda p: sum(p["dropped"].values()) == n, "counted as set aside")
    pair.hub.wait_peer(pair.edge.name, lambda p: p["waiting_for_broker"] == 0, "nothing is stuck")
    pair.edge.wait_empty(pair.hub.name)


@case("a message over the far broker's maximum packet size is set aside, counted, delivery goes on")
def _(world):
    brokers = world.broker("edge-broker"), world.broker("hub-broker", extra="max_packet_size 5000")
    pair = world.pair(transport="tcp", brokers=brokers)
    set_aside(pair, pair.hub_client("up/#"), lambda edge: edge.publish("up/a", "x" * 20000), 1)


@case("a message over the far broker's message_size_limit is set aside, counted, delivery goes on")
def _(world):
    brokers = world.broker("edge-broker"), world.broker("hub-broker", listener="message_size_limit 5000")
    pair = world.pair(transport="tcp", brokers=brokers)
    set_aside(pair, pair.hub_client("up/#"), lambda edge: edge.publish("up/a", "x" * 20000), 1)


@case("a topic that the far broker's access list forbids is set aside, counted, delivery goes on")
def _(world):
    acl = world.folder / "acl"
    acl.write_text("topic readwrite up/a\ntopic readwrite longwire/#\ntopic read #\n")
    brokers = world.broker("edge-broker"), world.broker("hub-broker", listener=f"acl_file {acl}")
    pair = world.pair(transport="tcp", brokers=brokers)
    set_aside(pair, pair.hub_client("up/#"),
              lambda edge: edge.publish_many([("up/forbidden", "x1"), ("up/forbidden", "x2")]), 2)


@case("over 3.1.1 a message that the broker closes on is set aside after three tries")
def _(world):
    brokers = world.broker("edge-broker"), world.broker("hub-broker", extra="max_packet_size 5000")
    pair = world.pair(transport="tcp", brokers=brokers, hub={"broker": {"protocol": "3.1.1"}})
    set_aside(pair, pair.hub_client("up/#"), lambda edge: edge.publish("up/a", "x" * 20000), 1)


if __name__ == "__main__":
    tap.main()
