"""[C-4] records as steps."""
from .basics import Coder, Encoder, Known, M32, M64, hash2, hash3
from .containers import is_cbor, is_protobuf
from .payload import (PACKED, PSEUDO_HOPS, PSEUDO_PROPERTIES, PSEUDO_ROUTE, PSEUDO_TOPIC, Payload, TEXT)
from .symbols import Strands, Symbols

(UNIT_END, USUAL, TYPE, CLASS, PREVIOUS_KNOWN, PREVIOUS, NUMBER_HOW, NUMBER, SLOT_NEW, STRAND, SLOT, FLAGS_SAME, FLAGS,
 ORIGIN, EXPIRY, PROPS_LENGTH, FORM, TOTAL, LENGTH, CHUNK_KNOWN, CHUNK_NUMBER, OFFSET, GAP_SPAN, GAP_COUNT, GAP_REASON,
 GAP_FROM, GAP_TO, STEPS) = range(28)
BITS = {UNIT_END: 1, USUAL: 1, TYPE: 3, CLASS: 2, PREVIOUS_KNOWN: 1, NUMBER_HOW: 2, SLOT_NEW: 1, STRAND: 5, SLOT: 12,
        FLAGS_SAME: 1, FLAGS: 8, FORM: 5, CHUNK_KNOWN: 1, GAP_REASON: 4}
MESSAGE, CHUNK, TOPIC, GAP, ABORT, RESET = range(6)
SLOTS, NO_SLOT, TEXT_STRAND, STORED = 4096, 0xffff, 31, 7


def zigzag(v):
    v &= M64
    return (v << 1 ^ (M64 if v >> 63 else 0)) & M64


def unzigzag(v):
    return v >> 1 ^ (M64 if v & 1 else 0)


def int64(v):
    return (v + (1 << 63) & M64) - (1 << 63)


class Slot:
    def __init__(self):
        self.origin = self.period = self.expiry = self.flags = self.form = self.seen = 0
        self.protobuf = self.cbor = 0  # [C-4.6]
        self.strands = [0] * 4


