"""A gRPC server without generated code: it prints its port, and ends with its standard input."""

import sys
from concurrent import futures

import grpc


def unary(request, context):
    return request


def stream(request, context):
    for at in range(int(request)):
        yield b"%d" % at


def bidi(requests, context):
    yield from requests


def collect(requests, context):
    return b"%d" % sum(1 for _ in requests)


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "none")


class Orders(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "/shop.Orders/Unary": grpc.unary_unary_rpc_method_handler(unary),
            "/shop.Orders/Stream": grpc.unary_stream_rpc_method_handler(stream),
            "/shop.Orders/Bidi": grpc.stream_stream_rpc_method_handler(bidi),
            "/shop.Orders/Collect": grpc.stream_unary_rpc_method_handler(collect),
            "/shop.Orders/Fail": grpc.unary_unary_rpc_method_handler(fail),
        }.get(details.method)


server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Orders(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(0)
