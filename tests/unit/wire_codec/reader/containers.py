"""[M-11] Protocol Buffers and CBOR, byte by byte."""
from .basics import M32, M64, hash2, hash3

HEAD, VARINT, LENGTH, UINT, FLOAT, BYTES = range(6)
OPEN = M32  # CBOR: items left of something of indefinite length
PROTOBUF, CBOR = 2, 3


class Level:
    def __init__(self, path, end=0, left=0, key=0, is_map=False):
        self.path, self.end, self.left, self.key, self.map = path, end, left, key, is_map
        self.at_key, self.first, self.index = is_map, True, 0


class Container:
    def __init__(self):
        self.nested = [0] * 256  # 0 not known, 1 no message, 2 a message

    def begin(self, cbor, slot, length):
        self.cbor, self.position, self.length = cbor, 0, length
        self.levels = [Level(hash2(slot, cbor), length, OPEN)]
        self.role, self.key = HEAD, self.levels[0].path
        self.size = self.at = self.value = 0
        self.began = False

    def index(self):
        """Where in the message the byte coded next stands."""
        if not self.cbor and self.role in (UINT, FLOAT):
            return self.position - self.at + self.size - 1 - self.at
        return self.position

    def item(self, role, size):
        self.role, self.size, self.at, self.value, self.began = role, size, 0, 0, role != HEAD

    def give_up(self):
        if not self.cbor and len(self.levels) > 1:
            self.nested[self.levels[-1].key & 255] = 1
        del self.levels[1:]
        self.key = hash2(self.levels[0].path, 0xbad)
        self.item(BYTES, M32)

    def byte(self, c):
        self.position += 1
        self.began = False
        if self.cbor:
            self.cbor_byte(c)
        else:
            self.protobuf_byte(c)

    # Protocol Buffers

    def protobuf_next(self):
        while len(self.levels) > 1 and self.position >= self.levels[-1].end:
            self.levels.pop()
        self.item(HEAD, 0)
        self.key = self.levels[-1].path

    def protobuf_tag(self):
        level = self.levels[-1]
        room = level.end - self.position
        self.key = hash2(level.path, self.value >> 3 & M32)
        kind = self.value & 7
        if room < 0 or kind not in (0, 1, 2, 5) or (kind == 1 and room < 8) or (kind == 5 and room < 4):
            self.give_up()
        else:
            self.item(*{0: (VARINT, 0), 1: (FLOAT, 8), 2: (LENGTH, 0), 5: (FLOAT, 4)}[kind])

    def protobuf_length(self):
        level, n = self.levels[-1], self.value
        if n > level.end - self.position:
            self.give_up()
        elif n == 0:
            self.protobuf_next()
        elif self.nested[self.key & 255] == 2 and len(self.levels) < 8:
            self.levels.append(Level(hash2(self.key, 1), self.position + n, key=self.key))
            self.protobuf_next()
        else:
            self.item(BYTES, n)

    def protobuf_byte(self, c):
        level = self.levels[-1]
        if self.role in (HEAD, VARINT, LENGTH):
            if self.at >= 10:
                self.give_up()
                return
            self.value |= (c & 127) << 7 * self.at & M64
            self.at += 1
            if c & 128:
                return
            if self.role == HEAD:
                self.protobuf_tag()
            elif self.role == LENGTH:
                self.protobuf_length()
            else:
                if level.first and len(self.levels) > 1 and self.value < 1 << 14:
                    level.path = hash3(level.path, self.value, 2)
                level.first = False
                self.protobuf_next()
            return
        self.at += 1
        if self.at >= self.size:
            level.first = False
            self.protobuf_next()

    # CBOR

    def cbor_next(self, key):
        while True:
            level = self.levels[-1]
            if level.map and level.at_key:
                level.key, level.at_key = key, False
            else:
                level.at_key = level.map
                level.index += 1
                if level.left != OPEN:
                    level.left -= 1
            if level.left or len(self.levels) == 1:
                break
            self.levels.pop()
        self.item(HEAD, 0)
        level = self.levels[-1]
        self.key = hash2(level.path, level.key) if level.map and not level.at_key else hash3(level.path, level.index, level.map)

    def cbor_open(self, is_map, count):
        if count == 0:
            self.cbor_next(0)
        elif len(self.levels) == 8 or (count != OPEN and count > M32 // 2):
            self.give_up()
        else:
            path = hash2(self.key, 3)
            self.levels.append(Level(path, left=count, is_map=is_map))
            self.item(HEAD, 0)
            self.key = hash3(path, 0, is_map)

    def cbor_argument(self, major, v):
        if major in (2, 3):
            if v > self.length:
                self.give_up()
            elif v == 0:
                self.cbor_next(0)
            else:
                self.item(BYTES, v)
        elif major in (4, 5):
            # As long as no more than 2^31 - 1 are taken, a definite count is never OPEN.
            self.cbor_open(major == 5, v if v != OPEN else OPEN - 1)
        elif major == 6:
            self.item(HEAD, 0)
        else:
            self.cbor_next(v & M32)

    def cbor_byte(self, c):
        if self.role == HEAD:
            self.cbor_head(c)
            return
        if self.role == BYTES:
            self.value = hash2(self.value, c)
        elif self.role == LENGTH:
            self.value = (self.value << 8 | c) & (1 << 61) - 1
        else:
            self.value = (self.value << 8 | c) & M64
        self.at += 1
        if self.at == self.size:
            if self.role == LENGTH:
                self.cbor_argument(self.major, self.value)
            else:
                self.cbor_next(self.value & M32)

    def cbor_head(self, c):
        major, low = c >> 5, c & 31
        if c == 0xff:
            if len(self.levels) > 1:
                self.levels.pop()
                self.cbor_next(0)
            else:
                self.give_up()
        elif low < 24:
            self.cbor_argument(major, low)
        elif low <= 27:
            size = 1 << low - 24
            if major == 7:
                self.item(FLOAT if size >= 4 else UINT, size)
            elif major in (2, 3, 4, 5, 6):
                self.item(LENGTH, size)
                self.major = major
            else:
                self.item(UINT, size)
        elif low == 31 and major in (4, 5):
            self.cbor_open(major == 5, OPEN)
        else:
            self.give_up()


# [C-4.6]: how whoever has the bytes tells what they are.

def varint(data, at):
    """(value, place behind it), or None."""
    v = 0
    for i in range(10):
        if at >= len(data):
            return None
        v |= (data[at] & 127) << 7 * i & M64
        at += 1
        if not data[at - 1] & 128:
            return v, at
    return None


def is_protobuf(data):
    at = items = 0
    while at < len(data):
        tag = varint(data, at)
        if not tag or tag[0] < 8 or tag[0] >> 3 > 512:
            return False
        kind, at, skip = tag[0] & 7, tag[1], 0
        if kind in (0, 2):
            v = varint(data, at)
            if not v:
                return False
            at, skip = v[1], v[0] if kind == 2 else 0
        elif kind in (1, 5):
            skip = 8 if kind == 1 else 4
        else:
            return False
        if skip > len(data) - at:
            return False
        at += skip
        items += 1
    return items > 1


def is_cbor(data):
    if len(data) < 4 or data[0] >> 5 not in (4, 5):
        return False
    c = Container()
    c.begin(True, 0, len(data))
    for i, byte in enumerate(data):
        if i and len(c.levels) == 1:
            return False
        c.byte(byte)
    return len(c.levels) == 1 and c.role == HEAD
