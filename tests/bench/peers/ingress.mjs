// A webhook endpoint with the same promise: 200 once the broker has confirmed.
import http from "node:http";
import amqp from "amqplib";
import Stripe from "stripe";

const stripe = new Stripe("sk_test_x");
const channel = await (await amqp.connect(process.env.BENCH_AMQP)).createConfirmChannel();
const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts);
    const signature = request.headers["stripe-signature"];
    try {
      stripe.webhooks.constructEvent(body, signature, process.env.BENCH_SECRET);
    } catch {
      response.statusCode = 400;
      return response.end();
    }
    channel.publish("", "bench.events", body, { persistent: true, mandatory: true }, (error) => {
      response.statusCode = error ? 503 : 200;
      response.end();
    });
  });
});
const [host, port] = process.env.BENCH_LISTEN.split(":");
server.listen(Number(port), host, () => console.log("ready"));
