// The server of the Twilio guide: Fastify, the official SDK and a JSON API of two routes.
// It listens on PORT, and sends to TWILIO_BASE_URL in place of Twilio.

import http from "node:http";
import Fastify from "fastify";
import { parsePhoneNumberFromString } from "libphonenumber-js";
import twilio from "twilio";

const { PORT, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_BASE_URL, TWILIO_VERIFY_SERVICE_SID } = process.env;

// The SDK has a pool of connections for https only, so the same pool is made for http.
class LocalClient extends twilio.RequestClient {
  constructor() {
    super();
    const { keepAlive, maxFreeSockets, maxSockets, maxTotalSockets, timeout } = this.axios.defaults.httpsAgent.options;
    this.axios.defaults.httpAgent = new http.Agent({ keepAlive, maxFreeSockets, maxSockets, maxTotalSockets, timeout });
  }

  request(options) {
    const uri = options.uri.replace("https://verify.twilio.com", TWILIO_BASE_URL);
    return super.request({ ...options, uri });
  }
}

const client = twilio(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, { httpClient: new LocalClient() });
const service = client.verify.v2.services(TWILIO_VERIFY_SERVICE_SID);
const fastify = Fastify({ logger: true });

fastify.post("/api/otp/request", async (request, reply) => {
  const phone = parsePhoneNumberFromString(request.body?.phoneNumber ?? "");
  if (!phone?.isValid()) return reply.code(400).send({ error: "Invalid phone number format" });
  try {
    const verification = await service.verifications.create({ to: phone.format("E.164"), channel: "sms" });
    if (verification.status !== "pending") throw new Error(verification.status);
    return { requestId: verification.sid };
  } catch (error) {
    request.log.error(error);
    return reply.code(500).send({ error: "Failed to initiate verification" });
  }
});

fastify.post("/api/otp/verify", async (request, reply) => {
  const { requestId, code } = request.body ?? {};
  if (!requestId || !/^\d{6}$/.test(code)) return reply.code(400).send({ error: "Invalid code format" });
  try {
    const check = await service.verificationChecks.create({ verificationSid: requestId, code });
    if (check.status === "approved") return { status: "verified" };
    return reply.code(400).send({ error: "Invalid code or request expired." });
  } catch (error) {
    request.log.error(error);
    return reply.code(500).send({ error: "Verification check failed" });
  }
});

await fastify.listen({ port: Number(PORT), host: "127.0.0.1" });
