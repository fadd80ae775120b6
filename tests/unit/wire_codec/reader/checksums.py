"""[M-12] checksums."""

REFLECTED, FORWARD, FLETCHER, SUM, NEGATED, XOR = range(6)
#        method, bytes, skipped, most significant byte first, polynomial, start, end
KINDS = [None,
         (REFLECTED, 2, 0, 0, 0xa001, 0xffff, 0), (FLETCHER, 2, 2, 0, 0, 0, 0), (FORWARD, 3, 0, 1, 0x864cfb, 0, 0),
         (REFLECTED, 4, 0, 0, 0xedb88320, 0xffffffff, 0xffffffff), (REFLECTED, 4, 0, 1, 0xedb88320, 0xffffffff, 0xffffffff),
         (FORWARD, 2, 0, 1, 0x1021, 0xffff, 0), (FORWARD, 2, 0, 0, 0x1021, 0xffff, 0), (FORWARD, 2, 0, 1, 0x1021, 0, 0),
         (REFLECTED, 2, 0, 0, 0x8408, 0xffff, 0xffff), (REFLECTED, 2, 0, 1, 0xa001, 0xffff, 0),
         (REFLECTED, 2, 0, 0, 0x8408, 0, 0), (REFLECTED, 2, 1, 0, 0x8408, 0xffff, 0), (REFLECTED, 2, 0, 0, 0xa001, 0, 0),
         (FORWARD, 1, 0, 1, 0x07, 0, 0), (REFLECTED, 1, 0, 1, 0x8c, 0, 0), (SUM, 1, 0, 1, 0, 0, 0), (NEGATED, 1, 0, 1, 0, 0, 0),
         (XOR, 1, 0, 1, 0, 0, 0), (SUM, 1, 1, 1, 0, 0, 0), (NEGATED, 1, 1, 1, 0, 0, 0), (XOR, 1, 1, 1, 0, 0, 0),
         (SUM, 2, 0, 1, 0, 0, 0), (SUM, 2, 2, 1, 0, 0, 0), (SUM, 2, 0, 0, 0, 0, 0)]


def forward(crc, c, polynomial, width):
    top = 1 << 8 * width - 1
    crc ^= c << 8 * (width - 1)
    for _ in range(8):
        crc = crc << 1 ^ (polynomial if crc & top else 0)
    return crc & (top << 1) - 1


def make(message, kind):
    """What the last bytes of the message must be, by the others."""
    method, width, skip, big, polynomial, v, end = KINDS[kind]
    second = 0
    for c in message[skip:max(skip, len(message) - width)]:
        if method == REFLECTED:
            v ^= c
            for _ in range(8):
                v = v >> 1 ^ (polynomial if v & 1 else 0)
        elif method == FORWARD:
            v = forward(v, c, polynomial, width)
        elif method == FLETCHER:
            v = v + c & 255
            second = second + v & 255
        else:
            v = v ^ c if method == XOR else v + c
    v ^= end
    if method == FLETCHER:
        v |= second << 8
    if method == NEGATED:
        v = -v
    return (v & (1 << 8 * width) - 1).to_bytes(width, "big" if big else "little")


def find(message):
    for kind in range(1, len(KINDS)):
        width = KINDS[kind][1]
        if len(message) >= width + 4 and make(message, kind) == message[-width:]:
            return kind
    return 0


class Sentence:
    """Of NMEA 0183: from behind '$' or '!' to before '*'."""

    def __init__(self):
        self.sum = 0

    def add(self, c):
        self.sum ^= c

    def digits(self):
        return b"%02X" % self.sum
