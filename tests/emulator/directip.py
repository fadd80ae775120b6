"""DirectIP's bytes, from the facts alone: written anew here so that a misreading by the driver shows."""
import struct

REVISION = 1
MO_HEADER, MO_PAYLOAD, MO_LOCATION, MO_CONFIRMATION = 0x01, 0x02, 0x03, 0x05
MT_HEADER, MT_PAYLOAD, MT_LOCATION, MT_CONFIRMATION, MT_LAC, MT_PRIORITY = 0x41, 0x42, 0x43, 0x44, 0x45, 0x46
FLUSH, RING_ONLY, UPDATE_LOCATION, HIGH_PRIORITY, ASSIGN_MTMSN = 0x0001, 0x0002, 0x0008, 0x0010, 0x0020
CONFIRMED = bytes.fromhex("01000405000101")
NOT_CONFIRMED = bytes.fromhex("01000405000100")


class BadMessage(Exception):
    pass


def element(identity, content):
    return struct.pack(">BH", identity, len(content)) + content


def message(*elements, length_off_by=0):
    """The whole message of these elements; length_off_by: the overall length tells a lie."""
    body = b"".join(elements)
    return struct.pack(">BH", REVISION, len(body) + length_off_by) + body


def mo_header(cdr, imei, status, momsn, mtmsn, time):
    return element(MO_HEADER, struct.pack(">I15sBHHI", cdr & 0xFFFFFFFF, imei.encode(), status, momsn, mtmsn, time))


def mo_location(latitude, longitude, cep_km, length=11):
    """Degrees, south and west negative. length 20: as the guide misprints it, padded with zeros."""
    def parts(degrees):
        whole = int(abs(degrees))
        return whole, min(59999, round((abs(degrees) - whole) * 60000))
    flags = (0x02 if latitude < 0 else 0) | (0x01 if longitude < 0 else 0)
    content = struct.pack(">BBHBHI", flags, *parts(latitude), *parts(longitude), cep_km)
    return element(MO_LOCATION, content.ljust(length, b"\0"))


def mt_confirmation(client_id, imei, auto_id, status):
    return message(element(MT_CONFIRMATION, client_id + imei.ljust(15)[:15] + struct.pack(">Ih", auto_id, status)))


def elements_of(data):
    """[(id, content)] of a whole message; raises BadMessage."""
    if len(data) < 3 or data[0] != REVISION:
        raise BadMessage("wrong revision")
    overall, = struct.unpack(">H", data[1:3])
    if overall != len(data) - 3:
        raise BadMessage(f"overall length {overall} of {len(data) - 3} bytes")
    found, at = [], 3
    while at < len(data):
        if at + 3 > len(data):
            raise BadMessage("an element is cut off")
        identity, length = struct.unpack(">BH", data[at:at + 3])
        if at + 3 + length > len(data):
            raise BadMessage("an element runs over the end")
        found.append((identity, data[at + 3:at + 3 + length]))
        at += 3 + length
    return found


class MtRequest:
    """What the hub asks of the gateway in one connection."""

    def __init__(self, data):
        found = elements_of(data)
        headers = [c for i, c in found if i == MT_HEADER]
        payloads = [c for i, c in found if i == MT_PAYLOAD]
        if len(headers) != 1 or len(headers[0]) != 21 or len(payloads) > 1:
            raise BadMessage("not one header and at most one payload")
        self.client_id = headers[0][:4]
        self.imei_raw = headers[0][4:19]
        self.imei = self.imei_raw.decode("latin-1")
        self.flags, = struct.unpack(">H", headers[0][19:])
        self.payload = payloads[0] if payloads else None
        priorities = [c for i, c in found if i == MT_PRIORITY]
        self.priority = struct.unpack(">H", priorities[0])[0] if priorities and len(priorities[0]) == 2 else 5
        if self.flags & HIGH_PRIORITY:
            self.priority = 1
        self.unknown = [i for i, _ in found if i not in
                        (MT_HEADER, MT_PAYLOAD, MT_LOCATION, MT_LAC, MT_PRIORITY)]
