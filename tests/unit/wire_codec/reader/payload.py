"""[M-1] a byte: sizes, contexts, weight sets, and the order of updates."""
from . import checksums
from .basics import M32, M64, counter, hash2, hash3, spread
from .containers import BYTES, CBOR, FLOAT, PROTOBUF, UINT, VARINT, Container, is_protobuf
from .mixing import Contexts, INPUTS, Mixer
from .numbers import Numbers, Value
from .packed import Packed
from .references import NONE, Reference, Window, is_digit
from .text import Text

TEXT, PACKED = 0, 1
PSEUDO_TOPIC, PSEUDO_PROPERTIES, PSEUDO_HOPS, PSEUDO_ROUTE = 1, 2, 3, 4


class Sizes:
    """[M-1.1]"""

    def __init__(self, memory):
        def scaled(n, low, high):
            return max(low, min(high, n * memory >> 22))

        def round_up(n):
            return n + 63 & ~63

        self.window = 1 << scaled(1 << 18, 1 << 13, 1 << 20).bit_length() - 1
        self.runs = scaled(1 << 18, 12288, 1 << 19) - 10240 & ~3
        self.fields = 2 * scaled(2048, 64, 8192)
        self.places = scaled(8192, 512, 32768)
        self.columns = scaled(8192, 512, 16384)
        self.topics = scaled(4100, 260, 4100)
        self.matches = scaled(1 << 14, 1 << 10, 1 << 16)
        self.sets = [scaled(n, 16, n) for n in (768, 648, 640, 768, 1536, 512, 144)]
        self.maps = [scaled(n, 64, n) for n in (256, 1024)]
        used = (96 << 10) + sum(map(round_up, (
            self.window, self.window // 4, self.window // 8, self.runs * 4, self.fields * 64, self.places * 8,
            self.columns * 8, self.topics * 28, self.matches * 4, self.matches * 4, sum(self.sets) * 144,
            sum(self.sets) * 2, self.maps[0] * 66, self.maps[1] * 66)))
        self.lines = (memory - used) // 64 if used + 4096 < memory else 64


class Topic:
    def __init__(self, class_hash=0):
        self.last = self.last_length = self.before = self.before_length = 0
        self.class_hash = class_hash
        self.seen = self.stride = self.stride_trust = self.checksum_trust = 0
        self.checksum = checksums.NONE


def strength(vote, strong):
    return 0 if vote == 0 else 2 if abs(vote) > strong else 1


