"""[M-12] checksums."""

REFLECTED, FORWARD, FLETCHER, ADLER, INTERNET, SUM, NEGATED, XOR = range(8)
#        method, bytes, most significant byte first, polynomial, start, end
KINDS = [None,
         (REFLECTED, 4, 0, 0xedb88320, 0xffffffff, 0xffffffff), (REFLECTED, 4, 1, 0xedb88320, 0xffffffff, 0xffffffff),
         (REFLECTED, 4, 0, 0xedb88320, 0, 0), (REFLECTED, 4, 0, 0x82f63b78, 0xffffffff, 0xffffffff),
         (FORWARD, 4, 1, 0x04c11db7, 0xffffffff, 0), (FORWARD, 4, 0, 0x04c11db7, 0xffffffff, 0), (ADLER, 4, 1, 0, 1, 0),
         (FORWARD, 3, 1, 0x864cfb, 0, 0), (REFLECTED, 2, 0, 0xa001, 0xffff, 0), (REFLECTED, 2, 1, 0xa001, 0xffff, 0),
         (FLETCHER, 2, 0, 0, 0, 0), (FORWARD, 2, 1, 0x1021, 0xffff, 0), (FORWARD, 2, 0, 0x1021, 0xffff, 0),
         (FORWARD, 2, 1, 0x1021, 0, 0), (FORWARD, 2, 0, 0x1021, 0, 0), (FORWARD, 2, 1, 0x1021, 0x1d0f, 0),
         (FORWARD, 2, 1, 0x1021, 0xffff, 0xffff), (REFLECTED, 2, 0, 0x8408, 0xffff, 0xffff),
         (REFLECTED, 2, 1, 0x8408, 0xffff, 0xffff), (REFLECTED, 2, 0, 0x8408, 0, 0), (REFLECTED, 2, 1, 0x8408, 0, 0),
         (REFLECTED, 2, 0, 0x8408, 0xffff, 0), (REFLECTED, 2, 1, 0x8408, 0xffff, 0), (REFLECTED, 2, 0, 0xa001, 0, 0),
         (REFLECTED, 2, 1, 0xa001, 0, 0), (FORWARD, 2, 1, 0x8005, 0, 0), (REFLECTED, 2, 0, 0xa6bc, 0, 0xffff),
         (INTERNET, 2, 1, 0, 0, 0xffff), (SUM, 2, 1, 0, 0, 0), (SUM, 2, 0, 0, 0, 0), (SUM, 2, 1, 0, 0, 0xffff),
         (SUM, 2, 0, 0, 0, 0xffff), (FORWARD, 1, 1, 0x07, 0, 0), (FORWARD, 1, 1, 0x07, 0xff, 0),
         (FORWARD, 1, 1, 0x31, 0xff, 0), (FORWARD, 1, 1, 0x31, 0, 0), (FORWARD, 1, 1, 0x1d, 0xff, 0xff),
         (FORWARD, 1, 1, 0x2f, 0xff, 0xff), (FORWARD, 1, 1, 0xd5, 0, 0), (REFLECTED, 1, 1, 0x8c, 0, 0), (SUM, 1, 1, 0, 0, 0),
         (NEGATED, 1, 1, 0, 0, 0), (SUM, 1, 1, 0, 0, 0xff), (XOR, 1, 1, 0, 0, 0), (XOR, 1, 1, 0, 0xff, 0)]
CRC_24Q, UBX = 8, 11
NONE = (0, 0, 0)


def width(checksum):
    return KINDS[checksum[0]][1]


def forward(crc, c, polynomial, width):
    top = 1 << 8 * width - 1
    crc ^= c << 8 * (width - 1)
    for _ in range(8):
        crc = crc << 1 ^ (polynomial if crc & top else 0)
    return crc & (top << 1) - 1


def make(covered, kind):
    """The checksum of these bytes."""
    method, width, big, polynomial, v, end = KINDS[kind]
    second, modulus = 0, 65521 if method == ADLER else 256
    for i, c in enumerate(covered):
        if method == REFLECTED:
            v ^= c
            for _ in range(8):
                v = v >> 1 ^ (polynomial if v & 1 else 0)
        elif method == FORWARD:
            v = forward(v, c, polynomial, width)
        elif method in (FLETCHER, ADLER):
            v = (v + c) % modulus
            second = (second + v) % modulus
        elif method == INTERNET:
            v += c if i & 1 else c << 8
            v = (v & 0xffff) + (v >> 16)
        else:
            v = v ^ c if method == XOR else v + c
    v ^= end
    if method in (FLETCHER, ADLER):
        v |= second << 4 * width
    if method == NEGATED:
        v = -v
    return (v & (1 << 8 * width) - 1).to_bytes(width, "big" if big else "little")


def place(message_length, checksum):
    """Where it begins in a message."""
    return message_length - checksum[2] - width(checksum)


def fits(message, checksum):
    kind, skip, _ = checksum
    at = place(len(message), checksum)
    return (len(message) <= 2048 and at >= skip + 4 and
            make(message[skip:at], kind) == message[at:at + width(checksum)])


def find(message, before):
    """before: the topic's last message, b"" where it is gone."""
    for kind in range(1, len(KINDS)):
        for tail in (2, 1, 0):
            for skip in range(5):
                checksum = kind, skip, tail
                if fits(message, checksum) and (width(checksum) > 1 or fits(before, checksum)):
                    return checksum
    return NONE


class Frames:
    """[M-12.4] of UBX and RTCM 3, one behind the other."""

    def __init__(self):
        self.begin, self.end, self.checksum = 0, 0, NONE

    def at(self, byte, position, length):
        """byte(i): of the message, up to position. Are the next bytes a frame's checksum?"""
        begin, so_far = self.begin, position - self.begin
        if self.end and position == self.end:
            self.begin, self.end = self.end, 0
        elif so_far == 3 and byte(begin) == 0xd3 and byte(begin + 1) < 4:
            self.end, self.checksum = begin + 6 + (byte(begin + 1) << 8 | byte(begin + 2)), (CRC_24Q, 0, 0)
        elif so_far == 6 and byte(begin) == 0xb5 and byte(begin + 1) == 0x62:
            self.end, self.checksum = begin + 8 + (byte(begin + 5) << 8 | byte(begin + 4)), (UBX, 2, 0)
        return self.end and self.end <= length and position + width(self.checksum) == self.end


class Sentence:
    """Of NMEA 0183: from behind '$' or '!' to before '*'."""

    def __init__(self):
        self.sum = 0

    def add(self, c):
        self.sum ^= c

    def digits(self):
        return b"%02X" % self.sum
