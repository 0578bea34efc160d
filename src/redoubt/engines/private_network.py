"""Runs a program in a network namespace of its own: nothing outside reaches its ports, and it reaches nothing outside.

The caller gets a listening socket of that network, through which it can serve the program: `python -I -S
private_network.py CONTROL PORT PROGRAM ARGUMENT…`. CONTROL is an inherited unix socket: the listening socket on
127.0.0.1:PORT comes through it, and the program is killed when the other end is closed, as by the caller's death.

Root needs CAP_SYS_ADMIN for this; other users need a system that lets them make user namespaces. An engine that listens
looks for an interface beside the loopback, so a pair of virtual ones is made, which lead only to each other. This file
imports only the standard library.

The system calls and messages: network_namespaces(7), rtnetlink(7), netdevice(7), prctl(2).
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import functools
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys

_NEW_NETWORK, _NEW_USERS = 0x40000000, 0x10000000
_DEATH_SIGNAL = 1
_SET_FLAGS, _SET_ADDRESS, _SET_MASK, _GET_FLAGS = 0x8914, 0x8916, 0x891C, 0x8913
"""Requests of netdevice(7)."""
_UP = 1
_NEW_LINK = 16
_REQUEST_CREATE = 0x1 | 0x4 | 0x200 | 0x400
"""NLM_F_REQUEST, ACK, EXCL and CREATE."""
_NAME, _LINK_INFO, _KIND, _DATA, _PEER = 3, 18, 1, 2, 1
_ERROR = 2
_NEAR, _FAR = "redoubt0", "redoubt1"
_ADDRESS, _NETMASK = "192.0.2.1", "255.255.255.0"
"""An address that is for examples, so that nobody has it (RFC 5737)."""
_IFREQ = struct.Struct("16s24s")


@functools.cache
def private_networks_work() -> str:
    """Why this process cannot run a program like this, empty if it can; tried once, in a child that ends at once."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        tried = in_private_network(theirs.fileno(), 1, [])
        done = subprocess.run(tried, capture_output=True, check=False, pass_fds=[theirs.fileno()])
    return "" if done.returncode == 0 else done.stderr.decode(errors="replace").strip()


def in_private_network(control: int, port: int, command: list[str]) -> list[str]:
    """The command that runs `command` in a network of its own. `control` is a descriptor to be inherited."""
    return [sys.executable, "-I", "-S", __file__, str(control), str(port), *command]


def received_socket(control: socket.socket) -> socket.socket:
    """The listening socket in the program's network. Raises OSError if the launcher ended instead."""
    size = array.array("i").itemsize
    data, ancillary, _flags, _address = control.recvmsg(1, socket.CMSG_LEN(size))
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            return socket.socket(fileno=array.array("i", content[:size])[0])
    raise OSError(f"the launcher ended without a network{'' if data else ' (no answer)'}")


def _enter() -> None:
    """Move this process into a network of its own. Raises OSError."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) != 0:
        _check(libc.unshare(_NEW_USERS | _NEW_NETWORK), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        _put_up(asking, "lo")
        _make_pair()
        _give_address(asking, _NEAR)
        for name in (_NEAR, _FAR):
            _put_up(asking, name)


def _make_pair() -> None:
    """Make two interfaces that lead to each other."""
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    peer = link + _attribute(_NAME, _FAR.encode() + b"\0")
    kind = _attribute(_KIND, b"veth") + _attribute(_DATA, _attribute(_PEER, peer))
    body = link + _attribute(_NAME, _NEAR.encode() + b"\0") + _attribute(_LINK_INFO, kind)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(body), _NEW_LINK, _REQUEST_CREATE, 1, 0) + body)
        answer = kernel.recv(4096)
    kind_of_answer, number = struct.unpack_from("=4xH10xi", answer)
    if kind_of_answer == _ERROR and number:
        raise OSError(-number, f"cannot make an interface: {os.strerror(-number)}")


def _attribute(kind: int, content: bytes) -> bytes:
    size = 4 + len(content)
    return struct.pack("=HH", size, kind) + content + bytes(-size % 4)


def _give_address(asking: socket.socket, name: str) -> None:
    for request, text in ((_SET_ADDRESS, _ADDRESS), (_SET_MASK, _NETMASK)):
        address = struct.pack("=HH4s16x", socket.AF_INET, 0, socket.inet_aton(text))
        fcntl.ioctl(asking, request, _IFREQ.pack(name.encode(), address))


def _put_up(asking: socket.socket, name: str) -> None:
    answer = fcntl.ioctl(asking, _GET_FLAGS, _IFREQ.pack(name.encode(), b""))
    (flags,) = struct.unpack_from("=16xh", answer)
    fcntl.ioctl(asking, _SET_FLAGS, _IFREQ.pack(name.encode(), struct.pack("=h", flags | _UP)))


def _hand_out(control: socket.socket, port: int) -> None:
    """Listen in this network, and give the socket to the caller."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        rights = array.array("i", [listening.fileno()])
        control.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def _keep(control: socket.socket, command: list[str]) -> int:
    """Run the program until it ends, or the caller does; the exit status."""
    launcher = os.getpid()

    def die_with_us() -> None:
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != launcher:  # it was killed before the kernel knew
            os._exit(1)

    woken, waker = socket.socketpair()
    waker.setblocking(False)  # noqa: FBT003
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    started, told = list[subprocess.Popen[bytes]](), list[int]()

    def terminate(number: int, _frame: object) -> None:
        told.append(number)
        for each in started:
            each.terminate()

    signal.signal(signal.SIGTERM, terminate)  # before the start: else it would end this process alone
    process = subprocess.Popen(command, preexec_fn=die_with_us)  # noqa: PLW1509 - this process has one thread
    started.append(process)
    if told:
        process.terminate()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while process.poll() is None:
            for key, _ in selector.select():
                if key.fileobj is control:
                    process.kill()
                    process.wait()
                    break
                woken.recv(64)
    return 128 - process.returncode if process.returncode < 0 else process.returncode


def _check(result: int, what: str) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def main() -> None:
    """Move this process into a network of its own, and run the program there, if one is named."""
    control = socket.socket(fileno=int(sys.argv[1]))
    try:
        _enter()
        _hand_out(control, int(sys.argv[2]))
    except OSError as error:
        sys.exit(f"cannot give the engine a network of its own: {error}")
    if sys.argv[3:]:
        os.set_inheritable(control.fileno(), False)  # noqa: FBT003
        sys.exit(_keep(control, sys.argv[3:]))


if __name__ == "__main__":
    main()