class Payload:
    def __init__(self, memory):
        self.sizes = s = Sizes(memory)
        self.window = Window(s.window)
        self.contexts = Contexts(s.lines, s.runs)
        self.mixer = Mixer(s.sets, s.maps)
        self.numbers = Numbers(s.fields)
        self.text = Text(self.window, self.numbers, s.places)
        self.packed = Packed(self.window, s.columns)
        self.container = Container()
        self.value = Value(self.numbers)
        self.topics = {}
        self.class_last = [(0, 0, 0, checksums.NONE, 0)] * 64
        self.six, self.three = {}, {}
        self.aligned, self.long, self.short = Reference(), Reference(), Reference()
        start = [counter(65535 - 65536 * 3 // (10 * (i // 32) + 12), 4) for i in range(512)]
        self.maps = [list(start) for _ in range(4)]
        self.checksum = b"\0" * 4

    def topic_of(self, slot):
        return slot % (self.sizes.topics - 4)

    def pseudo(self, which):
        return self.sizes.topics - which

    def topic(self, index):
        return self.topics.setdefault(index, Topic())

    def name(self, index, text):
        h, digits = 77, False
        for c in text:
            if not (is_digit(c) and digits):
                h = hash2(h, 0x23 if is_digit(c) else c)
            digits = is_digit(c)
        if self.topic(index).class_hash != h:
            self.topics[index] = Topic(h)

    # a message

    def begin(self, index, form, fast, length):
        t = self.topic_state = self.topic(index)
        w = self.window
        self.index, self.form, self.fast, self.length = index, form, fast, length
        self.first, self.position = w.head, 0
        self.history = index << 8
        self.pair_at = [0] * 256
        self.frames = checksums.Frames()
        self.aligned.start(w, t.last, t.last_length, 1)
        if not t.last_length:
            place, size, class_hash, checksum, trust = self.class_last[t.class_hash & 63]
            self.aligned.start(w, place, size, 0)
            if not t.seen and class_hash == t.class_hash:
                t.checksum, t.checksum_trust = checksum, trust
        self.long = self.aligned.copy()
        self.short.on = False
        self.packed.last = self.aligned.copy()
        self.packed.before.start(w, t.before, t.before_length, 0)
        self.text.begin(index + 1, t.class_hash)
        self.packed.begin(index + 1)
        self.value.idle()
        if self.contained():
            self.container.begin(form == CBOR, index + 1, length)

    def contained(self):
        return self.form in (PROTOBUF, CBOR)

    def remember(self, t, begin, length):
        self.window.put(0, True)
        t.before, t.before_length, t.last, t.last_length = t.last, t.last_length, begin, length
        t.seen = min(255, t.seen + 1)
        self.class_last[t.class_hash & 63] = begin, length, t.class_hash, t.checksum, t.checksum_trust

    def store(self, index, data):
        begin = self.window.head
        for c in data:
            self.window.put(c, False)
        self.remember(self.topic(index), begin, len(data))

    def repeats(self, index, data):
        t, w = self.topic(index), self.window
        return t.last_length == len(data) and w.holds(t.last) and all(w.at(t.last + i) == c for i, c in enumerate(data))

    def message(self):
        return bytes(self.window.at(self.first + i) for i in range(self.position))

    def learn_checksum(self):
        t = self.topic_state
        if self.position > self.window.mask // 2:
            return
        message = self.message()
        if t.checksum_trust:
            at = checksums.place(len(message), t.checksum)
            if at > 0 and message[at:at + checksums.width(t.checksum)] == self.checksum:
                t.checksum_trust = min(14, t.checksum_trust + 1)
            else:
                t.checksum_trust //= 2
        if t.checksum_trust:
            return
        if t.seen < 32:
            before = bytes(self.window.at(t.last + i) for i in range(t.last_length)) if self.window.holds(t.last) else b""
            t.checksum = checksums.find(message, before)
            t.checksum_trust = int(t.checksum != checksums.NONE)
        else:
            t.checksum_trust = int(t.checksum != checksums.NONE and checksums.fits(message, t.checksum))

    def end(self):
        if self.form == TEXT:
            self.text.end()
        else:
            self.learn_checksum()
        self.remember(self.topic_state, self.first, self.position)

    # a byte

    def text_contexts(self):
        t, w = self.text, self.window
        c4 = self.history & M32
        c1, position = c4 & 255, min(self.position, 255)
        aligned, last, match, near = self.aligned.byte(w), t.last.byte(w), self.long.byte(w), self.short.byte(w)
        after = w.at(self.aligned.place + 1) if self.aligned.on else NONE
        line, other = t.expected
        told = 99 if other.diverged else min(3, len(other.text) - other.at)
        value_at, agreed = t.value_at, self.long.agreed
        return [
            c4 & 0xffff,
            c4,
            hash2(t.field, t.value),
            hash3(t.field, last | t.diverged << 9, value_at),
            hash3(t.slot, position, c1),
            hash3(aligned | after << 9, min(15, self.aligned.agreed) | self.aligned.missed << 4, c1),
            hash3(line.byte() | last << 9, other.byte() | line.diverged << 8, len(line.text) - value_at),
            hash2(c4 & 0xffff00, self.history >> 32 & 255),
            hash3(match, last, min(31, agreed) | self.long.missed << 8),
            hash3(t.field, t.trend | t.diverged << 8, last | value_at << 9) if t.number_known
            else hash3(value_at, match | c1 << 9, 78) if t.armored
            else hash3(t.class_field, t.value, 77),
            hash3(told, t.class_field, 5) if t.spelled
            else hash3(value_at, match, self.long.missed | min(3, agreed) << 2) if t.armored and not t.number_known
            else hash3(t.field, t.diverged, t.last_length - value_at),
            hash3(t.word, t.last_word, c1),
            hash2(t.word, c1),
            hash3(near | aligned << 9, match, c1),
            hash3(t.first_token, t.commas | t.part << 8, t.value)]

    def packed_contexts(self):
        b, w, t = self.packed, self.window, self.topic_state
        c4 = self.history & M32
        c1, column = c4 & 255, 0x1000 | b.column
        own = self.index << 13 | column
        aligned, match, near = self.aligned.byte(w), self.long.byte(w), self.short.byte(w)
        after = w.at(b.last.place + 1) if b.last.on else NONE
        if b.last.on and b.last.place != b.last.begin:
            was = w.at(b.last.place - 1)
        elif 1 <= self.position <= t.last_length and w.holds(t.last):
            was = w.at(t.last + self.position - 1)
        else:
            was = NONE
        moved = c1 - was & 255
        strides = t.stride and self.position >= t.stride
        above = w.at(w.head - t.stride) if strides else NONE
        above_after = w.at(w.head - t.stride + 1) if strides else NONE
        above2 = w.at(w.head - 2 * t.stride) if t.stride and self.position >= 2 * t.stride else NONE
        return [
            c4 & 0xffff,
            c4,
            hash3(self.index, self.position, c4 & 0xffff),
            hash3(own, b.last_byte, moved),
            hash2(own, c1),
            hash3(column, b.last_byte, b.before_byte),
            hash3(own, b.last_byte | b.before_byte << 9, c1),
            hash2(c4 & 0xffff00, self.history >> 32 & 255),
            hash3(match, min(31, self.long.agreed) | self.long.missed << 8, 256),
            hash3(column, b.last_byte, moved | c1 << 8),
            hash3(column, b.carried, after),
            hash3(above, above2, t.stride),
            hash3(above, above_after | c1 << 9, t.stride),
            hash3(near | aligned << 9, match, c1),
            hash3(column, c4 & 0xffff, b.last_byte)]

    def expect(self, begin, checksum, sure):
        covered = bytes(self.window.at(self.first + i) for i in range(begin + checksum[1], self.position))
        made = checksums.make(covered, checksum[0])
        self.value.expected[1].set(made, sure)
        return made

    def expect_checksum(self):
        t, f = self.topic_state, self.frames
        if f.at(lambda i: self.window.at(self.first + i), self.position, self.length):
            self.expect(f.begin, f.checksum, 14)
        if t.checksum_trust and self.position == checksums.place(self.length, t.checksum):
            self.checksum = self.expect(0, t.checksum, t.checksum_trust)

    def byte_begin(self):
        binary = self.form != TEXT
        if binary:
            self.expect_checksum()
            c = self.container
            self.packed.prepare(self.position, hash3(c.key, c.role, c.at) & 255 if self.contained() else None)
            self.aligned = self.packed.last.copy()
            x = self.packed_contexts()
        else:
            self.text.prepare(self.fast)
            x = self.text_contexts()
        kind = 3 if self.contained() else 2 if binary else int(self.text.last_is_number)
        self.contexts.begin(kind, self.fast,
                            [hash2(h + i * 0x3c6ef372, i + (101 if binary else 1)) for i, h in enumerate(x)])

    def bit(self, coder, node, bits, wanted):
        t, w, value = self.text, self.window, self.value
        binary, contained, fast = self.form != TEXT, self.contained(), self.fast
        inputs = self.contexts.predict(node, bits)
        votes = []
        for r, reference in enumerate((self.aligned, None if binary else t.last, self.long, self.short)):
            two, vote = reference.predict(w, node, bits, binary, self.maps[r]) if reference else ((0, 0), 0)
            inputs += two
            votes.append(vote)
        expected = []
        for k in range(2):
            if binary:
                e = value.expected[k]
                two, vote = e.predict(node, bits, e.byte() == self.packed.last.byte(w))
            else:
                two, vote = t.predict_expected(k, node, bits)
            inputs += two
            expected.append(vote)
        if not binary:
            inputs += t.predict_digit(node, bits)
        elif fast:
            inputs += [0] * 8
        elif value.open and value.size:
            inputs += value.predict(node, bits)
        else:
            inputs += self.packed.predict(node, bits)
        inputs += [256] + [0] * (INPUTS - 66)

        kind = 4 if contained else 3 if binary else 2 if t.in_string else int(t.last_is_number)
        against = 0 if votes[3] == 0 else 2 if (votes[3] > 0) != (votes[2] > 0) else 1
        own = 0 if votes[1] == 0 else 2 if t.last.agreed else 1
        aligned, match = strength(votes[0], 8), strength(votes[2], 12)
        near = not binary and t.weighed
        if binary and value.open and value.size:
            last = 216 + 2 * value.choices + (bits > 3)
        elif binary and expected[1]:
            last = 248 + expected[0] * 2 + expected[1] - 1
        elif binary:
            last = 256 + (self.history & 255)
        else:
            last = (expected[0] * 3 + expected[1]) * 24 + bits * 3 + min(2, t.decimals)
        select = [
            node + 256 * (binary + contained),
            (aligned * 27 + own * 9 + match * 3 + against) * 8 + bits,
            (kind * 8 + bits) * 16 + (min(15, self.position) if binary
                                      else (t.diverged & 7) * 2 + (t.expected[0].diverged != 0)),
            256 + self.packed.column + 256 * contained if binary else t.field & 255,
            1024 + (t.place * 4 + t.steady) * 8 + bits if near
            else binary * 512 + (self.index & 15) * 32 + min(3, self.position if binary else t.value_at) * 8 + bits,
            last,
            (binary * 9 + aligned * 3 + match) * 8 + bits]
        lasts = not binary and t.last.on
        shadow = t.last.byte(w) if lasts else self.long.byte(w)
        shadow = (self.long.on or lasts) * 512 + ((shadow ^ node ^ t.diverged << 4) & 511)
        p = self.mixer.predict(fast, select, kind * 8 + bits, (node, shadow), inputs)
        bit = coder.bit(p, wanted)
        surprise = self.mixer.update(bit)
        self.contexts.update(node, bits, bit, surprise)
        self.aligned.update(bit)
        if binary:
            for e in value.expected:
                e.update(bit)
        else:
            t.last.update(bit)
            t.update(bit)
        self.long.update(bit)
        self.short.update(bit)
        return bit

    def place_of_next(self):
        return self.container.index() if self.contained() else self.position

    def byte(self, coder, wanted=None):
        """Codes one byte; wanted: the byte, where it is known."""
        self.byte_begin()
        node = 1
        for bits in range(8):
            node = node << 1 | self.bit(coder, node, bits, None if wanted is None else wanted >> 7 - bits & 1)
        c, w = node & 255, self.window
        self.contexts.end(c)
        if self.form == TEXT:
            self.text.follow(c)
            self.aligned.follow_text(w, self.text.armored, c)
            self.long.follow_text(w, self.text.armored, c)
        else:
            self.packed.follow(c)
            self.long.follow_binary(w, c)
        self.short.follow_match(w, c)
        self.history = (self.history << 8 | c) & M64
        w.put(c, False)
        self.position += 1
        if self.contained():
            self.container_byte(c)
        elif self.form == PACKED:
            self.value.byte(c)
            self.learn_stride()
            self.packed.align(self.position)
        else:
            self.text.parse(c, self.position)
        self.find_matches()
        return c

    def container_byte(self, c):
        item = self.container
        string = self.form == PROTOBUF and item.role == BYTES and item.at + 1 == item.size
        key, size = item.key, item.size
        self.value.byte(c)
        item.byte(c)
        if string and not item.nested[key & 255] and size <= 256:
            data = bytes(self.window.at(self.window.head - size + i) for i in range(size))
            item.nested[key & 255] = 2 if is_protobuf(data) else 1
        if item.began:
            self.item_begin()
        elif item.at == 0:
            self.value.idle()

    def item_begin(self):
        item, last, w = self.container, self.packed.last, self.window
        place = self.text.lookup(item.key)
        if w.holds(place):
            inside = last.begin != last.end and last.begin <= place < last.end
            if not inside or last.place != place:
                last.start(w, place, last.end - place if inside else item.length, 0)
        if item.role in (VARINT, UINT, FLOAT):
            self.value.begin(item.key, item.size, item.role == FLOAT)

    def learn_stride(self):
        t, at = self.topic_state, self.position
        pair = (self.history & 255 ^ (self.history >> 8 & 255) * 37) & 255
        if at < 2:
            return
        distance = at - self.pair_at[pair]
        if self.pair_at[pair] and 1 < distance < 80:
            if t.stride == distance:
                t.stride_trust += t.stride_trust < 60
            elif t.stride_trust == 0:
                t.stride, t.stride_trust = distance, 2
            elif at % 3 == 0:
                t.stride_trust -= 1
        self.pair_at[pair] = at & 0xffff

    def agreement(self, place, most):
        n, w = 0, self.window
        while n < most and w.at(place - 1 - n) == w.at(w.head - 1 - n):
            n += 1
        return n

    def find_matches(self):
        w = self.window
        six = spread(hash2(self.history & M32, self.history >> 32 & 0xffff), self.sizes.matches)
        three = spread(hash2(self.history & 0xffffff, 99), self.sizes.matches)
        place = self.six.get(six, 0)
        if (not self.long.on or self.long.agreed < 8) and w.holds(place):
            n = self.agreement(place, 48)
            if n >= 6 and n > self.long.agreed:
                self.long.start(w, place, 0, n)
        place = self.three.get(three, 0)
        if not self.short.on and w.holds(place):
            n = self.agreement(place, 16)
            if n >= 3:
                self.short.start(w, place, 0, n)
        self.six[six] = self.three[three] = w.head

    def end_contexts(self):
        """[M-13]: six contexts and a set."""
        w, t, topic = self.window, self.text, self.topic_state
        same = int(topic.seen > 0 and self.position == topic.last_length)
        aligned = int(self.aligned.on and w.is_end(self.aligned.place))
        matched = int(self.long.on and w.is_end(self.long.place))
        outside = int(t.depth == 0 and not t.in_string)
        c2 = self.history & 0xffff
        return [hash3(self.index, same, outside * 2 + aligned),
                hash3(self.index, c2, same),
                aligned * 2 + matched + min(15, self.aligned.agreed) * 4 + min(15, self.long.agreed) * 64
                + same * 1024 + outside * 2048,
                hash3(self.index, min(1000, self.position), self.form),
                hash3(c2 & 255, outside, aligned + matched * 2),
                hash3(t.field, t.last.byte(w), int(t.last.on and w.is_end(t.last.place)))
                ], same + aligned * 2 + matched * 4 + outside * 8
