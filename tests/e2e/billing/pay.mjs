// Pays a metered call with a published x402 client: node pay.mjs VERSION URL PRIVATE_KEY BODY
import { privateKeyToAccount } from "viem/accounts";

const [version, url, key, body] = process.argv.slice(2);
const account = privateKeyToAccount(key);
let pay;
if (version === "1") {
  const { wrapFetchWithPayment } = await import("x402-fetch");
  const { createWalletClient, http } = await import("viem");
  const { base } = await import("viem/chains");
  pay = wrapFetchWithPayment(fetch, createWalletClient({ account, chain: base, transport: http() }));
} else {
  const { wrapFetchWithPaymentFromConfig } = await import("@x402/fetch");
  const { ExactEvmScheme } = await import("@x402/evm/exact/client");
  pay = wrapFetchWithPaymentFromConfig(fetch, {
    schemes: [{ network: "eip155:*", client: new ExactEvmScheme(account) }],
  });
}
const response = await pay(url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
const receipt = response.headers.get("PAYMENT-RESPONSE") ?? response.headers.get("X-PAYMENT-RESPONSE");
console.log(JSON.stringify({
  status: response.status,
  body: await response.json(),
  receipt: receipt && JSON.parse(Buffer.from(receipt, "base64").toString()),
}));
