"""Small servers of streams on this machine, for tests: MJPEG over HTTP, and MPEG-TS over RTSP (RFC 2326, RFC 2250)."""

from __future__ import annotations

import io
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction

import av
import cv2
import numpy as np

TS_PACKET, PACKETS = 188, 7  # bytes of one, and how many an RTP packet holds
BOUNDARY = b"frame"
SDP = "\r\n".join([
    "v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=belt", "c=IN IP4 127.0.0.1", "t=0 0", "m=video 0 RTP/AVP 33",
    "a=control:track1", "",
])  # fmt: skip

Serve = Callable[[socket.socket, int], None]  # a connection, and its number from 0


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """Serve connections on a free port, each in a thread. Yields the port."""
    numbers = iter(range(10_000))

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the client has gone
                serve(self.request, next(numbers))

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    with Server(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield int(one.server_address[1])
        finally:
            one.shutdown()
            thread.join()


def jpeg(value: int, width: int = 64, height: int = 48) -> bytes:
    """A grey picture as a JPEG."""
    done, content = cv2.imencode(".jpg", np.full((height, width, 3), value, np.uint8))
    assert done
    return content.tobytes()


def mjpeg(connections: Sequence[Sequence[bytes]], interval_s: float) -> Serve:
    """Each connection gets its pictures, then is closed; from the last one on all get those of the last."""

    def serve(client: socket.socket, number: int) -> None:
        client.recv(65536)
        kind = b"multipart/x-mixed-replace; boundary=" + BOUNDARY
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n")
        for picture in connections[min(number, len(connections) - 1)]:
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
            client.sendall(b"--" + BOUNDARY + b"\r\n" + head + picture + b"\r\n")
            time.sleep(interval_s)

    return serve


def rtsp(values: Sequence[int], interval_s: float) -> Serve:
    """Each connection gets grey pictures of these values, then is closed."""
    packets = list(_transport_stream(values))

    def serve(client: socket.socket, number: int) -> None:
        for request in _requests(client):
            method, _, _ = request.partition(" ")
            count = next(line for line in request.split("\r\n") if line.lower().startswith("cseq"))
            more, body = "", ""
            if method == "OPTIONS":
                more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                more, body = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n", SDP
            elif method == "SETUP":
                more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            client.sendall(f"RTSP/1.0 200 OK\r\n{count}\r\n{more}\r\n{body}".encode())
            if method == "PLAY":
                break
        place = 0
        for frame, content in enumerate(packets):
            for begin in range(0, len(content), TS_PACKET * PACKETS):
                payload = content[begin : begin + TS_PACKET * PACKETS]
                head = struct.pack(">BBHII", 0x80, 33, place & 0xFFFF, int(frame * interval_s * 90_000), 1)
                client.sendall(struct.pack(">cBH", b"$", 0, len(head) + len(payload)) + head + payload)
                place += 1
            time.sleep(interval_s)

    return serve


def _requests(client: socket.socket) -> Iterator[str]:
    waiting = b""
    while received := client.recv(65536):
        waiting += received
        while b"\r\n\r\n" in waiting:
            request, _, waiting = waiting.partition(b"\r\n\r\n")
            yield request.decode()


def _transport_stream(values: Sequence[int]) -> Iterator[bytes]:
    """MPEG-2 frames in a transport stream, each a key frame: the bytes of each frame."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 1
        for k, value in enumerate(values):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
            yield _taken(buffer)
        container.mux(stream.encode())
    yield _taken(buffer)


def _taken(buffer: io.BytesIO) -> bytes:
    content = buffer.getvalue()
    whole = len(content) - len(content) % TS_PACKET
    buffer.seek(0)
    buffer.truncate()
    buffer.write(content[whole:])
    return content[:whole]