class Records:
    def __init__(self, memory):
        slots = max(256, min(4096, memory >> 10))
        counters = max(1024, min(65536, memory >> 8))
        self.slot_count, self.slots = slots, {}
        self.symbols = Symbols(counters)
        self.payload = Payload(memory - (slots * 40 + 63 & ~63) - (counters * 24 + 63 & ~63) - 14336)
        self.strands = Strands()
        self.last, self.highest = [0] * 4, 0
        self.partial = [None] * 4  # number, bytes so far, slot
        self.type, self.klass = MESSAGE, 2
        self.recent = [0] * 3
        self.named_slot = self.next_slot = 0
        self.origin = self.origin_step = self.gap_s = self.last_length = 0
        self.unit_records = self.unit_last = 0
        self.flags = self.slot_index = self.strand = 0

    # asking

    def slot(self):
        return self.slots.setdefault(self.slot_index % self.slot_count, Slot())

    def contexts(self, step, r):
        slot, recent = self.slot(), self.recent
        if step == UNIT_END:
            at = self.coder.shifts()
            return [0, self.unit_records, at // 4, int(self.unit_records >= self.unit_last), hash2(self.type, self.klass), int(at >= 220)]
        if step in (USUAL, TYPE, CLASS):
            return [0, self.type, hash2(self.type, self.klass), hash3(recent[0], self.type, 1),
                    hash3(recent[0], recent[1], self.type), hash3(r.type, r.klass, self.klass)]
        if step == SLOT_NEW:
            return [hash2(self.type, r.type), r.type, hash3(self.type, recent[0], r.type)]
        if step == STRAND:
            return self.strands.contexts(recent)
        if step == SLOT:
            if r.type == TOPIC:
                return [0, 0, 0, 0, self.next_slot]
            own = self.strands.strand[self.strand].recent
            return [hash3(own[0], self.strand, 1), hash3(own[0], own[1], 2), hash3(hash2(own[0], own[1]), own[2], 3),
                    hash3(hash3(*own[:3]), hash3(*own[3:]), 4), hash3(recent[0], self.strand, 5), hash2(self.strand, 6)]
        if step in (FLAGS_SAME, FLAGS):
            return [0, self.slot_index, slot.flags, hash2(slot.seen, r.klass), self.flags]
        if step == ORIGIN:
            due = slot.origin + slot.period - self.origin if slot.origin else self.origin_step
            return [hash2(recent[0], self.slot_index), self.slot_index, self.origin_step, due, hash2(due, self.slot_index),
                    hash2(self.origin_step, self.slot_index)]
        if step in (EXPIRY, PROPS_LENGTH):
            return [0, self.slot_index, slot.expiry]
        if step == FORM:
            return [r.type, hash2(self.slot_index, r.type), slot.form, hash2(self.slot_index, slot.form)]
        if step in (TOTAL, LENGTH):
            t = self.payload.topic(self.payload.topic_of(self.slot_index))
            return [r.type, hash2(self.slot_index, self.form), hash3(self.slot_index, t.last_length, self.form),
                    hash3(self.slot_index, recent[0], t.last_length),
                    hash3(self.slot_index, t.last_length, t.before_length), self.last_length]
        return [0, r.klass, hash2(r.klass, self.type), r.type]

    def ask(self, step, r, wanted=None):
        """wanted: of the record that is known, in priming; else None."""
        c = [h & M32 for h in self.contexts(step, r)]
        return self.symbols.value(self.coder, step, BITS.get(step, 0), c + [0] * (6 - len(c)), wanted)

    def string(self, index, form, fast, length, known):
        """[C-4.4] length None: text that tells its end."""
        if form == STORED:
            data = bytes(self.coder.even(known[i] if known is not None else None) for i in range(length))
            self.payload.store(index, data)
            return data
        m = self.payload
        m.begin(index, form, fast, M32 if length is None else length)
        if length is None:
            out = bytearray()
            while True:
                contexts, number = m.end_contexts()
                ends = None if known is None else int(len(out) == len(known))
                if self.symbols.bit(self.coder, STEPS + number, 0, contexts, 18, ends):
                    break
                out.append(m.byte(self.coder, None if known is None else known[len(out)]))
        else:
            out = bytearray(length)
            for _ in range(length):
                at = m.place_of_next()
                out[at] = m.byte(self.coder, None if known is None else known[at])
        m.end()
        return bytes(out)

    def pseudo(self, which, known):
        return self.string(self.payload.pseudo(which), TEXT, False, None, known)

    # records

    def unit(self, data):
        """The records of a unit."""
        self.coder, records = Coder(data), []
        while True:
            r = self.record(None)
            if r is None:
                return records
            records.append(r)

    def encode(self, records):
        """A unit of records that are known."""
        self.coder = Encoder()
        for k in records:
            self.record(k)
        self.ask(UNIT_END, Record(), 1)
        self.unit_last, self.unit_records = self.unit_records, 0
        return self.coder.flush()

    def prime(self, known):
        """[C-4.5]"""
        self.coder = Known()
        self.record(known)
        self.unit_records = 0

    def forget_numbers(self):
        """[C-4.5], behind the primer"""
        self.last, self.highest, self.partial = [0] * len(self.last), 0, [None] * len(self.partial)

    def record(self, k):
        """The next record, or None at the unit's end. k: the record, where it is known."""
        r = Record()
        self.wanted_form = k and self.choose(k)
        if self.ask(UNIT_END, r, k and 0):
            self.unit_last, self.unit_records = self.unit_records, 0
            return None
        usual = k and int(k.type == MESSAGE and k.klass == self.klass and k.previous == self.last[k.klass]
                          and k.number == k.previous + 1)
        if self.ask(USUAL, r, usual):
            r.type, r.klass, r.previous = MESSAGE, self.klass, self.last[self.klass]
            r.number = r.previous + 1
            self.message(r, k)
        else:
            r.type = self.ask(TYPE, r, k and k.type)
            if r.type == TOPIC:
                self.take_slot(r, k, self.new_slot(r) if self.ask(SLOT_NEW, r, k and int(k.slot == self.new_slot(r)))
                               else self.ask(SLOT, r, k and k.slot))
                r.topic = self.pseudo(PSEUDO_TOPIC, k and k.topic)
                self.slots[self.slot_index % self.slot_count] = Slot()
                self.slot().strands = self.strands.name(r.topic)
                self.payload.name(self.payload.topic_of(self.slot_index), r.topic)
                self.named_slot, self.next_slot = r.slot, r.slot + 1
            elif r.type == RESET:
                self.next_slot = 0
            else:
                r.klass = self.ask(CLASS, r, k and k.klass)
                if r.type == CHUNK:
                    self.chunk(r, k)
                else:
                    self.numbers(r, k)
                    if r.type == MESSAGE:
                        self.message(r, k)
                    elif r.type == GAP:
                        self.gap(r, k)
        self.done(r)
        return r

    def numbers(self, r, k):
        r.previous = self.last[r.klass]
        if not self.ask(PREVIOUS_KNOWN, r, k and int(k.previous == r.previous)):
            r.previous = r.previous + unzigzag(self.ask(PREVIOUS, r, k and zigzag(k.previous - r.previous))) & M64
        far = k and (0 if k.number == k.previous + 1 else 1 if k.number == self.highest + 1 else 2)
        how = self.ask(NUMBER_HOW, r, far)
        r.number = (r.previous + 1 if how == 0 else self.highest + 1 if how == 1
                    else r.previous + 1 + self.ask(NUMBER, r, k and k.number - k.previous - 1))

    def new_slot(self, r):
        return self.next_slot % SLOTS if r.type == TOPIC else self.named_slot

    def take_slot(self, r, k, v):
        r.slot = self.slot_index = v

    def message(self, r, k):
        m = self.payload
        strand = k and (TEXT_STRAND if k.slot == NO_SLOT
                        else self.slots.get(k.slot % self.slot_count, Slot()).strands[self.strands.levels])
        if self.type == TOPIC and self.ask(SLOT_NEW, r, k and int(k.slot == self.named_slot)):
            self.take_slot(r, k, self.named_slot)
        else:
            self.strand = self.ask(STRAND, r, strand)
            if self.strand == TEXT_STRAND:
                r.slot, self.slot_index = NO_SLOT, SLOTS
                r.topic = self.pseudo(PSEUDO_TOPIC, k and k.topic)
                self.slot_index = topic_index(r.topic)
                m.name(m.topic_of(self.slot_index), r.topic)
            else:
                self.take_slot(r, k, self.ask(SLOT, r, k and k.slot))
        slot = self.slot()
        flags = k and k.flags()
        self.flags = (slot.flags if self.ask(FLAGS_SAME, r, k and int(flags == slot.flags)) else self.ask(FLAGS, r, flags))
        slot.flags = self.flags
        r.qos, r.retain = self.flags & 3, self.flags >> 2 & 1
        if self.flags & 8:
            self.take_origin(r, k)
        if self.flags & 32:
            slot.expiry = slot.expiry + unzigzag(self.ask(EXPIRY, r, k and zigzag(k.expiry - slot.expiry))) & M64
            r.expiry = slot.expiry
        if self.flags & 64:
            n = self.ask(PROPS_LENGTH, r, k and len(k.props))
            r.props = self.string(m.pseudo(PSEUDO_PROPERTIES), PACKED, False, n, k and k.props)
        if self.flags & 128:
            r.hops = self.pseudo(PSEUDO_HOPS, k and k.hops)
        self.bytes(r, k)
        self.recent = [self.slot_index + 1] + self.recent[:2]
        self.strands.add(TEXT_STRAND if r.slot == NO_SLOT else slot.strands[self.strands.levels], self.slot_index)
        slot.seen = 1
        if self.form & 7 != STORED and len(r.data) == r.total:
            self.learn_past(slot, r.data)
        self.partial[r.klass] = (r.number, len(r.data), self.slot_index) if len(r.data) < r.total else None

    def take_origin(self, r, k):
        slot, in_ms = self.slot(), self.flags & 16
        unit, r.in_ms = (1, 1) if in_ms else (1000, 0)
        base = self.origin // unit
        r.origin = int64(base + unzigzag(self.ask(ORIGIN, r, k and zigzag(k.origin // unit - base)))) * unit
        slot.period = r.origin - slot.origin if slot.origin else 0
        self.origin_step = r.origin - self.origin
        slot.origin = self.origin = r.origin

    def bytes(self, r, k):
        """The payload, or a piece of it."""
        index = self.payload.topic_of(self.slot_index)
        self.form = self.ask(FORM, r, self.wanted_form)
        self.slot().form = self.form
        form, piece, fast, length = self.form & 7, self.form & 8, bool(self.form & 16), None
        if r.type == MESSAGE and piece:
            r.total = self.ask(TOTAL, r, k and k.total)
        if form != TEXT or piece:
            length = self.ask(LENGTH, r, k and len(k.data))
        r.data = self.string(index, form, fast, length, k and k.data)
        self.last_length = len(r.data)
        if r.type == MESSAGE and not piece:
            r.total = len(r.data)

    def chunk(self, r, k):
        going = self.partial[r.klass]
        if self.ask(CHUNK_KNOWN, r, k and int(going is not None and going[:2] == (k.number, k.offset))):
            r.number, r.offset, self.slot_index = going
        else:
            r.number = self.last[r.klass] + unzigzag(self.ask(CHUNK_NUMBER, r, k and zigzag(k.number - self.last[r.klass]))) & M64
            r.offset = self.ask(OFFSET, r, k and k.offset)
            self.slot_index = 0
        self.bytes(r, k)
        self.partial[r.klass] = r.number, r.offset + len(r.data), self.slot_index

    def gap(self, r, k):
        r.first = r.number - self.ask(GAP_SPAN, r, k and k.number - k.first)
        whole = r.number - r.first + 1
        r.count = whole - unzigzag(self.ask(GAP_COUNT, r, k and zigzag(whole - k.count))) & M64
        r.reason = self.ask(GAP_REASON, r, k and k.reason)
        r.since = self.gap_s = int64(self.gap_s + unzigzag(self.ask(GAP_FROM, r, k and zigzag(k.since - self.gap_s))))
        r.until = self.gap_s = int64(self.gap_s + unzigzag(self.ask(GAP_TO, r, k and zigzag(k.until - self.gap_s))))
        r.route = self.pseudo(PSEUDO_ROUTE, k and k.route)

    def done(self, r):
        if r.type in (MESSAGE, GAP, ABORT):
            self.last[r.klass] = r.number
            self.highest = max(self.highest, r.number)
        if r.type == ABORT:
            self.partial[r.klass] = None
        self.type = r.type
        if r.type not in (TOPIC, RESET):
            self.klass = r.klass
        self.unit_records = min(255, self.unit_records + 1)

    # [C-4.6] the choice of the form, which both ends make alike where they prime

    def choose(self, k):
        data, at = k.data, k.slot
        if k.type == CHUNK:
            at = self.partial[k.klass][2] if self.partial[k.klass] else 0
        elif at == NO_SLOT:
            at = topic_index(k.topic)
        slot, index = self.slots.get(at % self.slot_count, Slot()), self.payload.topic_of(at)
        piece = k.type == CHUNK or len(data) < k.total
        if is_text(data):
            form = TEXT
        elif len(data) >= 6 and slot.protobuf >= 0 and is_protobuf(data) and not piece:
            form = 2
        elif len(data) >= 6 and slot.cbor >= 0 and is_cbor(data) and not piece:
            form = 3
        else:
            form = STORED if looks_random(data) and not self.payload.repeats(index, data) else PACKED
        return form | 8 * piece

    @staticmethod
    def learn_past(slot, data):
        if not is_text(data):
            slot.protobuf = min(8, slot.protobuf + 1) if is_protobuf(data) else -8
            slot.cbor = min(8, slot.cbor + 1) if is_cbor(data) else -8


def topic_index(text):
    h = 0
    for c in text:
        h = hash2(h, c)
    return h % SLOTS


def is_text(data):
    if any((c < 32 and c not in (9, 10, 13)) or c == 127 for c in data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def looks_random(data):
    n = len(data)
    pairs = sum(data.count(c) * (data.count(c) - 1) // 2 for c in set(data))
    return n >= 100 and pairs * 512 < n * (n - 1) * 3 // 2


class Record:
    def __init__(self, **fields):
        self.type = self.klass = self.number = self.previous = self.slot = self.qos = self.retain = 0
        self.origin = self.expiry = None
        self.in_ms = False
        self.topic = self.props = self.hops = self.data = self.route = b""
        self.total = self.offset = self.first = self.count = self.reason = self.since = self.until = 0
        self.__dict__.update(fields)

    def flags(self):
        return (self.qos | self.retain << 2 | (self.origin is not None) << 3 | self.in_ms << 4
                | (self.expiry is not None) << 5 | bool(self.props) << 6 | bool(self.hops) << 7)
