#!/usr/bin/env python3
"""The sealed examples of docs/PROTOCOL.md, computed with Python's `cryptography` from what [P-13] and [P-14] say: another hand
than the program's. protocol_doc_test.c makes the same bytes with the program's code.

    seal_examples.py PROTOCOL.md            a case for each example
    seal_examples.py --write PROTOCOL.md    puts the computed values in"""
import hashlib
import re
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

COMPUTED = ("key", "sealed", "sealed_hello", "sealed_handshake", "sealed_resume", "datagram_mixed")


def number(bits, value):
    return value.to_bytes(bits // 8, "big")


def varint(v):
    out = b""
    while v > 127:
        out, v = out + bytes([v & 127 | 128]), v >> 7
    return out + bytes([v])


def derive(e, label, secret, salt):
    names = hashlib.sha256(e["lesser"].encode() + b"\0" + e["greater"].encode() + b"\0").digest()
    info = b"longwire 0\0" + label.encode() + b"\0"
    info += bytes([e["mode"] == "auth", int(e["tag_bytes"]), e["of"] == "greater"]) + names
    return HKDF(SHA256(), 16, salt or None, info).derive(secret)


def key(e):
    return {"key": derive(e, e["label"], bytes.fromhex(e["secret"]), bytes.fromhex(e["salt"]))}


def datagram_mixed(e):
    secret, salt = bytes.fromhex(e["secret"]), bytes.fromhex(e["salt"])
    sender, receiver = (X25519PrivateKey.from_private_bytes(bytes.fromhex(e[end])) for end in ("sender", "receiver"))
    shares = [end.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for end in (sender, receiver)]
    whole, full = e["whole"] == "1", int(e["number"])
    epoch = number(64, int(e["counter"])) + bytes.fromhex(e["epoch"]) + salt
    told = (shares[0] if whole else shares[0][:4]) + shares[1][:4]
    proof = derive(e, "datagram share", secret, epoch + told)[:4]
    clear = bytes([0xa0 | full >> 8 & 7, full & 255]) + bytes.fromhex(e["epoch"])[3:] + bytes.fromhex(e["epoch"])
    clear += varint(int(e["counter"])) + varint((full >> 11) * 4 + 2 * whole + 1) + salt + told + proof
    both = secret + sender.exchange(receiver.public_key())
    return {"proof": proof, "key": derive(e, "datagram x25519", both, epoch + shares[0] + shares[1]), "clear": clear}


def seal(e, space, epoch, full_number, clear, plain, tag):
    nonce = bytes([(e["of"] == "greater") << 4 | space]) + epoch + full_number
    readable = clear if e["mode"] == "full" else len(plain)
    cipher = AESCCM(bytes.fromhex(e["key"]), tag)
    return plain[:readable] + cipher.encrypt(nonce, plain[readable:], plain[:readable])


def handshake_tag(e):
    return max(8, int(e["tag_bytes"]))


def cobs(frame):
    out = b""
    for part in frame.split(b"\0"):
        out += bytes([len(part) + 1]) + part
    return out + b"\0"


def framed(frame):
    return {"frame": frame, "line": cobs(frame)}


def sealed(e):
    return {"frame": seal(e, int(e["space"]), bytes.fromhex(e["epoch"]), number(64, int(e["number"])), int(e["clear"]),
                          bytes.fromhex(e["plain"]), int(e["tag_bytes"]))}


def sealed_hello(e):
    random = bytes.fromhex(e["random"])
    name = e.get("name", "")
    if len(name) > 16:
        name = name[:7] + "~" + hashlib.sha256(name.encode()).hexdigest()[:8]
    flags = ("share" in e) | ("other" in e) << 1 | int(e.get("newer", 0)) << 2 | (e["mode"] == "auth") << 3
    plain = b"\xe1" + random + number(8, int(e["number"]))
    plain += bytes([flags, int(e["codec"]), int(e["memory"]).bit_length() - 1])
    plain += number(16, int(e["seen"], 16)) + bytes.fromhex(e["generation"] + e["segment"] + e["predecessor"])
    plain += varint(int(e["predecessor_end"])) + bytes.fromhex(e.get("other", "")) + bytes.fromhex(e.get("share", ""))
    if e["mode"] == "auth":
        plain += bytes([len(name)]) + name.encode()
    full = random[4:11] + number(8, int(e["number"]))
    return framed(seal(e, 3, random[:4], full, 18, plain, handshake_tag(e)))


def sealed_handshake(e):
    plain = bytes([0xe0 | int(e["type"]), int(e["number"])]) + bytes.fromhex(e["body"])
    return framed(seal(e, 3, bytes.fromhex(e["epoch"]), number(64, int(e["number"])), 2, plain, handshake_tag(e)))


def sealed_resume(e):
    plain = bytes([0xe4 if e["answer"] == "1" else 0xe3]) + bytes.fromhex(e["epoch"])
    plain += number(16, int(e["number"]) & 0xffff) + number(16, int(e["ack"]))
    return framed(seal(e, 2, bytes.fromhex(e["epoch"]), number(64, int(e["number"])), 7, plain, handshake_tag(e)))


def main():
    write, path = sys.argv[1] == "--write", sys.argv[-1]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    cases = 0

    def each(found):
        nonlocal cases
        kind, body = found.group(1), found.group(2)
        if kind not in COMPUTED:
            return found.group(0)
        e = dict((line.split("=")[0].strip(), line.partition("=")[2].strip()) for line in body.splitlines())
        for name, value in globals()[kind](e).items():
            if write:
                body = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value.hex()}", body)
                continue
            cases += 1
            good = e.get(name) == value.hex()
            print(f"{'ok' if good else 'not ok'} {cases} - {name} of the example {kind} {cases}")
            if not good:
                print(f"# computed {value.hex()}")
        return f"```example {kind}\n{body}```"

    text = re.sub(r"```example (\w+)\n(.*?)```", each, text, flags=re.S)
    if write:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(f"1..{cases}")


if __name__ == "__main__":
    main()
