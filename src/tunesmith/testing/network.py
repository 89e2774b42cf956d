"""A network that can be cut, for tests of what is at its other end."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Network:
    """What is between a client and the server; where it is cut, neither is told... but the client's host knows."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._left: int | None = None
        self.cuts = 0
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def cut_after(self, size: int) -> None:
        """Cut it when so many more bytes have passed, in either direction."""
        self._left = size

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [client, there]
                for source, target in ((client, there), (there, client)):
                    threading.Thread(
                        target=self._pass, args=(source, target, client), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, target: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._left is not None:
                    self._left -= len(data)
                    if self._left < 0:
                        self._left = None
                        self.cuts += 1
                        client.shutdown(socket.SHUT_RDWR)  # and the server waits
                        return
                target.sendall(data)

    def close(self) -> None:
        for end in [self._listener, *self._ends]:
            end.close()
