"""A client of the bare protocol: reads as fast as it can and looks at nothing."""

import hashlib
import socket
import struct

from . import USER, DATABASE

TAIL = b"Z\0\0\0\5I"


class Reader:
    def __init__(self, port, password):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = None
        body = struct.pack("!i", 196608)
        for word in ("user", USER, "database", DATABASE, ""):
            body += word.encode() + b"\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.log_in(password)

    def log_in(self, password):
        while True:
            tag, body = self.frame()
            if tag == b"E":
                raise SystemExit(f"login: {body}")
            if tag == b"Z":
                return
            if tag == b"R":
                kind = struct.unpack("!i", body[:4])[0]
                if kind == 3:
                    self.say(b"p", password.encode() + b"\0")
                elif kind == 5:
                    inner = hashlib.md5((password + USER).encode()).hexdigest().encode()
                    self.say(b"p", b"md5" + hashlib.md5(inner + body[4:8]).hexdigest().encode() + b"\0")
                elif kind != 0:
                    raise SystemExit(f"login: authentication method {kind} is not known here")

    def say(self, tag, body):
        self.socket.sendall(tag + struct.pack("!i", len(body) + 4) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise SystemExit("the connection was closed")
            data += piece
        return data

    def frame(self):
        tag = self.exactly(1)
        return tag, self.exactly(struct.unpack("!i", self.exactly(4))[0] - 4)

    def fetch(self, statement, keep=None):
        """Bytes of the whole answer; it ends where the stream ends in ReadyForQuery (text values hold no zero bytes). `keep`: a place for them."""
        self.say(b"Q", statement.encode() + b"\0")
        return self.answer(statement, keep)

    def answer(self, statement, keep=None):
        if self.buffer is None:
            self.buffer = bytearray(1 << 20)
        total, tail, first = 0, b"", True
        while not tail.endswith(TAIL):
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                raise SystemExit("the connection was closed")
            if first and self.buffer[:1] == b"E":
                raise SystemExit(f"{statement}: {bytes(self.buffer[:count])}")
            first = False
            total += count
            if keep is not None:
                keep += self.buffer[:count]
            tail = (tail + bytes(self.buffer[max(0, count - 6):count]))[-6:]
        return total

    def store(self, statement, data, piece=65536):
        """COPY FROM STDIN: the frames of a COPY TO STDOUT go back as they came."""
        self.say(b"Q", statement.encode() + b"\0")
        tag, body = self.frame()
        if tag != b"G":
            raise SystemExit(f"{statement}: {body}")
        view = memoryview(data)
        for start in range(0, len(view), piece):
            self.socket.sendall(view[start:start + piece])
        self.say(b"c", b"")
        self.answer(statement)
        return len(data)

    def close(self):
        self.socket.close()
