"""A foreign AMQP client at the end of a pipe: one JSON request a line, one JSON answer a line.

    foreign.py URL

Requests: {"op": "counts", "queues": [...]}, {"op": "declare", "queue", "arguments"},
{"op": "delete", "queue"}, {"op": "unbind", "exchange", "routing_key", "queue"},
{"op": "publish", "exchange", "routing_key", "body" (base64), "properties"}, {"op": "take",
"queue"}, {"op": "publish_file", "path"}: a file with "routing_key", "message_id", "body" a line,
in its order, each confirmed.
"""

import base64
import json
import sys

import pika
from consumer import as_json, connect


def counts(channel, request):
    """Messages that are ready; what a consumer holds unsettled is not among them."""
    found = {}
    for name in request["queues"]:
        found[name] = channel.queue_declare(name, passive=True).method.message_count
    return found


def declare(channel, request):
    arguments = request["arguments"]
    channel.queue_declare(request["queue"], durable=True, arguments=arguments)


def delete(channel, request):
    channel.queue_delete(request["queue"])


def unbind(channel, request):
    channel.queue_unbind(request["queue"], request["exchange"], request["routing_key"])


def publish(channel, request):
    properties = pika.BasicProperties(**request["properties"]) if request["properties"] else None
    body = base64.b64decode(request["body"])
    channel.basic_publish(
        request["exchange"], request["routing_key"], body, properties, mandatory=True
    )


def publish_file(channel, request):
    # With confirms, one after the other: a quorum queue may lose what an unconfirmed channel had
    # under way when it closes.
    with open(request["path"], encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            message = json.loads(line)
            properties = pika.BasicProperties(
                message_id=message["message_id"], delivery_mode=2
            )
            body = base64.b64decode(message["body"])
            channel.basic_publish("relink.events", message["routing_key"], body, properties)
    return number


def take(channel, request):
    taken = []
    while True:
        method, properties, body = channel.basic_get(request["queue"], auto_ack=True)
        if method is None:
            return taken
        taken.append(json.loads(as_json(method, properties, body)))


OPERATIONS = {
    "counts": counts,
    "declare": declare,
    "delete": delete,
    "publish": publish,
    "publish_file": publish_file,
    "take": take,
    "unbind": unbind,
}


def perform(url, connection, channel, request):
    """The answer, and the connection and the channel that gave it."""
    if connection.is_closed:
        connection = connect(url)
    if channel is None or channel.is_closed:
        channel = connection.channel()
        channel.confirm_delivery()
    return {"ok": OPERATIONS[request["op"]](channel, request)}, connection, channel


def main():
    url = sys.argv[1]
    connection = connect(url)
    channel = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer, connection, channel = perform(url, connection, channel, request)
        except pika.exceptions.AMQPError as error:
            answer = {"error": repr(error)}
            if connection.is_closed:
                # It had been lost meanwhile: once more with a new one.
                answer, connection, channel = perform(url, connection, None, request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
