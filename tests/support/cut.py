"""A connection upon `fakenet` that ends after so many bytes. For both interpreters."""


class Cut:
    """Ends a connection by `end()` when the client has written, or been sent, so many bytes of TCP.

    `direction`: "write" or "arrives". `left`: bytes until then.
    """

    def __init__(self, sock, direction, count, end):
        self.left = count
        self._end = end
        self._plain = getattr(sock, direction)
        setattr(sock, direction, getattr(self, direction))
        self._clock = sock.network.clock
        if not count:
            end()

    def write(self, buf, *args):
        offset, n = args if len(args) == 2 else (0, args[0] if args else len(buf))
        count = self._plain(buf, offset, min(n, self.left) if self.left else n)
        self._count(count or 0)
        return count

    def arrives(self, data, delay=0):
        if delay:
            self._clock.at(delay, lambda: self.arrives(data))
        elif self.left:
            part = data[: self.left]
            self._plain(part)
            self._count(len(part))

    def _count(self, count):
        if self.left:
            self.left -= count
            if not self.left:
                self._end()


def first_cut(direction, count, ending):
    """(cuts, accepts): `accepts(sock)`, for a broker, cuts its first connection by this method of `sock`."""
    cuts = []

    def accepts(sock):
        if not cuts:
            cuts.append(Cut(sock, direction, count, getattr(sock, ending)))

    return cuts, accepts
