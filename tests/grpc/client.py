"""Calls the server of this folder through the gateway, and prints what came of each call."""

import sys

import grpc

address, token = sys.argv[1:]
channel = grpc.insecure_channel(address)
proof = (("authorization", "Bearer " + token),)


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        return f"{error.code().name} {error.details().split(':')[0]}"
    return "not refused"


print("unary:", channel.unary_unary("/shop.Orders/Unary")(b"hello", metadata=proof, timeout=20))
print("messages:", len(list(channel.unary_stream("/shop.Orders/Stream")(b"1000", metadata=proof, timeout=20))))
sent = iter([b"a", b"b", b"c"])
print("bidi:", list(channel.stream_stream("/shop.Orders/Bidi")(sent, metadata=proof, timeout=20)))
print("fails:", refused(lambda: channel.unary_unary("/shop.Orders/Fail")(b"", metadata=proof, timeout=20)))
print("refused:", refused(lambda: channel.unary_unary("/shop.Orders/Unary")(b"", timeout=20)))
print("unknown:", refused(lambda: channel.unary_unary("/shop.Other/Unary")(b"", metadata=proof, timeout=20)))
