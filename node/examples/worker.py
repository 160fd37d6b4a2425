#!/usr/bin/env python3
"""A worker that counts words: `TOKEN_FILE=a/api-token worker.py`, then `meshd map --worker words -- ::: *.txt`."""
import base64, contextlib, json, os, signal, sys, threading, time, urllib.error, urllib.request

API, TOKEN = os.environ.get("API", "http://127.0.0.1:7441"), open(os.environ["TOKEN_FILE"]).read().strip()
has = {"worker": None, "tasks": []}


def ask(method, path, body=None):
    data = body if isinstance(body, bytes) else body and json.dumps(body).encode()
    request = urllib.request.Request(API + path, data, {"Authorization": "Bearer " + TOKEN}, method=method)
    with urllib.request.urlopen(request, timeout=90) as answer:
        return answer.read()


def content(given):  # A small input comes with the task; a large one lies on the node.
    return ask("GET", given["url"]) if "url" in given else base64.b64decode(given.get("b64", "")) or given.get("text", "").encode()


def work(order, say):
    """What it does: replace this. An argument is how many seconds it takes."""
    text = b" ".join(content(given) for given in order["files"] or filter(None, [order.get("stdin")]))
    say("logs", f"process {os.getpid()} counts {len(text)} bytes\n".encode())
    seconds = next((float(word) for word in order["argv"] if word.replace(".", "").isdigit()), 0)
    for step in range(10):
        say("progress", {"percent": step * 10})  # Answered by 409 where it is not to go on.
        time.sleep(seconds / 10)
    say("result", {"stdout": f"{len(text.split())}\n"})


def beat(worker, every):  # It says what it has, too: a task that was lost on its way goes to another.
    while has["worker"] == worker:
        with contextlib.suppress(OSError):  # The next one may come through; who is not known any more hears it elsewhere.
            ask("POST", f"/v1/workers/{worker}/heartbeat", {"tasks": has["tasks"]})
        time.sleep(every)


def serve():
    attached = json.loads(ask("POST", "/v1/workers", {"name": f"words-{os.getpid()}", "kinds": ["words"]}))
    has.update(worker=attached["worker"], tasks=[])
    threading.Thread(target=beat, args=(attached["worker"], attached["lease_ms"] / 3000), daemon=True).start()
    while True:
        if order := json.loads(ask("POST", f"/v1/workers/{has['worker']}/take?wait=30s") or "null"):
            task, has["tasks"] = f"/v1/workers/{has['worker']}/tasks/{order['task']}", [order["task"]]
            try:
                work(order, lambda what, body: ask("POST", f"{task}/{what}?attempt={order['attempt']}", body))
            except urllib.error.HTTPError as error:
                if error.code != 409:  # Not wanted any more: the next heartbeat does not name it.
                    raise
            has["tasks"] = []


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
while True:
    try:
        serve()
    except OSError as error:  # The node is away, or does not know this worker any more.
        print(f"attaching anew: {error}", file=sys.stderr)
        time.sleep(1)
