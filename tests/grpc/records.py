"""Calls through a gateway that counts messages, 500 in each direction, and prints what came of each call."""

import sys

import grpc

ingress, egress, token = sys.argv[1:]
proof = (("authorization", "Bearer " + token),)


def code(call):
    return call.code().name if call.code() == grpc.StatusCode.OK else f"{call.code().name} {call.details().split(':')[0]}"


def streamed(channel, path, count):
    call = channel.unary_stream(path)(b"%d" % count, metadata=proof, timeout=60)
    messages = []
    try:
        for message in call:
            messages.append(message)
    except grpc.RpcError:
        pass
    assert messages == [b"%d" % at for at in range(len(messages))]
    return f"{len(messages)} {code(call)}"


def sent(channel, path, count):
    call = channel.stream_unary(path).future(iter([b"x"] * count), metadata=proof, timeout=60)
    error = call.exception()
    return f"{call.result()} OK" if error is None else code(error)


vendor = grpc.insecure_channel(ingress)
print("vendor streams:", streamed(vendor, "/shop.Orders/Stream", 400))
print("vendor streams more:", streamed(vendor, "/shop.Orders/Stream", 1000))
service = grpc.insecure_channel(egress)
print("service sends:", sent(service, "/acme/shop.Orders/Collect", 499))
print("service asks a stream:", streamed(service, "/acme/shop.Orders/Stream", 1000))
print("service sends more:", sent(service, "/acme/shop.Orders/Collect", 50))
