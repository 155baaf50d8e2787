"""A platform's own consumer: binds a queue and writes each message as a JSON line.

    consumer.py URL EXCHANGE ROUTING_KEY QUEUE FILE

It says "ready" once it is bound. When its standard input ends it takes what is left and exits.
A connection that is lost is made anew; what was not acknowledged then comes again, marked.
"""

import base64
import json
import select
import sys
import time

import pika

PROPERTIES = (
    "message_id", "type", "timestamp", "content_type", "app_id", "correlation_id", "delivery_mode",
)


def as_json(method, properties, body):
    """A message with all that a consumer can see of it."""
    seen = {name: getattr(properties, name) for name in PROPERTIES}
    seen["exchange"] = method.exchange
    seen["routing_key"] = method.routing_key
    seen["redelivered"] = getattr(method, "redelivered", False)
    seen["headers"] = properties.headers or {}
    seen["body"] = base64.b64encode(body).decode()
    return json.dumps(seen, default=str)


def connect(url):
    """A connection; waits for a broker that is away, for as long as a test would."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0
    deadline = time.monotonic() + 120
    while True:
        try:
            return pika.BlockingConnection(parameters)
        except pika.exceptions.AMQPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def stopped_asking():
    return bool(select.select([sys.stdin], [], [], 0)[0]) and not sys.stdin.readline()


def consume(channel, queue, out):
    """Writes messages until there are none and nobody wants more."""
    channel.basic_qos(prefetch_count=500)
    ended = False
    for method, properties, body in channel.consume(queue, inactivity_timeout=0.2):
        if method is not None:
            out.write(as_json(method, properties, body) + "\n")
            channel.basic_ack(method.delivery_tag)
            continue
        out.flush()
        if ended:
            return
        ended = stopped_asking()


def main():
    url, exchange, routing_key, queue, path = sys.argv[1:]
    channel = connect(url).channel()
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, exchange, routing_key)
    print("ready", flush=True)
    with open(path, "w", encoding="ascii") as out:
        while True:
            try:
                consume(channel, queue, out)
                break
            except pika.exceptions.AMQPError:
                channel = connect(url).channel()
    print("done", flush=True)


if __name__ == "__main__":
    main()
