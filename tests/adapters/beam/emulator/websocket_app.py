"""An application with websockets, as the emulator's tests upload it."""

CODE = """
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute


async def echo(websocket):
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await websocket.send_text(message["text"])
        else:
            await websocket.send_bytes(message["bytes"])
    if log := websocket.query_params.get("log"):
        Path(log).write_text(f"{message['code']} {message.get('reason', '')}")


async def double(websocket):
    await websocket.accept()
    while True:
        message = await websocket.receive_json()
        await websocket.send_json({"twice": 2 * message["number"]})


async def close(websocket):
    await websocket.accept()
    await websocket.send_text("goodbye")
    await websocket.close(int(websocket.query_params["code"]), "enough")


async def refuse(websocket):
    await websocket.close()


async def fail(websocket):
    await websocket.accept()
    await websocket.receive()
    raise ValueError("out of luck")


async def told(websocket):
    await websocket.accept()
    await websocket.receive()
    names = [name for name, _ in websocket.headers.items()]
    query = dict(websocket.query_params)
    await websocket.send_json({"headers": names, "query": query, "path": websocket.url.path,
                               "subprotocols": websocket.scope["subprotocols"]})


async def hello(request):
    return PlainTextResponse("hello")


class Wrapped:
    def __init__(self, func):
        self.func = func
    def __call__(self, *args, **kwargs):
        return self.func(*args, **kwargs)


@Wrapped
def app():
    names = (echo, double, close, refuse, fail, told)
    return Starlette(routes=[
        Route("/hello", hello),
        *(WebSocketRoute(f"/{each.__name__}", each) for each in names),
        WebSocketRoute("/", echo),
    ])
"""
