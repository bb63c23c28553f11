// The server of the Vonage guide: Express, the official SDK and a JSON API of two routes.
// It listens on PORT, and sends to VONAGE_BASE_URL in place of Vonage. The guide's calls reach
// Vonage's first Verify API, which reports a wrong code by `status` and not by the HTTP status.

import { Vonage } from "@vonage/server-sdk";
import cors from "cors";
import express from "express";

const { PORT, VONAGE_API_KEY, VONAGE_API_SECRET, VONAGE_BASE_URL, VONAGE_BRAND_NAME } = process.env;

const vonage = new Vonage({ apiKey: VONAGE_API_KEY, apiSecret: VONAGE_API_SECRET }, { apiHost: VONAGE_BASE_URL });
const app = express();
app.use(cors());
app.use(express.json());

app.get("/health", (request, response) => response.json({ status: "ok" }));

app.post("/api/request-verification", async (request, response) => {
  const { phoneNumber } = request.body ?? {};
  if (!/^\+[1-9]\d{6,14}$/.test(phoneNumber)) return response.status(400).json({ error: "Invalid phone number" });
  try {
    const result = await vonage.verify.start({ number: phoneNumber, brand: VONAGE_BRAND_NAME, codeLength: 6 });
    if (result.status !== "0") return response.status(400).json({ error: result.errorText });
    console.log("Verification requested:", result.requestId);
    return response.json({ requestId: result.requestId });
  } catch (error) {
    console.error("Verification request failed:", error);
    return response.status(500).json({ error: "Failed to start verification" });
  }
});

app.post("/api/check-verification", async (request, response) => {
  const { requestId, code } = request.body ?? {};
  if (!requestId || !/^\d{6}$/.test(code)) return response.status(400).json({ error: "Invalid code" });
  try {
    const result = await vonage.verify.check(requestId, code);
    if (result.status !== "0") return response.status(400).json({ error: result.errorText });
    console.log("Verification succeeded:", requestId);
    return response.json({ success: true });
  } catch (error) {
    console.error("Verification check failed:", error);
    return response.status(500).json({ error: "Failed to check the code" });
  }
});

app.listen(Number(PORT), "127.0.0.1");
