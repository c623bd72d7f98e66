"""Announces on the local segment what is not there: lan_liar.py OWN-ADDRESS foreign|elsewhere|services|flood"""
import socket, struct, sys, time

own, what = sys.argv[1:3]
GROUP = ("224.0.0.251", 5353)
NODES, WEB = "_meshline-node._tcp.local", "_http._tcp.local"


def name(labels):
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(owner, kind, body, flush=True):
    return owner + struct.pack(">HHIH", kind, 0x8001 if flush else 1, 4500, len(body)) + body


def announcement(service, instance, address, port, pairs):
    labels = service.split(".")
    full, host = name([instance] + labels), name([instance, "local"])
    text = b"".join(bytes([len(pair)]) + pair for pair in pairs) or b"\0"
    records = [
        record(name(labels), 12, full, flush=False),
        record(full, 33, struct.pack(">HHH", 0, 0, port) + host),
        record(full, 16, text),
        record(host, 1, socket.inet_aton(address)),
    ]
    return struct.pack(">HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def network(sock):
    """What the members announce as their network, as anybody can hear it."""
    question = struct.pack(">HHHHHH", 0, 0, 1, 0, 0, 0) + name(NODES.split(".")) + struct.pack(">HH", 12, 0x8001)
    for _ in range(50):
        sock.sendto(question, GROUP)
        sock.settimeout(0.2)
        try:
            while True:
                heard = sock.recv(9000)
                at = heard.find(b"\x12n=")
                if at >= 0:
                    return heard[at + 1 : at + 19]
        except TimeoutError:
            pass
    raise SystemExit("nobody says which network it is")


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("", 5353))
here = socket.inet_aton(own)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP[0]) + here)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)

tag = b"n=" + b"0" * 16 if what == "foreign" else network(sock)
count = {"foreign": 20, "elsewhere": 20, "services": 100, "flood": 4000}[what]
for number in range(count):
    member = b"m=%016d" % number
    address = "192.0.2.1" if what == "elsewhere" else own
    if what == "services":
        pairs = [b"key%d=" % key + b"x" * 240 for key in range(30)]
        packet = announcement(WEB, f"made up {number}", address, 80, pairs)
    else:
        packet = announcement(NODES, f"{what}-{number}", address, 9, [b"v=1", tag, member])
    sock.sendto(packet, GROUP)
    if number % 50 == 49:
        # The other side's socket holds few; it is to read them all.
        time.sleep(0.02)
print("said")
